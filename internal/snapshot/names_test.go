package snapshot_test

import (
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
)

func TestFileName(t *testing.T) {
	at := raftlog.EntryID{Term: 0x1f, Index: ^raftlog.Index(0)}
	for kind, want := range map[raftlog.SnapshotKind]string{
		raftlog.KindSnapshot:   "snapshot-000000000000001f-ffffffffffffffff",
		raftlog.KindCheckpoint: "checkpoint-000000000000001f-ffffffffffffffff",
		raftlog.KindRecovery:   "recovery-000000000000001f-ffffffffffffffff",
	} {
		if got := snapshot.FileName(kind, at); got != want {
			t.Errorf("%v is named %s", kind, got)
		}
		for stage := snapshot.Finished; stage <= snapshot.SetAside; stage++ {
			k, id, s, ok := snapshot.ParseName(want + stage.Suffix())
			if !ok || k != kind || id != at || s != stage {
				t.Errorf("%s%s: %v %v %v %t", want, stage.Suffix(), k, id, s, ok)
			}
			if _, _, partial, ok := snapshot.ParseFileName(want + stage.Suffix()); !ok || partial != (stage != snapshot.Finished) {
				t.Errorf("%s%s: partial %t %t", want, stage.Suffix(), partial, ok)
			}
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"", "snapshot", "snapshot-", "snapshot--", "kind-4-0000000000000001-0000000000000001",
		"snapshot-0000000000000001-0000000000000001", "checkpoint-0000000000000001-0000000000000001.part",
		"snapshot-000000000000000A-0000000000000001", "snapshot-+00000000000001-0000000000000001",
		"snapshot-0000000000000001-0000000000000001.tmp.tmp", "snapshot-0000000000000001-0000000000000001-",
		"0000000000000001.seg", "recovery-0000000000000001-000000000000001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		kind, id, stage, ok := snapshot.ParseName(name)
		if ok && snapshot.FileName(kind, id)+stage.Suffix() != name {
			t.Errorf("%q is %v %v %v", name, kind, id, stage)
		}
	})
}
