package snapshotwriter_test

import (
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

var kinds = []raftlog.SnapshotKind{raftlog.KindSnapshot, raftlog.KindCheckpoint, raftlog.KindRecovery}

func TestSizes(t *testing.T) {
	fs := newFS(t)
	w := writer(t, fs, nil)
	at := id(3, 10)
	for _, n := range []int{0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 40*chunk + 5} {
		for _, kind := range kinds {
			at.Index++
			data := state(uint64(n), n)
			mustWrite(t, fs, w, kind, at, data)
			if kind == raftlog.KindSnapshot {
				s := write(t, w, kind, id(4, at.Index), data).Snapshot
				check(t, fs.Crash(memfs.CrashOptions{}), s, data)
			}
		}
	}
}
