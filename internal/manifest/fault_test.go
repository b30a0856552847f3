package manifest

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// faultFS lets operation number at fail, and with more those that follow it.
type faultFS struct {
	*memfs.FS
	at, more int
	err      error
	short    bool // a failing write stores its first half
	sync     func(f *memfs.File)
	n        int
}

func (f *faultFS) trip() error {
	f.n++
	if f.n >= f.at && f.n <= f.at+f.more {
		return f.err
	}
	return nil
}

func (f *faultFS) Create(name string, o vfs.CreateOptions) (vfs.File, error) {
	if err := f.trip(); err != nil {
		return nil, err
	}
	return f.wrap(f.FS.Create(name, o))
}

func (f *faultFS) Open(name string, o vfs.OpenOptions) (vfs.File, error) {
	if err := f.trip(); err != nil {
		return nil, err
	}
	return f.wrap(f.FS.Open(name, o))
}

func (f *faultFS) wrap(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file.(*memfs.File), fs: f}, nil
}

func (f *faultFS) Rename(a, b string) error {
	if err := f.trip(); err != nil {
		return err
	}
	return f.FS.Rename(a, b)
}

func (f *faultFS) Remove(name string) error {
	if err := f.trip(); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

func (f *faultFS) List(dir string) ([]string, error) {
	if err := f.trip(); err != nil {
		return nil, err
	}
	return f.FS.List(dir)
}

func (f *faultFS) SyncDir(dir string) error {
	if err := f.trip(); err != nil {
		return err
	}
	return f.FS.SyncDir(dir)
}

type faultFile struct {
	*memfs.File
	fs   *faultFS
	dead bool // a write or sync failed: nothing but reading and closing is allowed
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	f.mustLive()
	err := f.fs.trip()
	if err == nil {
		return f.File.WriteAt(p, off)
	}
	f.dead = true
	n := 0
	if f.fs.short {
		n, _ = f.File.WriteAt(p[:len(p)/2], off)
	}
	return n, err
}

func (f *faultFile) Datasync() error { return f.syncWith(f.File.Datasync) }
func (f *faultFile) Sync() error     { return f.syncWith(f.File.Sync) }

func (f *faultFile) syncWith(sync func() error) error {
	f.mustLive()
	err := f.fs.trip()
	if err == nil {
		return sync()
	}
	f.dead = true
	if f.fs.sync != nil {
		f.fs.sync(f.File)
	}
	return err
}

func (f *faultFile) mustLive() {
	if f.dead {
		panic("a file was used after a write or sync to it had failed: " + f.Name())
	}
}

func (f *faultFile) Close() error {
	err := f.File.Close()
	if e := f.fs.trip(); e != nil {
		return e
	}
	return err
}

func TestEveryOperationFails(t *testing.T) {
	for name, proto := range map[string]faultFS{
		"EIO":    {err: syscall.EIO},
		"ENOSPC": {err: syscall.ENOSPC, short: true},
		"short":  {err: vfs.ErrShortWrite, short: true},
		"drop":   {err: syscall.EIO, sync: (*memfs.File).DropUnsynced},
		"revert": {err: syscall.EIO, sync: (*memfs.File).RevertUnsynced},
		"tear":   {err: syscall.EIO, short: true, sync: func(f *memfs.File) { f.TearUnsynced(7) }},
		"long":   {err: syscall.EIO, more: 9},
	} {
		t.Run(name, func(t *testing.T) {
			step := 1
			if testing.Short() {
				step = 11
			}
			for k := 1; ; k += step {
				fs := proto
				fs.FS, fs.at = newFS(t), k
				if fs.more > 0 && k < 11 {
					fs.at = 11 // after Create, whose retries are the caller's
				}
				var h history
				fs.FS.OnOp(func(op memfs.Op) {
					if fs.n < fs.at {
						return // as in TestPowerCutAtEveryOperation
					}
					h.judge(t, [2]any{k, op}, fs.FS.Crash(memfs.CrashOptions{Unsynced: memfs.Random, Seed: uint64(k)}))
				})
				h.run(t, &fs, uint64(k%3), 12)
				for i, image := range images(fs.FS, 2) {
					h.judge(t, [2]any{k, fmt.Sprint("end ", i)}, image)
				}
				if fs.n < fs.at {
					break
				}
			}
		})
	}
}

// TestFullDisk fills the disk, sees edits refused, and healed when space returns.
func TestFullDisk(t *testing.T) {
	fs := newFS(t)
	m := mustCreate(t, fs)
	want := newModel()
	ed := newEditor(1)
	must(t, m.Rewrite()) // now there is a predecessor, the reserve
	fs.SetCapacity(1 << 30)
	free, err := fs.FreeSpace("/")
	must(t, err)
	fs.SetCapacity(1<<30 - int64(free))
	refused, through := 0, 0
	for range 60 {
		id := ed.next
		e := Edit{Put: []Log{ed.log(id)}}
		ed.next++
		if err := m.Apply(e); err != nil {
			refused++
			if !full(err) {
				t.Fatalf("error is not about space: %v", err)
			}
			continue
		}
		through++
		want = want.with(e)
		check(t, m, want)
	}
	if refused == 0 || through < 2*testRoom/4096-2 {
		t.Errorf("%d edits went through, %d were refused: the reserve was not used", through, refused)
	}
	check(t, reopen(t, fs), want)
	fs.SetCapacity(-1)
	e := ed.edit(want)
	must(t, m.Apply(e))
	check(t, reopen(t, fs), want.with(e))
}
