package vfstest

import (
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/rawl-db/rawl/internal/vfs"
)

// submitCases check one queue and operations that are not linked.
func submitCases() []testCase {
	return []testCase{
		{"Bounds", testQueueBounds},
		{"Roundtrip", testQueueRoundtrip},
		{"AnyOrder", testQueueAnyOrder},
		{"Full", testQueueFull},
		{"ReapMin", testReapMin},
		{"ReapPolling", testReapPolling},
		{"ReapLeavesTheRest", testReapLeavesTheRest},
		{"EndOfFile", testQueueEndOfFile},
		{"Empty", testQueueEmptyTransfers},
		{"OwnFailure", testQueueOwnFailure},
		{"DSync", testQueueDSync},
		{"Reuse", testOpReuse},
		{"Reachable", testReachable},
		{"Registrar", testRegistrar},
	}
}

func (e *env) submit(q vfs.Queue, ops ...*vfs.Op) {
	e.Helper()
	for i, op := range ops {
		if err := q.Submit(op); err != nil {
			e.Fatalf("submitting operation %d of %d: %v", i+1, len(ops), err)
		}
	}
}

// reapAll waits for everything outstanding and returns it in the order it came.
func (e *env) reapAll(q vfs.Queue) []*vfs.Op {
	e.Helper()
	want := q.Outstanding()
	done := make([]*vfs.Op, want)
	n, err := q.Reap(want, done)
	if err != nil || n != want || q.Outstanding() != 0 {
		e.Fatalf("Reap(%d) = %d, %v, and %d remain outstanding", want, n, err, q.Outstanding())
	}
	return done
}

// wantDone checks that each operation transferred all of its buffer.
func (e *env) wantDone(ops ...*vfs.Op) {
	e.Helper()
	for i, op := range ops {
		if op.Err != nil || op.N != len(op.Buf) {
			e.Fatalf("operation %d of %d (kind %d) transferred %d of %d bytes: %v",
				i+1, len(ops), op.Kind, op.N, len(op.Buf), op.Err)
		}
	}
}

func testQueueBounds(e *env) {
	for _, depth := range []int{-1, 0, 4097} {
		if q, err := e.fs.NewQueue(depth); err == nil {
			e.Errorf("NewQueue(%d) made a queue", depth)
			e.must(q.Close())
		}
	}
	for _, depth := range []int{1, 4096} {
		q := e.queue(depth)
		if q.Outstanding() != 0 {
			e.Errorf("a new queue has %d operations outstanding", q.Outstanding())
		}
		e.must(q.Close())
	}
}

func testQueueRoundtrip(e *env) {
	f := e.create("f", 4*block)
	q := e.queue(1)
	w := &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: e.filled(2*block, 1), Off: block, Tag: 7}
	e.submit(q, w)
	if q.Outstanding() != 1 {
		e.Errorf("%d operations outstanding after one Submit", q.Outstanding())
	}
	if done := e.reapAll(q); done[0] != w {
		e.Fatal("Reap returned another operation than the one submitted")
	}
	e.wantDone(w)
	e.wantAt(f, block, w.Buf)

	r := &vfs.Op{Kind: vfs.OpRead, File: f, Buf: e.buf(2 * block), Off: block, Tag: 1<<64 - 1}
	e.submit(q, r)
	e.reapAll(q)
	e.wantDone(r)
	e.wantSame("queued read", r.Buf, w.Buf)
	if w.Tag != 7 || r.Tag != 1<<64-1 {
		e.Errorf("tags became %d and %d", w.Tag, r.Tag)
	}
	if r.Kind != vfs.OpRead || r.File != f || r.Off != block || len(r.Buf) != 2*block {
		e.Error("the queue changed what the caller set")
	}
	for _, kind := range []vfs.OpKind{vfs.OpDatasync, vfs.OpSync} {
		s := &vfs.Op{Kind: kind, File: f, N: 99}
		e.submit(q, s)
		e.reapAll(q)
		e.wantDone(s)
	}
}

