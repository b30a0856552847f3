package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

const (
	snapshotMagic   = "RKVS"
	snapshotVersion = 1
)

// Errors of Restore.
var (
	errSnapshot        = errors.New("kv: malformed snapshot")
	errSnapshotVersion = errors.New("kv: snapshot of an unknown version")
)

// view is a store as it was. All that it refers to is never changed.
type view store

// Snapshot implements raft.Machine.
func (s *store) Snapshot() raft.View {
	v := view(*s)
	return &v
}

// WriteTo implements raft.View, in the format of doc.go.
func (v *view) WriteTo(to io.Writer) (int64, error) {
	counted := &countingWriter{w: to}
	w := bufio.NewWriterSize(counted, 64<<10)
	b := append([]byte(snapshotMagic), snapshotVersion)
	floor, changes := v.history.known()
	for _, n := range []uint64{uint64(v.applied), v.commands, v.bytes, uint64(v.checkpoint), uint64(floor), uint64(len(changes))} {
		b = binary.AppendUvarint(b, n)
	}
	last := floor
	for _, i := range changes {
		b = binary.AppendUvarint(b, uint64(i-last))
		last = i
	}
	w.Write(b) // bufio keeps the first error for Flush
	for _, t := range []*tree{v.nodes, v.keys} {
		count, _ := t.size()
		w.Write(binary.AppendUvarint(b[:0], uint64(count)))
		t.ascend("", func(i *item) bool {
			b = appendText(b[:0], i.Key)
			b = binary.AppendUvarint(b, uint64(i.Version))
			b = binary.AppendUvarint(b, uint64(len(i.Value)))
			w.Write(b)
			_, err := w.Write(i.Value)
			return err == nil
		})
	}
	err := w.Flush()
	return counted.n, err
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// Restore implements raft.Machine.
func (s *store) Restore(from io.Reader) error {
	d := snapshotReader{r: bufio.NewReaderSize(from, 64<<10)}
	var head [len(snapshotMagic) + 1]byte
	d.full(head[:])
	switch {
	case d.err != nil:
		return d.err
	case string(head[:4]) != snapshotMagic:
		return fmt.Errorf("%w: magic %q", errSnapshot, head[:4])
	case head[4] != snapshotVersion:
		return fmt.Errorf("%w: %d", errSnapshotVersion, head[4])
	}
	s.applied = raft.Index(d.uvarint())
	s.commands, s.bytes, s.checkpoint = d.uvarint(), d.uvarint(), raft.Index(d.uvarint())
	s.history.floor = raft.Index(d.uvarint())
	last := s.history.floor
	for left := d.count(maxHistory); left > 0 && d.err == nil; left-- {
		step := d.uvarint()
		d.want(step > 0 && step <= uint64(s.applied) && last < s.applied)
		last += raft.Index(step)
		s.history.list = append(s.history.list, last)
	}
	d.want(last <= s.applied)
	s.nodes = d.tree(core.MaxNodeLen, 2*maxAddr+8)
	s.keys = d.tree(maxKey, maxValue)
	if _, err := d.r.ReadByte(); d.err == nil && err != io.EOF {
		if err != nil {
			return err
		}
		return fmt.Errorf("%w: bytes behind its end", errSnapshot)
	}
	return d.err
}

// snapshotReader reads a snapshot. After the first error everything is zero.
type snapshotReader struct {
	r   *bufio.Reader
	err error
}

func (d *snapshotReader) fail(err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it ends early", errSnapshot)
	}
	if d.err == nil {
		d.err = err
	}
}

func (d *snapshotReader) want(ok bool) {
	if !ok {
		d.fail(errSnapshot)
	}
}

func (d *snapshotReader) full(b []byte) {
	if d.err != nil {
		return
	}
	if _, err := io.ReadFull(d.r, b); err != nil {
		d.fail(err)
	}
}

func (d *snapshotReader) uvarint() uint64 {
	if d.err != nil {
		return 0
	}
	v, err := binary.ReadUvarint(d.r)
	if err != nil {
		d.fail(err)
		return 0
	}
	return v
}

// count reads a number of things, of which there are at most so many.
func (d *snapshotReader) count(limit uint64) uint64 {
	n := d.uvarint()
	if d.want(n <= limit); d.err != nil {
		return 0
	}
	return n
}

// tree reads items, whose keys ascend.
func (d *snapshotReader) tree(maxKey, maxValue uint64) (t *tree) {
	before := ""
	for left := d.uvarint(); left > 0 && d.err == nil; left-- {
		key := make([]byte, d.count(maxKey))
		d.full(key)
		i := item{Key: string(key), Version: raft.Index(d.uvarint())}
		i.Value = make([]byte, d.count(maxValue))
		d.full(i.Value)
		if d.want(i.Key > before); d.err == nil {
			before, t = i.Key, t.put(i)
		}
	}
	return t
}
