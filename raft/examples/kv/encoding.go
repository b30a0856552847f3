package main

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/rawl-db/rawl/raft/core"
)

// appendText appends the length of s as an unsigned varint, and s.
func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decoder takes bytes apart. After what is malformed bad is set, and everything it returns is zero.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) want(ok bool) {
	if !ok {
		d.bad, d.rest = true, nil
	}
}

func (d *decoder) byte() byte {
	if d.want(len(d.rest) > 0); d.bad {
		return 0
	}
	v := d.rest[0]
	d.rest = d.rest[1:]
	return v
}

// uvarint reads a number in its shortest form.
func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if d.want(n > 0 && (n == 1 || d.rest[n-1] != 0)); d.bad {
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// text reads what appendText wrote, at most limit bytes. It aliases what is decoded.
func (d *decoder) text(limit int) []byte {
	n := d.uvarint()
	if d.want(n <= uint64(limit) && n <= uint64(len(d.rest))); d.bad {
		return nil
	}
	v := d.rest[:n:n]
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) key() []byte {
	k := d.text(maxKey)
	d.want(goodKey(string(k)))
	return k
}

func (d *decoder) name() string {
	n := string(d.text(core.MaxNodeLen))
	d.want(n != "" && utf8.ValidString(n))
	return n
}
