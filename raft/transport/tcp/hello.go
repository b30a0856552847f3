package tcp

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// maxHandshake bounds a message of the handshake.
const maxHandshake = 4096

const (
	helloMagic   = "RWLT"
	helloVersion = 1
)

// part says which of a connection's two TCP connections it is.
type part byte

const (
	mainPart part = 0
	bulkPart part = 1
)

// maxEpoch bounds the epoch that a peer may name, so that it cannot run out.
const maxEpoch = 1 << 62

// Why a handshake is refused. Each has a counter.
var (
	errMalformed = errors.New("tcp: malformed handshake")
	errVersion   = errors.New("tcp: peer speaks another version")
	errCookie    = errors.New("tcp: peer of another service")
	errReceiver  = errors.New("tcp: peer wants another node")
	errIdentity  = errors.New("tcp: peer is not who it says")
	errOutdated  = errors.New("tcp: peer is an earlier life of its node")
	errBusy      = errors.New("tcp: another connection with the peer is being made")
	errCrowded   = errors.New("tcp: too many peers, or too many that have not said who they are")
)

// status is how a hello is answered.
type status byte

const (
	statusWelcome status = 1
	statusBusy    status = 2
	statusRefused status = 3
)

type token [16]byte

type hello struct {
	part        part
	cookie      [sha256.Size]byte
	token       token
	nonce       uint64
	from, to    NodeID
	incarnation uint64
	epoch       uint64
}

func (h *hello) appendTo(b []byte) []byte {
	b = append(b, helloMagic...)
	b = append(b, helloVersion, byte(h.part))
	b = append(b, h.cookie[:]...)
	b = append(b, h.token[:]...)
	b = binary.LittleEndian.AppendUint64(b, h.nonce)
	b = appendName(appendName(b, h.from), h.to)
	return binary.AppendUvarint(binary.AppendUvarint(b, h.incarnation), h.epoch)
}

func appendName(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// parseHello decodes a hello. Errors: errMalformed, errVersion.
func parseHello(b []byte) (h hello, err error) {
	d := fields{b: b}
	if string(d.take(len(helloMagic))) != helloMagic {
		return h, fmt.Errorf("%w: no hello", errMalformed)
	}
	if v := d.byte(); v != helloVersion && !d.bad {
		return h, fmt.Errorf("%w: %d, want %d", errVersion, v, helloVersion)
	}
	h.part = part(d.byte())
	copy(h.cookie[:], d.take(len(h.cookie)))
	copy(h.token[:], d.take(len(h.token)))
	h.nonce = d.uint64()
	h.from, h.to = d.name(), d.name()
	h.incarnation, h.epoch = d.uvarint(), d.uvarint()
	if d.bad || len(d.b) > 0 || h.part > bulkPart || h.from == "" || h.to == "" || h.epoch > maxEpoch {
		return h, fmt.Errorf("%w: hello of %d bytes", errMalformed, len(b))
	}
	return h, nil
}

type welcome struct {
	status      status
	token       token
	nonce       uint64
	incarnation uint64
	epoch       uint64
}

func (w *welcome) appendTo(b []byte) []byte {
	b = append(b, byte(w.status))
	b = append(b, w.token[:]...)
	b = binary.LittleEndian.AppendUint64(b, w.nonce)
	return binary.AppendUvarint(binary.AppendUvarint(b, w.incarnation), w.epoch)
}

func parseWelcome(b []byte) (w welcome, err error) {
	d := fields{b: b}
	w.status = status(d.byte())
	copy(w.token[:], d.take(len(w.token)))
	w.nonce = d.uint64()
	w.incarnation, w.epoch = d.uvarint(), d.uvarint()
	if d.bad || len(d.b) > 0 || w.status < statusWelcome || w.status > statusRefused || w.epoch > maxEpoch+1 {
		return w, fmt.Errorf("%w: welcome of %d bytes", errMalformed, len(b))
	}
	return w, nil
}

// fields reads from b until something is missing.
type fields struct {
	b   []byte
	bad bool
}

func (d *fields) take(n int) []byte {
	if n > len(d.b) {
		d.bad, d.b = true, nil
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *fields) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *fields) uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (d *fields) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *fields) name() string {
	n := d.uvarint()
	if n > MaxName {
		d.bad, d.b = true, nil
		return ""
	}
	return string(d.take(int(n)))
}

// writeShake writes one message of the handshake.
func writeShake(w io.Writer, payload []byte) error {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(payload, castagnoli))
	_, err := w.Write(append(b, payload...))
	return err
}

// readShake reads one. Error: errMalformed, or the connection's.
func readShake(r io.Reader) ([]byte, error) {
	var h [8]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(h[:])
	if size > maxHandshake {
		return nil, fmt.Errorf("%w: %d bytes", errMalformed, size)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	if crc32.Checksum(b, castagnoli) != binary.LittleEndian.Uint32(h[4:]) {
		return nil, fmt.Errorf("%w: bad checksum", errMalformed)
	}
	return b, nil
}
