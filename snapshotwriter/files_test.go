package snapshotwriter_test

import (
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/snapshotwriter"
)

func TestList(t *testing.T) {
	const log = dir + "/0000000000000007/"
	names := []string{
		"checkpoint-0000000000000001-0000000000000003", "checkpoint-0000000000000001-0000000000000004.tmp",
		"recovery-0000000000000001-0000000000000004", "recovery-0000000000000001-0000000000000005.tmp",
		"snapshot-0000000000000002-0000000000000001", "snapshot-0000000000000001-0000000000000002",
		"snapshot-0000000000000001-0000000000000009.part", "snapshot-0000000000000001-0000000000000008.bad",
		"0000000000000001.seg", "snapshot-1-2", "notes.tmp",
	}
	fs := newFS(t)
	if err := fs.MkdirAll(log + "snapshot-0000000000000001-00000000000000ff"); err != nil { // a directory
		t.Fatal(err)
	}
	for _, name := range names {
		if err := fs.WriteFile(log+name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	found, err := snapshotwriter.List(fs, log)
	if err != nil {
		t.Fatal(err)
	}
	stages := map[snapshot.Stage]string{}
	for _, f := range found {
		stages[f.Stage] += fmt.Sprint(f.Kind, " ", f.ID, " ", f.Bytes, "; ")
	}
	for stage, want := range map[snapshot.Stage]string{
		snapshot.Finished:  "snapshot 2/1 42; snapshot 1/2 42; checkpoint 1/3 44; recovery 1/4 42; ",
		snapshot.Writing:   "checkpoint 1/4 48; recovery 1/5 46; ",
		snapshot.Receiving: "snapshot 1/9 47; ",
		snapshot.SetAside:  "snapshot 1/8 46; ",
	} {
		if stages[stage] != want {
			t.Errorf("stage %d: %s, want %s", stage, stages[stage], want)
		}
	}
	if found, err := snapshotwriter.List(fs, dir+"/missing"); err != nil || found != nil {
		t.Errorf("%v, %v", found, err)
	}
	if _, err := snapshotwriter.List(errorfs.FailFrom(fs, 1, errorfs.EIO), log); err == nil {
		t.Error("a directory that cannot be read is empty")
	}
}
