package ring

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"syscall"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
)

// shorten returns an onPush that cuts every second transfer short, inside a block.
func shorten(direct bool) func(*sqe) (int32, bool) {
	n := 0
	return func(e *sqe) (int32, bool) {
		if e.len == 0 {
			return 0, false
		}
		if n++; n%2 == 1 && direct {
			e.len = min(e.len, vfs.BlockSize+512)
		} else if n%2 == 1 {
			e.len = (e.len + 2) / 3
		}
		return 0, false
	}
}

func TestShortTransfersAreContinued(t *testing.T) {
	both(t, func(t *testing.T, direct bool) {
		b := newBench(t, direct, 8, 8, 8)
		b.k.onPush = shorten(direct)
		for i := range 10 {
			w, r := b.write(i, 5, byte(3*i+1)), b.read(i, 5)
			b.run(w)
			b.run(r)
			b.wantDone(w, r)
			if !bytes.Equal(w.Buf, r.Buf) {
				t.Fatalf("round %d: read differs from what was written", i)
			}
		}
		if b.k.pushes < 20*3/2 {
			t.Errorf("%d entries for 20 transfers: nothing was short", b.k.pushes)
		}
	})
}

func TestShortWriteBreaksNoLink(t *testing.T) {
	both(t, func(t *testing.T, direct bool) {
		b := newBench(t, direct, 8, 8, 8)
		b.k.onPush = shorten(direct)
		for i := range 10 {
			w, d, r := b.write(i, 4, byte(i+1)), &vfs.Op{Kind: vfs.OpDatasync, File: b.f}, b.read(i, 4)
			b.run(chain(w, d, r)...)
			b.wantDone(w, d, r)
			if !bytes.Equal(w.Buf, r.Buf) {
				t.Fatalf("round %d: the linked read ran before the write was complete", i)
			}
		}
	})
}

// TestRealShortWrite has the kernel itself break a link: a write that crosses the file
// size limit falls short, and its continuation fails.
func TestRealShortWrite(t *testing.T) {
	b := newBench(t, false, 4, 4, 4)
	var old, limit syscall.Rlimit
	b.must(syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old))
	limit = old
	limit.Cur = 65 * vfs.BlockSize
	b.must(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	defer func() { b.must(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old)) }()
	w, d := b.write(64, 3, 1), &vfs.Op{Kind: vfs.OpDatasync, File: b.f}
	b.run(chain(w, d)...)
	if !errors.Is(w.Err, syscall.EFBIG) || !errors.Is(w.Err, vfs.ErrShortWrite) || w.N != vfs.BlockSize {
		t.Errorf("write = %d, %v", w.N, w.Err)
	}
	if d.Err != vfs.ErrCanceled {
		t.Errorf("sync behind it: %v", d.Err)
	}
}

func TestStuckTransfers(t *testing.T) {
	both(t, func(t *testing.T, direct bool) {
		b := newBench(t, direct, 4, 4, 4)
		zero := false
		b.k.onPush = func(e *sqe) (int32, bool) {
			e.len = min(e.len, vfs.BlockSize+512)
			instead := zero
			zero = true
			return 0, instead
		}
		w, s := b.write(0, 2, 1), &vfs.Op{Kind: vfs.OpSync, File: b.f}
		b.run(chain(w, s)...)
		want := vfs.BlockSize
		if !direct {
			want += 512
		}
		if !errors.Is(w.Err, vfs.ErrShortWrite) || w.N != want {
			t.Errorf("write without progress = %d, %v", w.N, w.Err)
		}
		if s.Err != vfs.ErrCanceled {
			t.Errorf("sync behind a short write: %v", s.Err)
		}
		zero = false
		r := b.read(0, 2)
		b.run(r)
		if r.Err != io.EOF || r.N != vfs.BlockSize+512 {
			t.Errorf("read without progress = %d, %v", r.N, r.Err)
		}
	})
}

func TestPassingConditions(t *testing.T) {
	for _, e := range []syscall.Errno{syscall.EAGAIN, syscall.EINTR, syscall.ECANCELED, syscall.EFAULT} {
		for _, times := range []int{1, maxTries, 1 << 30} {
			b := newBench(t, true, 8, 8, 8)
			n := 0
			b.k.onPush = failing(func() syscall.Errno {
				if n++; n <= times {
					return e
				}
				return 0
			})
			w, d, r := b.write(1, 2, 7), &vfs.Op{Kind: vfs.OpDatasync, File: b.f}, b.read(1, 2)
			w.DSync = true
			b.run(chain(w, d, r)...)
			b.wantDone(w, d, r)
			if !bytes.Equal(w.Buf, r.Buf) {
				t.Errorf("%v, %d times: read differs from what was written", e, times)
			}
			if b.k.pushes > 6*(maxTries+2) {
				t.Errorf("%v: %d entries: repeated without bound", e, b.k.pushes)
			}
		}
	}
}

func TestFinalErrors(t *testing.T) {
	both(t, func(t *testing.T, direct bool) {
		b := newBench(t, direct, 8, 8, 8)
		for _, kind := range []vfs.OpKind{vfs.OpRead, vfs.OpWrite, vfs.OpDatasync, vfs.OpSync} {
			b.k.onPush = failing(func() syscall.Errno { return syscall.EIO })
			before := b.k.pushes
			op := &vfs.Op{Kind: kind, File: b.f, Buf: b.buf(1, 1)}
			b.run(op)
			var pe *fs.PathError
			if !errors.As(op.Err, &pe) || pe.Err != syscall.EIO || pe.Path != b.f.Name() || pe.Op != kindName(kind) {
				t.Errorf("%s: error %v", kindName(kind), op.Err)
			}
			if op.N != 0 || b.k.pushes != before+1 {
				t.Errorf("%s: moved %d bytes in %d tries", kindName(kind), op.N, b.k.pushes-before)
			}
		}
	})
}

// TestErrorBehindProgress fails the continuation of a short write.
func TestErrorBehindProgress(t *testing.T) {
	both(t, func(t *testing.T, direct bool) {
		b := newBench(t, direct, 8, 8, 8)
		first := true
		b.k.onPush = func(e *sqe) (int32, bool) {
			e.len = min(e.len, 2*vfs.BlockSize+1024)
			instead := !first
			first = false
			return -int32(syscall.ENOSPC), instead
		}
		w, behind := b.write(0, 4, 1), b.write(8, 1, 2)
		b.run(chain(w, behind)...)
		want := 2 * vfs.BlockSize
		if !direct {
			want += 1024
		}
		if w.N != want || !errors.Is(w.Err, vfs.ErrShortWrite) || !errors.Is(w.Err, syscall.ENOSPC) {
			t.Errorf("write = %d, %v", w.N, w.Err)
		}
		if behind.Err != vfs.ErrCanceled || behind.N != 0 {
			t.Errorf("linked write = %d, %v", behind.N, behind.Err)
		}
	})
}
