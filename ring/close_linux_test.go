package ring

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/osfs"
)

// pipe is a file whose reads wait for ever: the device that never answers.
type pipe struct {
	vfs.File // nil: a pipe offers a queue its descriptor and nothing else
	r, w     *os.File
}

func (p pipe) Fd() uintptr                       { return p.r.Fd() }
func (p pipe) Check(string, []byte, int64) error { return nil }
func (p pipe) Direct() bool                      { return false }
func (p pipe) Name() string                      { return "pipe" }

func newPipe(t *testing.T) pipe {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return pipe{r: r, w: w}
}

// TestCloseInFlight closes a queue under operations that would never end, with others
// linked behind them.
func TestCloseInFlight(t *testing.T) {
	b := newBench(t, true, 32, 4, 32)
	p := newPipe(t)
	var ops []*vfs.Op
	for i := range 8 {
		ops = append(ops,
			&vfs.Op{Kind: vfs.OpRead, File: p, Buf: make([]byte, 64), Link: i%2 == 0},
			b.write(i, 1, 1))
	}
	for _, op := range ops {
		b.must(b.q.Submit(op))
	}
	n, err := b.q.Reap(4, make([]*vfs.Op, 8))
	if n != 4 || err != nil {
		t.Fatalf("Reap = %d, %v", n, err)
	}
	b.must(b.q.Close())
	for i, op := range ops {
		switch {
		case i%4 == 3: // a write behind nothing
			b.wantDone(op)
		case op.Err != vfs.ErrCanceled || op.N != 0:
			t.Errorf("operation %d = %d, %v", i, op.N, op.Err)
		}
	}
	if b.q.Outstanding() != 0 || !errors.Is(b.q.Close(), vfs.ErrClosed) {
		t.Error("the queue is not closed")
	}
}

// TestCloseAfterLosses closes a queue whose operations fall short or fail in passing:
// what began is finished.
func TestCloseAfterLosses(t *testing.T) {
	for _, e := range []syscall.Errno{0, syscall.EAGAIN, syscall.ECANCELED} {
		b := newBench(t, true, 32, 32, 32)
		b.k.onPush = func(s *sqe) (int32, bool) {
			s.len = min(s.len, vfs.BlockSize)
			return -int32(e), e != 0
		}
		ops := chain(b.write(0, 3, 1), b.write(4, 3, 1), b.write(8, 3, 1))
		for _, op := range ops {
			b.must(b.q.Submit(op))
		}
		b.q.send()
		b.q.enter(0)
		b.must(b.q.Close())
		for i, op := range ops {
			if op.Err == nil {
				b.wantDone(op)
			} else if op.Err != vfs.ErrCanceled || op.N != 0 {
				t.Errorf("%v: operation %d = %d, %v", e, i, op.N, op.Err)
			}
		}
	}
}

// TestDroppedQueue forgets a queue with an operation in flight: the collector may free
// neither buffer nor queue before the kernel has let go.
func TestDroppedQueue(t *testing.T) {
	needRing(t)
	closed := make(chan struct{})
	p := newPipe(t)
	func() {
		r, err := newUring(4, 4, false)
		if err != nil {
			t.Fatal(err)
		}
		q := newQueue(&faulty{kernel: r, room: 4, results: map[uint64]int32{}, onClose: func() { close(closed) }}, 4)
		if err := q.Submit(&vfs.Op{Kind: vfs.OpRead, File: p, Buf: make([]byte, 1<<16)}); err != nil {
			t.Fatal(err)
		}
		if _, err := q.Reap(0, nil); err != nil {
			t.Fatal(err)
		}
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); ; {
		runtime.GC()
		select {
		case <-closed:
			return
		case <-tick.C:
		case <-deadline:
			t.Fatal("a queue without references was not closed")
		}
	}
}

// TestThreadEnds lets the thread that started an operation end before it completes: the
// kernel may cancel it, and the next owner of the queue must not notice.
func TestThreadEnds(t *testing.T) {
	b := newBench(t, true, 4, 4, 4)
	p := newPipe(t)
	op := &vfs.Op{Kind: vfs.OpRead, File: p, Buf: make([]byte, 5)}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // without Unlock the thread ends with the goroutine
		err := b.q.Submit(op)
		_, reapErr := b.q.Reap(0, nil)
		started <- errors.Join(err, reapErr)
	}()
	b.must(<-started)
	_, err := p.w.WriteString("hello")
	b.must(err)
	if n, err := b.q.Reap(1, make([]*vfs.Op, 1)); n != 1 || err != nil {
		t.Fatalf("Reap = %d, %v", n, err)
	}
	b.wantDone(op)
	if string(op.Buf) != "hello" {
		t.Errorf("read %q", op.Buf)
	}
}

// TestLinkAcrossReaps submits the second half of a link when the first is long over.
func TestLinkAcrossReaps(t *testing.T) {
	both(t, func(t *testing.T, direct bool) {
		b := newBench(t, direct, 4, 4, 4)
		for _, fails := range []bool{false, true} {
			w := b.write(0, 1, 1)
			w.Link = true
			if fails {
				b.k.onPush = failing(func() syscall.Errno { return syscall.EIO })
			}
			b.run(w)
			b.k.onPush = nil
			behind, free := b.write(1, 1, 2), b.write(2, 1, 3)
			b.run(behind, free)
			b.wantDone(free)
			if fails && behind.Err != vfs.ErrCanceled {
				t.Errorf("behind a failure: %v", behind.Err)
			} else if !fails {
				b.wantDone(behind)
			}
		}
	})
}

// TestRegisteredDescriptorIsReused closes a registered file and opens another one, which
// gets the same number: its data must not go to the old file.
func TestRegisteredDescriptorIsReused(t *testing.T) {
	b := newBench(t, false, 4, 4, 4)
	files, dir := osfs.FS{}, t.TempDir()
	old, err := files.Create(filepath.Join(dir, "old"), vfs.CreateOptions{})
	b.must(err)
	b.must(b.q.RegisterFile(old))
	b.must(b.q.RegisterFile(old))
	fd := old.(*osfs.File).Fd()
	b.must(old.Close()) // without UnregisterFile, which is wrong, and yet
	f, err := files.Create(filepath.Join(dir, "new"), vfs.CreateOptions{})
	b.must(err)
	defer f.Close()
	if f.(*osfs.File).Fd() != fd {
		t.Skip("the system gave another descriptor")
	}
	op := &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: []byte("new")}
	b.run(op)
	b.wantDone(op)
	if size, err := f.Size(); size != 3 || err != nil {
		t.Errorf("the new file has %d bytes, %v", size, err)
	}
	b.q.UnregisterFile(old)
	for range maxFiles {
		g, err := files.Open(f.Name(), vfs.OpenOptions{})
		b.must(err)
		defer g.Close()
		b.must(b.q.RegisterFile(g))
	}
	if err := b.q.RegisterFile(f); !errors.Is(err, errTableFull) {
		t.Errorf("one file too many: %v", err)
	}
}
