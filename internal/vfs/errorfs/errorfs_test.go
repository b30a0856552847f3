package errorfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"slices"
	"syscall"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

const block = vfs.BlockSize

// workload writes a block to /w/a, through a queue to /w/b, and publishes both by rename. It
// stops at the first error and returns it with the name of the failing step.
func workload(fs vfs.FS) (step string, err error) {
	try := func(name string, call func() error) {
		if err == nil {
			step, err = name, call()
		}
	}
	var f, g vfs.File
	buf := make([]byte, block)
	try("mkdir", func() error { return fs.MkdirAll("/w") })
	try("create a", func() (err error) { f, err = fs.Create("/w/a", vfs.CreateOptions{}); return err })
	try("write a", func() (err error) { _, err = f.WriteAt(bytes.Repeat([]byte{1}, block), 0); return err })
	try("datasync a", func() error { return f.Datasync() })
	try("size a", func() (err error) { _, err = f.Size(); return err })
	try("read a", func() (err error) { _, err = f.ReadAt(buf, 0); return err })
	try("truncate a", func() error { return f.Truncate(block) })
	try("sync a", func() error { return f.Sync() })
	try("close a", func() error { return f.Close() })
	try("rename a", func() error { return fs.Rename("/w/a", "/w/a2") })
	try("link a", func() error { return fs.Link("/w/a2", "/w/a3") })
	try("create b", func() (err error) { g, err = fs.Create("/w/b", vfs.CreateOptions{Size: block}); return err })
	try("queue b", func() error { return queued(fs, g) })
	try("close b", func() error { return g.Close() })
	try("open b", func() (err error) {
		g, err = fs.Open("/w/b", vfs.OpenOptions{Sync: vfs.SyncData, Write: true})
		return err
	})
	try("write b", func() (err error) { _, err = g.WriteAt(bytes.Repeat([]byte{3}, block), 0); return err })
	try("close b again", func() error { return g.Close() })
	try("list", func() (err error) { _, err = fs.List("/w"); return err })
	try("stat", func() (err error) { _, err = fs.Stat("/w/b"); return err })
	try("statfs", func() (err error) { _, err = fs.FreeSpace("/w"); return err })
	try("lock", func() error { return locked(fs) })
	try("remove", func() error { return fs.Remove("/w/a3") })
	try("syncdir", func() error { return fs.SyncDir("/w") })
	return step, err
}

func locked(fs vfs.FS) error {
	l, err := fs.Lock("/w/LOCK")
	if err != nil {
		return err
	}
	return l.Close()
}

func queued(fs vfs.FS, f vfs.File) error {
	q, err := fs.NewQueue(8)
	if err != nil {
		return err
	}
	defer q.Close()
	ops := []*vfs.Op{
		{Kind: vfs.OpWrite, File: f, Buf: bytes.Repeat([]byte{2}, block), DSync: true, Link: true},
		{Kind: vfs.OpRead, File: f, Buf: make([]byte, block), Link: true},
		{Kind: vfs.OpDatasync, File: f, Link: true},
		{Kind: vfs.OpSync, File: f},
	}
	for _, op := range ops {
		if err := q.Submit(op); err != nil {
			return err
		}
	}
	if n, err := q.Reap(len(ops), make([]*vfs.Op, len(ops))); err != nil || n != len(ops) {
		return fmt.Errorf("reaped %d operations: %w", n, err)
	}
	for i, op := range ops {
		if op.Err == nil {
			continue
		}
		for _, later := range ops[i+1:] {
			if later.Err != vfs.ErrCanceled {
				return fmt.Errorf("operation behind a failed one: %v", later.Err)
			}
		}
		return op.Err
	}
	return nil
}

