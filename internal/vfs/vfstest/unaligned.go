package vfstest

import (
	"errors"
	"io"

	"github.com/rawl-db/rawl/internal/vfs"
)

// bufferedCases transfer any length at any offset.
func bufferedCases() []testCase {
	return []testCase{
		{"AnyAlignment", testAnyAlignment},
		{"OddSizes", testOddSizes},
	}
}

func testAnyAlignment(e *env) {
	f := e.create("f", 0)
	e.writeAt(f, []byte("hello"), 0)
	e.writeAt(f, []byte("world"), 6)
	e.wantAt(f, 0, []byte("hello\x00world"))
	e.wantAt(f, 4, []byte("o\x00w"))
	buf := make([]byte, 10)
	if n, err := f.ReadAt(buf, 8); n != 3 || err != io.EOF || string(buf[:n]) != "rld" {
		e.Errorf("ReadAt across the end = %d, %v, %q", n, err, buf[:n])
	}
}

func testOddSizes(e *env) {
	f := e.create("f", 12345)
	e.wantSize(f, 12345)
	e.wantAt(f, 0, make([]byte, 12345))
	e.must(f.Truncate(100))
	e.must(f.Truncate(200))
	e.wantAt(f, 0, make([]byte, 200))
}

// directCases hold for direct files only.
func directCases() []testCase {
	return []testCase{
		{"Alignment", testAlignment},
		{"AlignmentQueued", testAlignmentQueued},
	}
}

// misaligned are a length, an offset and a buffer's distance from alignment, each of
// which a direct transfer refuses.
var misaligned = []struct {
	name        string
	shift, size int
	off         int64
}{
	{name: "buffer", shift: 512, size: block},
	{name: "buffer by one", shift: 1, size: block},
	{name: "length", size: block - 512},
	{name: "length of one", size: 1},
	{name: "offset", size: block, off: 512},
	{name: "offset of one", size: block, off: 1},
}

func testAlignment(e *env) {
	f := e.create("f", 4*block)
	mem := e.filled(2*block, 1)
	for _, m := range misaligned {
		buf := mem[m.shift : m.shift+m.size]
		n, err := f.WriteAt(buf, m.off)
		e.wantErr("WriteAt, "+m.name, err, vfs.ErrAlignment)
		if n != 0 {
			e.Errorf("WriteAt, %s: %d bytes", m.name, n)
		}
		n, err = f.ReadAt(buf, m.off)
		e.wantErr("ReadAt, "+m.name, err, vfs.ErrAlignment)
		if n != 0 {
			e.Errorf("ReadAt, %s: %d bytes", m.name, n)
		}
	}
	e.wantAt(f, 0, make([]byte, 4*block))
}

func testAlignmentQueued(e *env) {
	f := e.create("f", 4*block)
	mem := e.filled(2*block, 1)
	q := e.queue(2)
	for _, m := range misaligned {
		buf := mem[m.shift : m.shift+m.size]
		for _, kind := range []vfs.OpKind{vfs.OpWrite, vfs.OpRead} {
			op := &vfs.Op{Kind: kind, File: f, Buf: buf, Off: m.off}
			e.submit(q, op)
			e.reapAll(q)
			e.wantErr("queued, "+m.name, op.Err, vfs.ErrAlignment)
			if op.N != 0 {
				e.Errorf("queued, %s: %d bytes", m.name, op.N)
			}
		}
	}
	e.wantAt(f, 0, make([]byte, 4*block))
}

func testDirectRefused(e *env) {
	_, err := e.fs.Create(e.path("new"), vfs.CreateOptions{Direct: true, Size: block})
	e.wantErr("Create", err, vfs.ErrUnsupported)
	e.wantNames()
	f, err := e.fs.Create(e.path("f"), vfs.CreateOptions{Size: block})
	e.must(err)
	e.must(f.Close())
	_, err = e.fs.Open(e.path("f"), vfs.OpenOptions{Direct: true})
	e.wantErr("Open", err, vfs.ErrUnsupported)
	if errors.Is(err, vfs.ErrUnsupported) && err.Error() == vfs.ErrUnsupported.Error() {
		e.Error("the refusal gives no reason")
	}
}
