package engine_test

import (
	"errors"
	"testing"

	"github.com/rawl-db/rawl/engine"
)

func TestDiff(t *testing.T) {
	mem := capturedFS(t)
	e := openMemOffline(t, mem)
	if err := e.Backup(t.Context(), "/copy"); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	diff := func(uid engine.UID) []engine.LogDiff {
		t.Helper()
		all, err := engine.DiffOn(mem, "/db", "/copy", engine.DiffOptions{UID: uid})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for _, d := range diff("") {
		if !d.Equal() || d.Compared == 0 || d.LastA != d.LastB {
			t.Errorf("%+v", d)
		}
	}
	other, err := engine.OpenOn(mem, "/copy", offlineOptions)
	if err != nil {
		t.Fatal(err)
	}
	l, err := other.Log("a")
	at := engine.EntryID{Term: 1, Index: 43}
	if err == nil {
		_, err = other.CreateSync(t.Context(), "new")
		err = errors.Join(err, l.AppendSync(t.Context(), at, entries(at, 4, 3)))
	}
	if err != nil {
		t.Fatal(err)
	}
	captureSync(t, l, engine.KindSnapshot, 42, 3)
	closeEngine(t, other)
	all := diff("")
	if len(all) != 5 || all[0].At != 44 || all[0].A.Term != 1 || all[0].B.Term != 4 || all[0].Compared != 2 || all[0].LastB.Index != 46 {
		t.Errorf("%+v", all)
	}
	if n := all[4]; n.UID != "new" || n.InA || !n.InB {
		t.Errorf("%+v", n)
	}
	if one := diff("d"); len(one) != 1 || !one[0].Equal() {
		t.Errorf("%+v", one)
	}
	if _, err := engine.DiffOn(mem, "/db", "/copy", engine.DiffOptions{UID: "nobody"}); !errors.Is(err, engine.ErrNotFound) {
		t.Error(err)
	}
	// The full segment is one file in both directories.
	hit := dump(t, mem, "d", engine.DumpOptions{})[2]
	flipAt(t, mem, hit.File, hit.Offset)
	if one := diff("d"); one[0].Damaged != 2 || one[0].Equal() || one[0].At != 0 {
		t.Errorf("%+v", one)
	}
}
