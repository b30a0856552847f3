package vfstest

import (
	"errors"

	"github.com/rawl-db/rawl/internal/vfs"
)

// closeCases check the end of a queue.
func closeCases() []testCase {
	return []testCase{
		{"Closed", testClosedQueue},
		{"CloseOutstanding", testCloseOutstanding},
		{"CloseStarted", testCloseStarted},
		{"CloseUnreaped", testCloseUnreaped},
	}
}

func testClosedQueue(e *env) {
	f := e.create("f", block)
	q := e.queue(2)
	e.must(q.Close())
	e.wantErr("Submit", q.Submit(&vfs.Op{Kind: vfs.OpRead, File: f, Buf: e.buf(block)}), vfs.ErrClosed)
	n, err := q.Reap(1, make([]*vfs.Op, 1))
	e.wantErr("Reap", err, vfs.ErrClosed)
	if n != 0 || q.Outstanding() != 0 {
		e.Errorf("a closed queue reaped %d and has %d outstanding", n, q.Outstanding())
	}
	e.wantErr("Close", q.Close(), vfs.ErrClosed)
}

// closeWith closes a queue with the outstanding ops and checks that each either ran in
// full or was canceled, and that nobody touches its buffer any more.
func (e *env) closeWith(q vfs.Queue, f vfs.File, ops []*vfs.Op) {
	e.Helper()
	e.must(q.Close())
	if q.Outstanding() != 0 {
		e.Errorf("a closed queue has %d operations outstanding", q.Outstanding())
	}
	for i, op := range ops {
		switch {
		case errors.Is(op.Err, vfs.ErrCanceled):
			if op.N != 0 {
				e.Errorf("operation %d was canceled after %d bytes", i, op.N)
			}
		case op.Err != nil || op.N != len(op.Buf):
			e.Errorf("operation %d transferred %d of %d bytes: %v", i, op.N, len(op.Buf), op.Err)
		default:
			e.wantAt(f, op.Off, op.Buf)
		}
	}
	for _, op := range ops {
		clear(op.Buf)
	}
	e.must(f.Close())
	g := e.open("f", vfs.OpenOptions{Direct: e.direct})
	zero := make([]byte, block)
	got := e.buf(block)
	for i, op := range ops {
		if op.Err != nil {
			continue
		}
		if _, err := g.ReadAt(got, op.Off); err != nil || string(got) == string(zero) {
			e.Errorf("operation %d wrote its buffer after the queue was closed, or %v", i, err)
		}
	}
}

func (e *env) writes(f vfs.File, n int) []*vfs.Op {
	e.Helper()
	ops := make([]*vfs.Op, n)
	for i := range ops {
		ops[i] = &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: e.filled(block, byte(i)), Off: int64(i) * block, Link: i%5 == 3}
	}
	return ops
}

func testCloseOutstanding(e *env) {
	const n = 64
	f := e.create("f", n*block)
	q := e.queue(n)
	ops := e.writes(f, n)
	e.submit(q, ops...)
	e.closeWith(q, f, ops)
}

func testCloseStarted(e *env) {
	const n = 64
	f := e.create("f", n*block)
	q := e.queue(n)
	ops := e.writes(f, n)
	e.submit(q, ops...)
	if _, err := q.Reap(1, make([]*vfs.Op, 1)); err != nil {
		e.Fatal(err)
	}
	e.closeWith(q, f, ops)
}

func testCloseUnreaped(e *env) {
	const n = 8
	f := e.create("f", n*block)
	q := e.queue(n)
	ops := e.writes(f, n)
	e.submit(q, ops...)
	if got, err := q.Reap(n, nil); got != 0 || err != nil {
		e.Fatalf("Reap without room = %d, %v", got, err)
	}
	e.closeWith(q, f, ops)
}
