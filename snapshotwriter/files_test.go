package snapshotwriter_test

import (
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/snapshotwriter"
)

func TestCleanup(t *testing.T) {
	const log = dir + "/0000000000000007/"
	names := []string{
		"checkpoint-0000000000000001-0000000000000003", "checkpoint-0000000000000001-0000000000000004.tmp",
		"recovery-0000000000000001-0000000000000004", "recovery-0000000000000001-0000000000000005.tmp",
		"snapshot-0000000000000002-0000000000000001", "snapshot-0000000000000001-0000000000000002",
		"snapshot-0000000000000001-0000000000000009.part", "snapshot-0000000000000001-0000000000000008.bad",
		"0000000000000001.seg", "snapshot-1-2", "notes.tmp",
	}
	for _, parts := range []bool{false, true} {
		fs := newFS(t)
		if err := fs.MkdirAll(log + "snapshot-0000000000000001-00000000000000ff"); err != nil { // a directory
			t.Fatal(err)
		}
		for _, name := range names {
			if err := fs.WriteFile(log+name, []byte(name)); err != nil {
				t.Fatal(err)
			}
		}
		found, err := snapshotwriter.Cleanup(fs, log, parts)
		if err != nil {
			t.Fatal(err)
		}
		var got string
		for _, f := range found {
			got += fmt.Sprint(f.Kind, " ", f.ID, " ", f.Bytes, "; ")
		}
		if want := "snapshot 2/1 42; snapshot 1/2 42; checkpoint 1/3 44; recovery 1/4 42; "; got != want {
			t.Errorf("finished: %s", got)
		}
		left, err := fs.List(log)
		if want := len(names) + 1 - 2; err != nil || parts && len(left) != want-1 || !parts && len(left) != want {
			t.Errorf("left: %v, %v", left, err)
		}
	}
}

// A file that cannot be removed keeps nobody from the others.
func TestCleanupFails(t *testing.T) {
	inner := newFS(t)
	for i := range 3 {
		if err := inner.WriteFile(fmt.Sprintf("%s/snapshot-0000000000000001-000000000000000%d.tmp", dir, i+1), nil); err != nil {
			t.Fatal(err)
		}
	}
	fs := errorfs.New(inner, errorfs.Plan{K: 1, Fault: errorfs.EIO, Match: func(op errorfs.Op) bool { return op.Kind == errorfs.OpRemove }})
	if found, err := snapshotwriter.Cleanup(fs, dir, false); err == nil || len(found) != 0 {
		t.Errorf("%v, %v", found, err)
	}
	if left, err := inner.List(dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	if found, err := snapshotwriter.Cleanup(inner, dir+"/missing", true); err != nil || found != nil {
		t.Errorf("%v, %v", found, err)
	}
	failing := errorfs.FailFrom(inner, 1, errorfs.EIO)
	if _, err := snapshotwriter.Cleanup(failing, dir, true); err == nil {
		t.Error("a directory that cannot be read is empty")
	}
}
