package ring

import (
	"bytes"
	"errors"
	"runtime"
	"syscall"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
)

// chains returns n chains that each overwrite one block length times and read it.
func (b *bench) chains(n, length int) (all []*vfs.Op, ends [][2]*vfs.Op) {
	b.Helper()
	for c := range n {
		var ops []*vfs.Op
		for i := range length {
			ops = append(ops, b.write(c, 1, byte(i)))
		}
		r := b.read(c, 1)
		all = append(all, chain(append(ops, r)...)...)
		ends = append(ends, [2]*vfs.Op{ops[length-1], r})
	}
	return all, ends
}

func (b *bench) wantChains(all []*vfs.Op, ends [][2]*vfs.Op) {
	b.Helper()
	b.wantDone(all...)
	for i, e := range ends {
		if !bytes.Equal(e[0].Buf, e[1].Buf) {
			b.Errorf("chain %d ran out of order", i)
		}
	}
}

// TestSmallRings pushes far more than the rings hold, in chains longer than they are.
func TestSmallRings(t *testing.T) {
	for _, size := range [][2]uint32{{1, 1}, {1, 2}, {4, 4}, {4, 8}, {16, 16}} {
		b := newBench(t, true, 256, size[0], size[1])
		all, ends := b.chains(12, 19)
		b.run(all...)
		b.wantChains(all, ends)
	}
}

func TestDeepQueue(t *testing.T) {
	needRing(t)
	b := newBench(t, false, 4, 4, 4)
	q, err := openQueue(maxDepth, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	ops := make([]*vfs.Op, maxDepth)
	for i := range ops {
		ops[i] = &vfs.Op{Kind: vfs.OpWrite, File: b.f, Buf: []byte{byte(i), byte(i >> 8)}, Off: int64(2 * i)}
		b.must(q.Submit(ops[i]))
	}
	if err := q.Submit(&vfs.Op{Kind: vfs.OpDatasync, File: b.f}); err != vfs.ErrQueueFull {
		t.Errorf("Submit beyond the depth: %v", err)
	}
	n, err := q.Reap(maxDepth, make([]*vfs.Op, maxDepth))
	if n != maxDepth || err != nil {
		t.Fatalf("Reap = %d, %v", n, err)
	}
	b.wantDone(ops...)
}

// TestPartialSubmit lets the kernel take a few entries a call, which cuts chains.
func TestPartialSubmit(t *testing.T) {
	for take := 1; take <= 5; take++ {
		b := newBench(t, true, 256, 16, 32)
		b.k.onEnter = func() (int, syscall.Errno) { return take, 0 }
		all, ends := b.chains(10, 7)
		b.run(all...)
		b.wantChains(all, ends)
	}
}

// TestPartialSubmitOfAFailingChain must not run what stands behind the failure.
func TestPartialSubmitOfAFailingChain(t *testing.T) {
	b := newBench(t, true, 16, 8, 16)
	b.k.onEnter = func() (int, syscall.Errno) { return 1, 0 }
	n := 0
	b.k.onPush = failing(func() syscall.Errno {
		if n++; n == 2 {
			return syscall.EIO
		}
		return 0
	})
	ops := chain(b.write(0, 1, 1), b.write(1, 1, 1), b.write(2, 1, 1), b.write(3, 1, 1))
	b.run(ops...)
	b.wantDone(ops[0])
	if !errors.Is(ops[1].Err, syscall.EIO) || ops[2].Err != vfs.ErrCanceled || ops[3].Err != vfs.ErrCanceled {
		t.Errorf("errors %v, %v, %v", ops[1].Err, ops[2].Err, ops[3].Err)
	}
	r := b.read(2, 2)
	b.k.onEnter, b.k.onPush = nil, nil
	b.run(r)
	if !bytes.Equal(r.Buf, make([]byte, len(r.Buf))) {
		t.Error("a canceled write reached the file")
	}
}

func TestEnterErrors(t *testing.T) {
	for _, e := range []syscall.Errno{syscall.EINTR, syscall.EAGAIN, syscall.EBUSY} {
		for _, times := range []int{1, maxStuck - 1, maxStuck + 40} {
			b := newBench(t, true, 64, 4, 8)
			n := 0
			b.k.onEnter = func() (int, syscall.Errno) {
				if n++; n <= times {
					return 0, e
				}
				return -1, 0
			}
			all, ends := b.chains(6, 5)
			b.run(all...)
			b.wantChains(all, ends)
		}
	}
}

// TestKernelOutOfMemory never lets the kernel take anything: ordinary calls do the work.
func TestKernelOutOfMemory(t *testing.T) {
	b := newBench(t, true, 64, 4, 8)
	b.k.onEnter = func() (int, syscall.Errno) { return 0, syscall.EAGAIN }
	all, ends := b.chains(6, 5)
	b.run(all...)
	b.wantChains(all, ends)
	before := b.k.pushes
	w := b.write(9, 1, 4)
	b.run(w)
	b.wantDone(w)
	if b.k.pushes != before {
		t.Error("entries were pushed although the kernel takes none")
	}
	b.k.onEnter = nil
	b.run(w)
	b.wantDone(w)
	if b.k.pushes != before+1 {
		t.Error("the queue did not return to the kernel when it could")
	}
}

func TestUnusableQueue(t *testing.T) {
	for name, breakIt := range map[string]func(*bench) error{
		"refused": func(b *bench) error {
			b.k.onEnter = func() (int, syscall.Errno) { return 0, syscall.EPERM }
			return syscall.EPERM
		},
		"lost completion": func(b *bench) error {
			b.k.lost++
			return errLost
		},
		"unknown completion": func(b *bench) error {
			b.k.onNext = func(c *cqe) { c.userData += 1 << 32 }
			return errUnknown
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, true, 4, 4, 4)
			want := breakIt(b)
			b.must(b.q.Submit(b.write(0, 1, 1)))
			if n, err := b.q.Reap(1, make([]*vfs.Op, 1)); n != 0 || !errors.Is(err, want) {
				t.Fatalf("Reap = %d, %v", n, err)
			}
			if err := b.q.Submit(b.write(0, 1, 1)); !errors.Is(err, want) {
				t.Errorf("Submit: %v", err)
			}
			err := b.q.Close()
			if name != "unknown completion" {
				b.must(err) // what the kernel had is accounted for
				return
			}
			if !errors.Is(err, errRunning) || !errors.Is(err, want) {
				t.Errorf("Close: %v", err)
			}
			// Whether the write runs is unknown to the queue only.
			runtime.SetFinalizer(b.q, nil)
			b.q.closed = true
			b.must(b.k.close())
		})
	}
}

// TestCompletionOverflow leaves more completions in a ring than it holds.
func TestCompletionOverflow(t *testing.T) {
	needRing(t)
	r, err := newUring(4, 4, false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	const n = 64
	for i := range n {
		if !r.push(sqe{opcode: opNop, fd: noDescriptor, userData: uint64(i)}) {
			t.Fatal("the submission ring is full although it was just emptied")
		}
		if e := r.enter(0); e != 0 && e != syscall.EBUSY {
			t.Fatal(e)
		}
		if r.unsent() != 0 {
			t.Skip("this kernel refuses entries while completions wait, which is as good")
		}
	}
	seen := map[uint64]bool{}
	for range n {
		for c, ok := r.next(); ok; c, ok = r.next() {
			seen[c.userData] = true
		}
		if e := r.enter(0); e != 0 {
			t.Fatal(e)
		}
	}
	if len(seen) != n || r.dropped() != 0 {
		t.Errorf("%d of %d completions came, %d were dropped", len(seen), n, r.dropped())
	}
}