// TestEveryOperation fails each operation of the workload by each fault.
func TestEveryOperation(t *testing.T) {
	all := errorfs.New(memfs.New(1), errorfs.Plan{})
	if step, err := workload(all); err != nil {
		t.Fatalf("%s: %v", step, err)
	}
	wantErr := map[errorfs.Fault]error{errorfs.NoSpace: syscall.ENOSPC, errorfs.ShortTransfer: vfs.ErrShortWrite}
	wantHits := map[errorfs.Fault]int{
		errorfs.EIO: all.Count(), errorfs.LateEIO: all.Count(), errorfs.NoSpace: 9, errorfs.ShortTransfer: 5,
		errorfs.SyncDropped: 7, errorfs.SyncReverted: 7, errorfs.SyncTorn: 7, errorfs.SyncKept: 7,
	}
	for _, fault := range errorfs.Faults() {
		t.Run(fault.String(), func(t *testing.T) {
			hits, steps := 0, []string{}
			for k, tripped := 1, true; tripped; k++ {
				fs := errorfs.FailAt(memfs.New(1), k, fault)
				step, err := workload(fs)
				tripped = fs.Tripped()
				if !tripped {
					if err != nil {
						t.Errorf("k=%d: nothing tripped but %s failed: %v", k, step, err)
					}
					break
				}
				hits++
				steps = append(steps, step)
				checkError(t, fmt.Sprintf("k=%d %s", k, step), err, wantErr[fault])
				if again, _ := workload(errorfs.FailAt(memfs.New(1), k, fault)); again != step {
					t.Errorf("k=%d failed %s, then %s", k, step, again)
				}
			}
			if hits != wantHits[fault] {
				t.Errorf("hit %d operations, want %d: %q", hits, wantHits[fault], steps)
			}
		})
	}
}

func checkError(t *testing.T, what string, err, want error) {
	t.Helper()
	if err == io.EOF && want == vfs.ErrShortWrite {
		return
	}
	if want == nil {
		want = syscall.EIO
	}
	var pe *iofs.PathError
	if !errors.Is(err, want) || !errors.As(err, &pe) || !slices.Contains([]string{"/w", "/w/a", "/w/a2", "/w/a3", "/w/b", "/w/LOCK"}, pe.Path) {
		t.Errorf("%s: error %v, want %v of a file", what, err, want)
	}
}

func TestSticky(t *testing.T) {
	fs := errorfs.FailFrom(memfs.New(1), 2, errorfs.EIO)
	if err := fs.MkdirAll("/a"); err != nil {
		t.Fatal(err)
	}
	if fs.Tripped() {
		t.Error("tripped before the second operation")
	}
	for range 3 {
		if _, err := fs.List("/a"); !errors.Is(err, syscall.EIO) {
			t.Errorf("List = %v, want EIO", err)
		}
	}
	fs.Heal()
	if _, err := fs.List("/a"); err != nil {
		t.Errorf("after Heal: %v", err)
	}
	if !fs.Tripped() || fs.Count() != 5 {
		t.Errorf("Tripped = %v, Count = %d, want true, 5", fs.Tripped(), fs.Count())
	}
	fs.Arm(errorfs.Plan{K: 1, Fault: errorfs.EIO, Match: func(op errorfs.Op) bool { return op.Name == "/b" }})
	if fs.Tripped() || fs.Count() != 0 {
		t.Error("Arm does not start anew")
	}
	if _, err := fs.Stat("/a"); err != nil {
		t.Errorf("Stat of another name than matched: %v", err)
	}
	if err := fs.MkdirAll("/b"); !errors.Is(err, syscall.EIO) {
		t.Errorf("matched operation: %v", err)
	}
	if err := fs.MkdirAll("/b"); err != nil {
		t.Errorf("once only: %v", err)
	}
}

func TestShortTransfers(t *testing.T) {
	for _, direct := range []bool{false, true} {
		fs := errorfs.New(memfs.New(1), errorfs.Plan{})
		f, err := fs.Create("/f", vfs.CreateOptions{Direct: direct, Size: 4 * block})
		if err != nil {
			t.Fatal(err)
		}
		buf, _, err := fs.Alloc(3 * block)
		if err != nil {
			t.Fatal(err)
		}
		want := 3 * block / 2
		if direct {
			want = block
		}
		for _, fault := range []errorfs.Fault{errorfs.ShortTransfer, errorfs.NoSpace} {
			fs.Arm(errorfs.Plan{K: 1, Fault: fault})
			copy(buf, bytes.Repeat([]byte{byte(fault)}, len(buf)))
			if n, err := f.WriteAt(buf, 0); n != want || err == nil {
				t.Errorf("direct %v, %v: WriteAt = %d, %v, want %d", direct, fault, n, err, want)
			}
			if n, err := f.ReadAt(buf, 0); n != len(buf) || err != nil {
				t.Fatalf("ReadAt = %d, %v", n, err)
			}
			if n := bytes.Count(buf, []byte{byte(fault)}); fault == errorfs.ShortTransfer && n != want {
				t.Errorf("direct %v: a short write stored %d bytes, want %d", direct, n, want)
			}
		}
		fs.Arm(errorfs.Plan{K: 1, Fault: errorfs.ShortTransfer})
		if n, err := f.ReadAt(buf, 0); n != want || err != io.EOF {
			t.Errorf("direct %v: short ReadAt = %d, %v, want %d, EOF", direct, n, err, want)
		}
	}
}
