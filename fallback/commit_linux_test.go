package fallback_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/rawl-db/rawl/fallback"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/osfs"
	"golang.org/x/sys/unix"
)

const commitFile = 4 << 20

// committer writes one block at a time through a queue, round and round a file that is
// written over its whole length.
type committer struct {
	fs   *fallback.FS
	file vfs.File
	q    vfs.Queue
	op   vfs.Op
	done []*vfs.Op
}

func newCommitter(t testing.TB, fs *fallback.FS, dir string, direct, dsync bool) *committer {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c := &committer{fs: fs, done: make([]*vfs.Op, 1)}
	var err error
	c.file, err = fs.Create(filepath.Join(dir, "commits"), vfs.CreateOptions{Direct: direct, Size: commitFile})
	check(err)
	c.q, err = fs.NewQueue(8)
	check(err)
	buf, free, err := fs.Alloc(commitFile)
	check(err)
	_, err = c.file.WriteAt(buf, 0)
	check(err)
	check(c.file.Sync())
	t.Cleanup(func() {
		check(c.q.Close())
		check(c.file.Close())
		free()
	})
	c.op = vfs.Op{Kind: vfs.OpWrite, File: c.file, Buf: buf[:vfs.BlockSize], DSync: dsync}
	return c
}

func (c *committer) commit() error {
	c.op.Off = (c.op.Off + vfs.BlockSize) % commitFile
	if err := c.q.Submit(&c.op); err != nil {
		return err
	}
	n, err := c.q.Reap(1, c.done)
	if n != 1 || err != nil {
		return fmt.Errorf("Reap(1) = %d, %w", n, err)
	}
	return c.op.Err
}

// bare is the same write as one system call and nothing else.
func (c *committer) bare(flags uintptr) error {
	c.op.Off = (c.op.Off + vfs.BlockSize) % commitFile
	vec := unix.Iovec{Base: &c.op.Buf[0]}
	vec.SetLen(len(c.op.Buf))
	n, _, errno := unix.Syscall6(unix.SYS_PWRITEV2, c.file.(*osfs.File).Fd(),
		uintptr(unsafe.Pointer(&vec)), 1, uintptr(c.op.Off), 0, flags)
	if errno != 0 || n != vfs.BlockSize {
		return fmt.Errorf("pwritev2 = %d, %w", n, errno)
	}
	return nil
}

func TestCommitAllocatesNothing(t *testing.T) {
	commits := func(t *testing.T, c *committer) {
		if n := testing.AllocsPerRun(20, func() {
			if err := c.commit(); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations per commit", n)
		}
	}
	t.Run("fallback", func(t *testing.T) {
		fs, dir := openBuffered(t, 0)
		commits(t, newCommitter(t, fs, dir, false, true))
	})
	t.Run("direct", func(t *testing.T) {
		fs, dir := openDirect(t, 0)
		commits(t, newCommitter(t, fs, dir, true, true))
	})
}

// writeCalls returns how many write system calls this thread has made.
func writeCalls(t *testing.T) (n int) {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/io")
	if err != nil {
		t.Skipf("the kernel does not count system calls: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "syscw: %d", &n); err == nil {
			return n
		}
	}
	t.Skip("the kernel does not count system calls")
	return 0
}

// TestDirectCommitIsOneWrite counts the system calls of this test's thread: a commit runs
// on it, and is one write each.
func TestDirectCommitIsOneWrite(t *testing.T) {
	fs, dir := openDirect(t, 0)
	c := newCommitter(t, fs, dir, true, true)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := writeCalls(t)
	const commits = 32
	for range commits {
		if err := c.commit(); err != nil {
			t.Fatal(err)
		}
	}
	if got := writeCalls(t) - before; got != commits {
		t.Errorf("%d commits made %d write calls on their caller's thread", commits, got)
	}
}

// BenchmarkCommit alternates between the queue and the bare system call on the same file,
// so that both see the same device. page-cache writes without a sync, which shows what
// the queue itself costs.
func BenchmarkCommit(b *testing.B) {
	run := func(b *testing.B, c *committer, flags uintptr) {
		b.ReportAllocs()
		var queue, bare time.Duration
		for b.Loop() {
			start := time.Now()
			err := c.commit()
			middle := time.Now()
			if err == nil {
				err = c.bare(flags)
			}
			if err != nil {
				b.Fatal(err)
			}
			queue += middle.Sub(start)
			bare += time.Since(middle)
		}
		b.ReportMetric(float64(queue)/float64(b.N), "queue-ns/op")
		b.ReportMetric(float64(bare)/float64(b.N), "bare-ns/op")
		b.ReportMetric(float64(queue)/float64(bare), "queue/bare")
	}
	b.Run("direct", func(b *testing.B) {
		fs, dir := openDirect(b, 0)
		run(b, newCommitter(b, fs, dir, true, true), unix.RWF_DSYNC)
	})
	b.Run("page-cache", func(b *testing.B) {
		fs, dir := openDirect(b, 0)
		run(b, newCommitter(b, fs, dir, false, false), 0)
	})
}
