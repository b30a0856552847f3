package ring

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/osfs"
)

// commit is the hot path: one durable write into a file that was written before.
type commit struct {
	q    vfs.Queue
	op   vfs.Op
	done [1]*vfs.Op
	f    *osfs.File
}

const commitSize = 16 << 20

func newCommit(t testing.TB, q vfs.Queue, size int, register bool) *commit {
	t.Helper()
	files := osfs.New(osfs.Options{Direct: true})
	f, err := files.Create(filepath.Join(t.TempDir(), "wal"), vfs.CreateOptions{Direct: true, Size: commitSize})
	if err != nil {
		t.Fatal(err)
	}
	buf, free, err := files.Alloc(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	for off := int64(0); off < commitSize; off += int64(len(buf)) {
		if _, err := f.WriteAt(buf, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if register {
		r := q.(vfs.Registrar)
		if err := r.RegisterFile(f); err != nil {
			t.Log(err)
		}
		if err := r.RegisterBuffer(buf); err != nil {
			t.Log(err)
		}
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		free()
	})
	return &commit{q: q, f: f.(*osfs.File), op: vfs.Op{Kind: vfs.OpWrite, File: f, Buf: buf[:size], DSync: true}}
}

// next moves to where the next batch goes.
func (c *commit) next() { c.op.Off = (c.op.Off + int64(len(c.op.Buf))) % commitSize }

// ring commits through the queue.
func (c *commit) ring(t testing.TB) {
	c.next()
	if err := c.q.Submit(&c.op); err != nil {
		t.Fatal(err)
	}
	if n, err := c.q.Reap(1, c.done[:]); n != 1 || err != nil || c.op.Err != nil {
		t.Fatal(n, err, c.op.Err)
	}
}

// call commits with one pwritev2.
func (c *commit) call(t testing.TB) {
	c.next()
	if _, err := c.f.WriteAtDSync(c.op.Buf, c.op.Off); err != nil {
		t.Fatal(err)
	}
}

func TestCommitIsOneEnterAndNoAllocation(t *testing.T) {
	needRing(t)
	allowed := map[string]float64{"giouring": 1}[bindingName] // that one is the library's
	for _, register := range []bool{false, true} {
		k, err := newKernel(1, false)
		if err != nil {
			t.Fatal(err)
		}
		enters := &counted{kernel: k}
		c := newCommit(t, newQueue(enters, 1), vfs.BlockSize, register)
		c.ring(t)
		enters.n, enters.interrupted = 0, 0
		const n = 200
		if got := testing.AllocsPerRun(n, func() { c.ring(t) }); got > allowed {
			t.Errorf("%v allocations per commit", got)
		}
		if enters.n != n+1+enters.interrupted { // AllocsPerRun warms up once
			t.Errorf("%d calls, of which %d were interrupted, for %d commits", enters.n, enters.interrupted, n+1)
		}
	}
}

// counted counts calls, and those that a signal ended before there was a completion: the
// kernel reports them as successful when they handed entries over.
type counted struct {
	kernel
	n, interrupted int
	entered        bool
}

func (c *counted) enter(wait uint32) syscall.Errno {
	c.n++
	c.entered = true
	return c.kernel.enter(wait)
}

func (c *counted) next() (cqe, bool) {
	e, ok := c.kernel.next()
	if c.entered && !ok {
		c.interrupted++
	}
	c.entered = false
	return e, ok
}

func BenchmarkCommit(b *testing.B) {
	needRing(b)
	for _, size := range []int{4 << 10, 64 << 10, 256 << 10, 1 << 20} {
		name := map[int]string{4 << 10: "4k", 64 << 10: "64k", 256 << 10: "256k", 1 << 20: "1m"}[size]
		for _, way := range []string{"pwritev2", "ring", "ring-registered"} {
			b.Run(name+"/"+way, func(b *testing.B) {
				q, err := openQueue(1, Options{})
				if err != nil {
					b.Fatal(err)
				}
				c := newCommit(b, q, size, way == "ring-registered")
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if way == "pwritev2" {
						c.call(b)
					} else {
						c.ring(b)
					}
				}
			})
		}
	}
}

// BenchmarkQueueOverhead measures the path without a device: a read from the page cache.
func BenchmarkQueueOverhead(b *testing.B) {
	needRing(b)
	q, err := openQueue(1, Options{})
	if err != nil {
		b.Fatal(err)
	}
	f, err := osfs.FS{}.Create(filepath.Join(b.TempDir(), "f"), vfs.CreateOptions{Size: vfs.BlockSize})
	if err != nil {
		b.Fatal(err)
	}
	op, done := &vfs.Op{Kind: vfs.OpRead, File: f, Buf: make([]byte, 64)}, make([]*vfs.Op, 1)
	b.ReportAllocs()
	for b.Loop() {
		if err := q.Submit(op); err != nil {
			b.Fatal(err)
		}
		if _, err := q.Reap(1, done); err != nil || op.Err != nil {
			b.Fatal(err, op.Err)
		}
	}
	if err := q.Close(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}