func testQueueAnyOrder(e *env) {
	const n = 64
	f := e.create("f", n*block)
	q := e.queue(n)
	data := e.filled(n*block, 2)
	var want []*vfs.Op
	for i := range n {
		// From the end to the start: the order of offsets must not matter.
		at := (n - 1 - i) * block
		want = append(want, &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: data[at : at+block], Off: int64(at)})
	}
	e.submit(q, want...)
	got := e.reapAll(q)
	for _, op := range want {
		if !slices.Contains(got, op) {
			e.Fatal("an operation was not handed back")
		}
	}
	e.wantDone(want...)
	e.wantAt(f, 0, data)
}

func testQueueFull(e *env) {
	const depth = 4
	f := e.create("f", block)
	q := e.queue(depth)
	var ops []*vfs.Op
	for range depth + 1 {
		ops = append(ops, &vfs.Op{Kind: vfs.OpRead, File: f, Buf: e.buf(block)})
	}
	e.submit(q, ops[:depth]...)
	e.wantErr("Submit beyond the depth", q.Submit(ops[depth]), vfs.ErrQueueFull)
	if q.Outstanding() != depth {
		e.Errorf("%d operations outstanding, want %d", q.Outstanding(), depth)
	}
	n, err := q.Reap(1, make([]*vfs.Op, 1))
	if n != 1 || err != nil {
		e.Fatalf("Reap(1) = %d, %v", n, err)
	}
	e.submit(q, ops[depth])
	e.wantErr("Submit beyond the depth again", q.Submit(&vfs.Op{Kind: vfs.OpRead, File: f, Buf: e.buf(block)}), vfs.ErrQueueFull)
	e.reapAll(q)
	e.wantDone(ops...)
}

func testReapMin(e *env) {
	f := e.create("f", 8*block)
	q := e.queue(8)
	done := make([]*vfs.Op, 8)
	for _, min := range []int{0, 1, 5} {
		if n, err := q.Reap(min, done); n != 0 || err != nil {
			e.Errorf("Reap(%d) of an idle queue = %d, %v", min, n, err)
		}
	}
	for min := 1; min <= 6; min++ {
		for range 4 {
			e.submit(q, &vfs.Op{Kind: vfs.OpRead, File: f, Buf: e.buf(block)})
		}
		n, err := q.Reap(min, done)
		if err != nil || n < min && n < 4 || n > 4 {
			e.Errorf("Reap(%d) with 4 outstanding = %d, %v", min, n, err)
		}
		if q.Outstanding() != 4-n {
			e.Errorf("%d outstanding after %d of 4 were reaped", q.Outstanding(), n)
		}
		e.wantDone(done[:n]...)
		e.reapAll(q)
	}
}

// testReapPolling checks that Reap(0) starts operations, so that a caller who never
// waits gets them in the end.
func testReapPolling(e *env) {
	f := e.create("f", 8*block)
	q := e.queue(8)
	for _, count := range []int{1, 8} {
		var ops []*vfs.Op
		for i := range count {
			ops = append(ops, &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: e.filled(block, byte(i)), Off: int64(i) * block})
		}
		e.submit(q, ops...)
		done := make([]*vfs.Op, 8)
		for got, start := 0, time.Now(); got < count; runtime.Gosched() {
			n, err := q.Reap(0, done)
			e.must(err)
			got += n
			if time.Since(start) > pollLimit {
				e.Fatalf("%d of %d operations came in %v of polling", got, count, pollLimit)
			}
		}
		e.wantDone(ops...)
	}
}

