package ring

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/osfs"
)

// faulty is a kernel between a queue and a real ring that misbehaves on demand. It
// stages entries, so that it decides what the real one gets, and when.
type faulty struct {
	kernel
	staged []sqe
	room   int // places for staged entries

	// onPush sees each entry. It may shorten its transfer, or return true and the result
	// that the operation has instead of running. Where a real kernel then breaks the link
	// behind it, so does faulty.
	onPush func(e *sqe) (res int32, instead bool)
	// onEnter returns how many entries are taken, -1 for all, or the error of the call.
	onEnter func() (int, syscall.Errno)
	// onNext sees each completion and may change it.
	onNext func(c *cqe)
	// onClose runs when the queue has closed the ring.
	onClose func()
	lost    uint32

	cut     bool // the link behind the entry before is broken
	results map[uint64]int32
	pushes  int
	enters  int
}

func (f *faulty) push(e sqe) bool {
	if len(f.staged) == f.room {
		return false
	}
	f.pushes++
	f.staged = append(f.staged, e)
	return true
}

func (f *faulty) unsent() uint32         { return uint32(len(f.staged)) }
func (f *faulty) entry(i uint32) *sqe    { return &f.staged[i] }
func (f *faulty) dropped() uint32        { return f.lost }
func (f *faulty) sqSize() uint32         { return uint32(f.room) }
func (f *faulty) forward(e sqe)          { _ = f.kernel.push(f.spoil(e)) }
func (f *faulty) isOp(stamp uint64) bool { return stamp != discard }

// spoil lets onPush have its way, and cancels what is linked behind what it spoilt.
func (f *faulty) spoil(e sqe) sqe {
	if !f.isOp(e.userData) {
		return e
	}
	nop := sqe{opcode: opNop, fd: noDescriptor, userData: e.userData}
	linked, size := e.flags&sqeLink != 0, e.len
	if f.cut {
		f.results[e.userData] = -int32(syscall.ECANCELED)
		f.cut = linked
		return nop
	}
	if f.onPush == nil {
		return e
	}
	res, instead := f.onPush(&e)
	f.cut = linked && (instead || e.len < size)
	if f.cut {
		e.flags &^= sqeLink
	}
	if instead {
		f.results[e.userData] = res
		return nop
	}
	return e
}

func (f *faulty) enter(wait uint32) syscall.Errno {
	f.enters++
	take := -1
	if f.onEnter != nil {
		var e syscall.Errno
		if take, e = f.onEnter(); e != 0 {
			return e
		}
	}
	if take < 0 || take >= len(f.staged) {
		take = len(f.staged)
	} else {
		wait = 0
	}
	for _, e := range f.staged[:take] {
		f.forward(e)
	}
	if take > 0 {
		// What is linked behind the last entry taken is not linked any more.
		f.cut = false
	}
	f.staged = append(f.staged[:0], f.staged[take:]...)
	return f.kernel.enter(wait)
}

func (f *faulty) next() (cqe, bool) {
	c, ok := f.kernel.next()
	if !ok || !f.isOp(c.userData) {
		return c, ok
	}
	if res, ok := f.results[c.userData]; ok {
		delete(f.results, c.userData)
		c.res = res
	}
	if f.onNext != nil {
		f.onNext(&c)
	}
	return c, true
}

func (f *faulty) close() error {
	err := f.kernel.close()
	if f.onClose != nil {
		f.onClose()
	}
	return err
}

// failing is an onPush that fails each operation for which fail returns an errno.
func failing(fail func() syscall.Errno) func(*sqe) (int32, bool) {
	return func(*sqe) (int32, bool) {
		e := fail()
		return -int32(e), e != 0
	}
}

// bench is a queue over a faulty kernel and a file to use it on.
type bench struct {
	*testing.T
	k      *faulty
	q      *queue
	f      vfs.File
	direct bool
}

// needRing skips the test where this system has no io_uring.
func needRing(t testing.TB) {
	t.Helper()
	if c := Probe(); c.Err != nil {
		t.Skip(c.Err)
	}
}

// newBench makes a queue of depth operations whose rings have sq and cq entries.
func newBench(t *testing.T, direct bool, depth int, sq, cq uint32) *bench {
	t.Helper()
	needRing(t)
	r, err := newUring(sq, cq, false)
	if err != nil {
		t.Fatal(err)
	}
	k := &faulty{kernel: r, room: int(sq), results: map[uint64]int32{}}
	f, err := osfs.New(osfs.Options{Direct: true}).Create(filepath.Join(t.TempDir(), "f"),
		vfs.CreateOptions{Direct: direct, Size: 64 * vfs.BlockSize})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, k: k, q: newQueue(k, depth), f: f, direct: direct}
	t.Cleanup(func() {
		if !b.q.closed {
			b.must(b.q.Close())
		}
		b.must(f.Close())
	})
	return b
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) buf(blocks int, fill byte) []byte {
	b.Helper()
	buf, free, err := osfs.FS{}.Alloc(blocks * vfs.BlockSize)
	b.must(err)
	b.Cleanup(free)
	for i := range buf {
		buf[i] = fill + byte(i/512)
	}
	return buf
}

func (b *bench) write(block, blocks int, fill byte) *vfs.Op {
	b.Helper()
	return &vfs.Op{Kind: vfs.OpWrite, File: b.f, Buf: b.buf(blocks, fill), Off: int64(block) * vfs.BlockSize}
}

func (b *bench) read(block, blocks int) *vfs.Op {
	b.Helper()
	return &vfs.Op{Kind: vfs.OpRead, File: b.f, Buf: b.buf(blocks, 0), Off: int64(block) * vfs.BlockSize}
}

// chain links each operation to the next.
func chain(ops ...*vfs.Op) []*vfs.Op {
	for _, op := range ops[:len(ops)-1] {
		op.Link = true
	}
	return ops
}

// run submits and reaps all.
func (b *bench) run(ops ...*vfs.Op) {
	b.Helper()
	for _, op := range ops {
		b.must(b.q.Submit(op))
	}
	done := make([]*vfs.Op, len(ops))
	n, err := b.q.Reap(len(ops), done)
	if err != nil || n != len(ops) || b.q.Outstanding() != 0 {
		b.Fatalf("Reap = %d of %d, %v, %d outstanding", n, len(ops), err, b.q.Outstanding())
	}
}

// wantDone checks that each operation was carried out in full.
func (b *bench) wantDone(ops ...*vfs.Op) {
	b.Helper()
	for i, op := range ops {
		if op.Err != nil || op.N != len(op.Buf) {
			b.Errorf("operation %d moved %d of %d bytes: %v", i, op.N, len(op.Buf), op.Err)
		}
	}
}

func both(t *testing.T, fn func(t *testing.T, direct bool)) {
	t.Run("buffered", func(t *testing.T) { fn(t, false) })
	t.Run("direct", func(t *testing.T) { fn(t, true) })
}
