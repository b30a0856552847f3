package engine_test

import (
	"bytes"
	"path"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestBackupBesideDamage: a snapshot that proves damaged while a backup runs keeps its name until that ends, so that
// the copy holds all that was listed.
func TestBackupBesideDamage(t *testing.T) {
	mem := memfs.New(1)
	d, l := slotLog(t, mem, slotOptions(), 30)
	d.drain(t, "commit", "pool")
	slotOK(t, l.Capture(engine.Capture{Kind: engine.KindSnapshot, At: engine.EntryID{Term: 1, Index: 20}, State: noState}))
	d.step("snapshots")
	grow(t, l, 1)
	d.flush(t)
	name := path.Join(l.Dir(), snapshot.FileName(engine.KindSnapshot, l.Snapshots()[0].ID))
	size, err := mem.Stat(name)
	slotOK(t, err)
	flipAt(t, mem, name[len("/db/"):], size.Size-1)
	damaged, err := mem.ReadFile(name)
	slotOK(t, err)
	met := false
	mem.OnOp(func(memfs.Op) {
		if met {
			return
		}
		met = true
		_, err := l.Restore(t.Context())
		slotErr(t, err, engine.ErrQuarantined)
		_, err = mem.Stat(name)
		slotOK(t, err)
	})
	slotOK(t, d.Backup(t.Context(), "/copy"))
	mem.OnOp(nil)
	slotTrue(t, met)
	for _, holds := range []string{name + snapshot.BadSuffix, "/copy" + name[len("/db"):]} {
		b, err := mem.ReadFile(holds)
		slotOK(t, err)
		slotTrue(t, bytes.Equal(b, damaged))
	}
	_, err = mem.Stat(name)
	slotTrue(t, err != nil)
}