func testReapLeavesTheRest(e *env) {
	f := e.create("f", 8*block)
	q := e.queue(8)
	seen := map[*vfs.Op]bool{}
	for range 8 {
		e.submit(q, &vfs.Op{Kind: vfs.OpRead, File: f, Buf: e.buf(block)})
	}
	if n, err := q.Reap(8, nil); n != 0 || err != nil || q.Outstanding() != 8 {
		e.Fatalf("Reap(8) without room = %d, %v, %d outstanding", n, err, q.Outstanding())
	}
	for _, room := range []int{3, 4, 8} {
		done := make([]*vfs.Op, room)
		before := q.Outstanding()
		n, err := q.Reap(8, done)
		if want := min(room, before); n != want || err != nil || q.Outstanding() != before-want {
			e.Fatalf("Reap(8) with room for %d of %d = %d, %v", room, before, n, err)
		}
		for _, op := range done[:n] {
			e.wantDone(op)
			seen[op] = true
		}
	}
	if len(seen) != 8 {
		e.Errorf("%d of 8 operations were handed back", len(seen))
	}
}

func testQueueEndOfFile(e *env) {
	data := e.filled(2*block, 1)
	f := e.create("f", 0)
	e.writeAt(f, data, 0)
	q := e.queue(4)
	part := &vfs.Op{Kind: vfs.OpRead, File: f, Buf: e.buf(4 * block), Off: block}
	at := &vfs.Op{Kind: vfs.OpRead, File: f, Buf: e.buf(block), Off: 2 * block}
	past := &vfs.Op{Kind: vfs.OpRead, File: f, Buf: e.buf(block), Off: 16 * block}
	full := &vfs.Op{Kind: vfs.OpRead, File: f, Buf: e.buf(block), Off: block}
	e.submit(q, part, at, past, full)
	e.reapAll(q)
	for op, want := range map[*vfs.Op]int{part: block, at: 0, past: 0} {
		if op.N != want || op.Err != io.EOF {
			e.Errorf("read of %d bytes at %d of 8192 = %d, %v, want %d, EOF", len(op.Buf), op.Off, op.N, op.Err, want)
		}
	}
	e.wantDone(full)
	e.wantSame("read across the end", part.Buf[:block], data[block:])
}

func testQueueEmptyTransfers(e *env) {
	f := e.create("f", block)
	q := e.queue(2)
	r := &vfs.Op{Kind: vfs.OpRead, File: f, N: 5}
	w := &vfs.Op{Kind: vfs.OpWrite, File: f, N: 5, DSync: true}
	e.submit(q, r, w)
	e.reapAll(q)
	e.wantDone(r, w)
	e.wantSize(f, block)
}

// testQueueOwnFailure checks that one operation's failure is its own.
func testQueueOwnFailure(e *env) {
	e.must(e.create("ro", block).Close())
	ro := e.open("ro", vfs.OpenOptions{Direct: e.direct})
	f := e.create("f", 4*block)
	q := e.queue(4)
	bad := &vfs.Op{Kind: vfs.OpWrite, File: ro, Buf: e.filled(block, 1)}
	neg := &vfs.Op{Kind: vfs.OpRead, File: f, Buf: e.buf(block), Off: -block}
	good := &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: e.filled(block, 2)}
	e.submit(q, bad, neg, good)
	e.reapAll(q)
	e.wantFail("queued write to a file opened for reading", bad.Err)
	e.wantFail("queued read at a negative offset", neg.Err)
	if bad.N != 0 || neg.N != 0 {
		e.Errorf("failed operations transferred %d and %d bytes", bad.N, neg.N)
	}
	e.wantDone(good)
	e.wantAt(f, 0, good.Buf)
	e.submit(q, good)
	e.reapAll(q)
	e.wantDone(good)
}

func testQueueDSync(e *env) {
	q := e.queue(8)
	for name, mode := range map[string]vfs.SyncMode{"none": vfs.SyncNone, "data": vfs.SyncData, "full": vfs.SyncFull} {
		f := e.createWith(name, vfs.CreateOptions{Direct: e.direct, Sync: mode, Size: 4 * block})
		data := e.filled(8*block, 5)
		// Overwriting one, crossing the end with the next, and one beyond it.
		for _, off := range []int64{0, 3 * block, 6 * block} {
			w := &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: data[off : off+2*block], Off: off, DSync: true}
			e.submit(q, w)
			e.reapAll(q)
			e.wantDone(w)
			e.wantAt(f, off, w.Buf)
		}
		e.wantSize(f, 8*block)
		e.wantAt(f, 2*block, make([]byte, block))
	}
}

