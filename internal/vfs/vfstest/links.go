package vfstest

import (
	"io"

	"github.com/rawl-db/rawl/internal/vfs"
)

// linkCases check operations that wait for the one before them.
func linkCases() []testCase {
	return []testCase{
		{"LinkOrders", testLinkOrders},
		{"LinkFailed", testLinkFailed},
		{"LinkShort", testLinkShort},
		{"LinkCancelsTheChain", testLinkCancelsTheChain},
		{"LinkToSync", testLinkToSync},
		{"ManyChains", testManyChains},
	}
}

// testLinkOrders overwrites one block through a chain: the last write must win, and a
// read in the chain sees the write before it.
func testLinkOrders(e *env) {
	const n = 15
	f := e.create("f", block)
	q := e.queue(2 * n)
	for range 8 {
		var ops []*vfs.Op
		for i := range n {
			ops = append(ops,
				&vfs.Op{Kind: vfs.OpWrite, File: f, Buf: e.filled(block, byte(i)), Link: true},
				&vfs.Op{Kind: vfs.OpRead, File: f, Buf: e.buf(block), Link: i < n-1})
		}
		e.submit(q, ops...)
		e.reapAll(q)
		e.wantDone(ops...)
		for i := 0; i < len(ops); i += 2 {
			e.wantSame("read linked behind a write", ops[i+1].Buf, ops[i].Buf)
		}
	}
}

func testLinkFailed(e *env) {
	e.must(e.create("ro", block).Close())
	ro := e.open("ro", vfs.OpenOptions{Direct: e.direct})
	f := e.create("f", 2*block)
	q := e.queue(4)
	bad := &vfs.Op{Kind: vfs.OpWrite, File: ro, Buf: e.filled(block, 1), Link: true}
	behind := &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: e.filled(block, 2), N: 77}
	after := &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: e.filled(block, 3), Off: block}
	e.submit(q, bad, behind, after)
	e.reapAll(q)
	e.wantFail("first operation", bad.Err)
	e.wantErr("operation linked behind a failed one", behind.Err, vfs.ErrCanceled)
	if behind.N != 0 {
		e.Errorf("a canceled operation transferred %d bytes", behind.N)
	}
	e.wantDone(after)
	e.wantAt(f, 0, make([]byte, block))
	e.wantAt(f, block, after.Buf)

	// What was canceled may be submitted again.
	e.submit(q, behind)
	e.reapAll(q)
	e.wantDone(behind)
	e.wantAt(f, 0, behind.Buf)
}

func testLinkShort(e *env) {
	f := e.create("f", 2*block)
	q := e.queue(4)
	short := &vfs.Op{Kind: vfs.OpRead, File: f, Buf: e.buf(4 * block), Link: true}
	behind := &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: e.filled(block, 2)}
	e.submit(q, short, behind)
	e.reapAll(q)
	if short.N != 2*block || short.Err != io.EOF {
		e.Errorf("read across the end = %d, %v", short.N, short.Err)
	}
	e.wantErr("operation linked behind a short one", behind.Err, vfs.ErrCanceled)
	e.wantAt(f, 0, make([]byte, 2*block))
}

func testLinkCancelsTheChain(e *env) {
	e.must(e.create("ro", block).Close())
	ro := e.open("ro", vfs.OpenOptions{Direct: e.direct})
	f := e.create("f", 4*block)
	q := e.queue(8)
	first := &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: e.filled(block, 1), Link: true}
	bad := &vfs.Op{Kind: vfs.OpWrite, File: ro, Buf: e.filled(block, 1), Link: true}
	sync := &vfs.Op{Kind: vfs.OpDatasync, File: f, Link: true}
	last := &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: e.filled(block, 2), Off: block}
	next := &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: e.filled(block, 3), Off: 2 * block, Link: true}
	tail := &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: e.filled(block, 4), Off: 3 * block}
	e.submit(q, first, bad, sync, last, next, tail)
	e.reapAll(q)
	e.wantDone(first, next, tail)
	e.wantFail("failing operation", bad.Err)
	e.wantErr("sync behind it", sync.Err, vfs.ErrCanceled)
	e.wantErr("write behind the canceled sync", last.Err, vfs.ErrCanceled)
	e.wantAt(f, block, make([]byte, block))
	e.wantAt(f, 2*block, next.Buf)
	e.wantAt(f, 3*block, tail.Buf)
}

func testLinkToSync(e *env) {
	f := e.create("f", 0)
	q := e.queue(4)
	for i := range 4 {
		w := &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: e.filled(block, byte(i)), Off: int64(i) * block, Link: true}
		d := &vfs.Op{Kind: vfs.OpDatasync, File: f, Link: true}
		s := &vfs.Op{Kind: vfs.OpSync, File: f, Link: true}
		r := &vfs.Op{Kind: vfs.OpRead, File: f, Buf: e.buf(block), Off: w.Off}
		e.submit(q, w, d, s, r)
		e.reapAll(q)
		e.wantDone(w, d, s, r)
		e.wantSame("read behind a sync", r.Buf, w.Buf)
	}
}

// testManyChains runs chains side by side that each fail at another place.
func testManyChains(e *env) {
	const chains, length = 16, 8
	e.must(e.create("ro", block).Close())
	ro := e.open("ro", vfs.OpenOptions{Direct: e.direct})
	f := e.create("f", chains*block)
	q := e.queue(chains * length)
	ops := make([][]*vfs.Op, chains)
	for c := range chains {
		for i := range length {
			op := &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: e.filled(block, byte(c+i)), Off: int64(c) * block, Link: i < length-1}
			if i == c {
				op.File = ro
			}
			ops[c] = append(ops[c], op)
		}
		e.submit(q, ops[c]...)
	}
	e.reapAll(q)
	for c, chain := range ops {
		fails := min(c, length)
		e.wantDone(chain[:fails]...)
		if fails == length {
			e.wantAt(f, int64(c)*block, chain[length-1].Buf)
			continue
		}
		e.wantFail("write to a file opened for reading", chain[fails].Err)
		for _, op := range chain[fails+1:] {
			e.wantErr("rest of the chain", op.Err, vfs.ErrCanceled)
		}
		if fails > 0 {
			e.wantAt(f, int64(c)*block, chain[fails-1].Buf)
		}
	}
}
