package errorfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// syncWays are the ways to make a write durable.
var syncWays = map[string]func(fs vfs.FS, f, dsync vfs.File, p []byte) error{
	"datasync": func(_ vfs.FS, f, _ vfs.File, p []byte) error {
		if _, err := f.WriteAt(p, 0); err != nil {
			return err
		}
		return f.Datasync()
	},
	"sync": func(_ vfs.FS, f, _ vfs.File, p []byte) error {
		if _, err := f.WriteAt(p, 0); err != nil {
			return err
		}
		return f.Sync()
	},
	"dsync file": func(_ vfs.FS, _, dsync vfs.File, p []byte) error {
		_, err := dsync.WriteAt(p, 0)
		return err
	},
	"dsync op": func(fs vfs.FS, f, _ vfs.File, p []byte) error {
		return runOp(fs, &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: p, DSync: true})
	},
	"queued datasync": func(fs vfs.FS, f, _ vfs.File, p []byte) error {
		if _, err := f.WriteAt(p, 0); err != nil {
			return err
		}
		return runOp(fs, &vfs.Op{Kind: vfs.OpDatasync, File: f})
	},
}

func runOp(fs vfs.FS, op *vfs.Op) error {
	q, err := fs.NewQueue(1)
	if err != nil {
		return err
	}
	defer q.Close()
	if err := q.Submit(op); err != nil {
		return err
	}
	if _, err := q.Reap(1, make([]*vfs.Op, 1)); err != nil {
		return err
	}
	return op.Err
}

// TestFailedSync checks what programs read and what the device has after a failed sync
// and a second one that succeeds.
func TestFailedSync(t *testing.T) {
	const size = 2 * memfs.SectorSize
	oldData, newData := bytes.Repeat([]byte{1}, size), bytes.Repeat([]byte{2}, size)
	cases := []struct {
		fault           errorfs.Fault
		cached, durable []byte // nil: any mix of sectors
	}{
		{errorfs.SyncDropped, newData, oldData},
		{errorfs.SyncReverted, oldData, oldData},
		{errorfs.SyncTorn, newData, nil},
		{errorfs.SyncKept, newData, newData},
	}
	for _, c := range cases {
		for way, syncBy := range syncWays {
			t.Run(fmt.Sprintf("%v/%s", c.fault, way), func(t *testing.T) {
				mem := memfs.New(1)
				if err := mem.WriteFile("/f", oldData); err != nil {
					t.Fatal(err)
				}
				fs := errorfs.New(mem, errorfs.Plan{})
				f, err := fs.Open("/f", vfs.OpenOptions{Write: true})
				if err != nil {
					t.Fatal(err)
				}
				dsync, err := fs.Open("/f", vfs.OpenOptions{Write: true, Sync: vfs.SyncData})
				if err != nil {
					t.Fatal(err)
				}
				fs.Arm(errorfs.Plan{K: 1, Fault: c.fault})
				if err := syncBy(fs, f, dsync, newData); !errors.Is(err, syscall.EIO) {
					t.Fatalf("the sync returned %v, want EIO", err)
				}
				if err := f.Datasync(); err != nil {
					t.Fatalf("the second sync: %v", err)
				}
				got := make([]byte, size)
				if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, c.cached) {
					t.Errorf("programs read %d.., %v", got[0], err)
				}
				for _, u := range []memfs.Unsynced{memfs.Lost, memfs.Kept, memfs.Random} {
					got, err := mem.Crash(memfs.CrashOptions{Unsynced: u}).ReadFile("/f")
					if err != nil || c.durable != nil && !bytes.Equal(got, c.durable) {
						t.Errorf("the device has %d.., %v", got[0], err)
					}
				}
			})
		}
	}
}

// TestFailedWriteStoresNothing: EIO of a write leaves the old bytes, on every way.
func TestFailedWriteStoresNothing(t *testing.T) {
	for way, write := range syncWays {
		mem := memfs.New(1)
		if err := mem.WriteFile("/f", []byte{1}); err != nil {
			t.Fatal(err)
		}
		fs := errorfs.New(mem, errorfs.Plan{})
		f, err := fs.Open("/f", vfs.OpenOptions{Write: true})
		if err != nil {
			t.Fatal(err)
		}
		dsync, err := fs.Open("/f", vfs.OpenOptions{Write: true, Sync: vfs.SyncFull})
		if err != nil {
			t.Fatal(err)
		}
		isWrite := func(op errorfs.Op) bool { return op.Kind == errorfs.OpWrite }
		fs.Arm(errorfs.Plan{K: 1, Fault: errorfs.EIO, Match: isWrite})
		if err := write(fs, f, dsync, []byte{2}); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v, want EIO", way, err)
		}
		if got, err := mem.ReadFile("/f"); err != nil || got[0] != 1 {
			t.Errorf("%s: the file holds %d, %v", way, got[0], err)
		}
	}
}

func TestLateFailureOfNames(t *testing.T) {
	mem := memfs.New(1)
	fs := errorfs.New(mem, errorfs.Plan{})
	late := errorfs.Plan{K: 1, Fault: errorfs.LateEIO}
	fs.Arm(late)
	if f, err := fs.Create("/a", vfs.CreateOptions{}); f != nil || !errors.Is(err, syscall.EIO) {
		t.Errorf("Create = %v, %v", f, err)
	}
	fs.Arm(late)
	if l, err := fs.Lock("/LOCK"); l != nil || !errors.Is(err, syscall.EIO) {
		t.Errorf("Lock = %v, %v", l, err)
	}
	if l, err := fs.Lock("/LOCK"); err != nil {
		t.Errorf("a lock whose taking failed is held: %v", err)
	} else if err := l.Close(); err != nil {
		t.Error(err)
	}
	fs.Arm(late)
	if err := fs.Rename("/a", "/b"); !errors.Is(err, syscall.EIO) {
		t.Errorf("Rename = %v", err)
	}
	if got := mem.Files(); len(got) != 2 || got[1] != "/b" {
		t.Errorf("files %q, want the rename carried out", got)
	}
	fs.Arm(late)
	if err := fs.SyncDir("/"); !errors.Is(err, syscall.EIO) {
		t.Errorf("SyncDir = %v", err)
	}
	if got := mem.Crash(memfs.CrashOptions{}).Files(); len(got) != 2 {
		t.Errorf("durable files %q, want those of a SyncDir carried out", got)
	}
}