func testOpReuse(e *env) {
	f := e.create("f", block)
	q := e.queue(2)
	op, data, got := &vfs.Op{}, e.buf(block), e.buf(block)
	done := make([]*vfs.Op, 1)
	for i := range 50 {
		fill(data, byte(i))
		*op = vfs.Op{Kind: vfs.OpWrite, File: f, Buf: data, DSync: i%10 == 0, Tag: uint64(i)}
		e.submit(q, op)
		n, err := q.Reap(1, done)
		if n != 1 || err != nil || done[0] != op || op.Tag != uint64(i) {
			e.Fatalf("round %d: Reap(1) = %d, %v", i, n, err)
		}
		e.wantDone(op)
		// Only what the caller means to change is set anew: N and Err are results.
		op.Kind, op.Buf, op.DSync = vfs.OpRead, got, false
		e.submit(q, op)
		e.reapAll(q)
		e.wantDone(op)
		e.wantSame("reused operation", got, data)
	}
	// A failed operation may be submitted again too.
	op.Off = block
	e.submit(q, op)
	e.reapAll(q)
	if op.Err != io.EOF {
		e.Errorf("read at the end: %v", op.Err)
	}
	op.Off = 0
	e.submit(q, op)
	e.reapAll(q)
	e.wantDone(op)
}

// testReachable drops every reference to submitted operations and buffers and lets the
// garbage collector run before they are reaped.
func testReachable(e *env) {
	const n = 16
	f := e.create("f", n*block)
	q := e.queue(n)
	for i := range n {
		buf := alignedHeap(block)
		fill(buf, byte(i))
		e.submit(q, &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: buf, Off: int64(i) * block})
	}
	for range 3 {
		runtime.GC()
		for range 64 {
			fill(alignedHeap(block), 0xfe)
		}
	}
	e.wantDone(e.reapAll(q)...)
	want := e.buf(block)
	for i := range n {
		fill(want, byte(i))
		e.wantAt(f, int64(i)*block, want)
	}
}

// alignedHeap returns n bytes of the Go heap, aligned to the block.
func alignedHeap(n int) []byte {
	b := make([]byte, n+block)
	for i := range block {
		if aligned(b[i:]) {
			return b[i : i+n : i+n]
		}
	}
	return b[:n]
}

func testRegistrar(e *env) {
	q := e.queue(4)
	reg, ok := q.(vfs.Registrar)
	if !ok {
		return // registration is optional
	}
	f, g := e.create("f", 8*block), e.create("g", 8*block)
	mem, free, err := e.fs.Alloc(8 * block)
	e.must(err)
	e.frees = append(e.frees, free)
	// An error is advice: whatever comes of these, transfers work.
	if err := reg.RegisterBuffer(mem); err != nil {
		e.Logf("RegisterBuffer: %v", err)
	}
	if err := reg.RegisterFile(f); err != nil {
		e.Logf("RegisterFile: %v", err)
	}
	fill(mem[:4*block], 3)
	for round, target := range []vfs.File{f, g, f} {
		if round == 2 {
			reg.UnregisterFile(f)
		}
		w := &vfs.Op{Kind: vfs.OpWrite, File: target, Buf: mem[block : 3*block], Off: block, DSync: true, Link: true}
		r := &vfs.Op{Kind: vfs.OpRead, File: target, Buf: mem[5*block : 7*block], Off: block}
		e.submit(q, w, r)
		e.reapAll(q)
		e.wantDone(w, r)
		e.wantSame("registered memory", r.Buf, w.Buf)
		other := &vfs.Op{Kind: vfs.OpRead, File: target, Buf: e.buf(2 * block), Off: block}
		e.submit(q, other)
		e.reapAll(q)
		e.wantDone(other)
		e.wantSame("unregistered memory", other.Buf, w.Buf)
	}
	e.must(f.Close())
	if err := reg.RegisterFile(g); err != nil {
		e.Logf("RegisterFile: %v", err)
	}
	reg.UnregisterFile(g)
}
