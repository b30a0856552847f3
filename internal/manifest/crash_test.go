package manifest

import (
	"errors"
	iofs "io/fs"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// history is what a workload did, as its crash images are judged by.
type history struct {
	created bool
	acked   model
	maybe   []model // what failed or unfinished edits may have made of it
}

// allows reports whether a manifest may be found like this.
func (h *history) allows(got model) bool {
	if got.equal(h.acked) {
		return true
	}
	for _, m := range h.maybe {
		if got.equal(m) {
			return true
		}
	}
	return false
}

// judge opens an image and checks that it is allowed and undamaged.
func (h *history) judge(t *testing.T, what any, fs vfs.FS) *Manifest {
	t.Helper()
	m, r, err := open(fs, testDir, testRoom)
	if !h.created && errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	must(t, err)
	if r.Unnamed || len(r.Damaged) > 0 {
		t.Fatalf("%v: a power cut did damage: %+v", what, r)
	}
	if got := modelOf(m); !h.allows(got) {
		for _, m := range h.maybe {
			t.Logf("nor as after an edit that failed: %s", got.diff(m))
		}
		t.Fatalf("%v: recovered is not as acknowledged: %s\nreport %+v", what, got.diff(h.acked), r)
	}
	return m
}

// run applies n drawn edits, keeps h up to date, and carries on after failures.
func (h *history) run(t *testing.T, fs vfs.FS, seed uint64, n int) (failed int) {
	t.Helper()
	h.acked = newModel()
	m, err := create(fs, testDir, testStream, testRoom)
	for tries := 0; err != nil; tries++ {
		if tries == 2 {
			t.Fatalf("creating: %v", err)
		}
		failed++
		if m, _, err = open(fs, testDir, testRoom); err == nil {
			err = m.Rewrite() // its name may not be durable
		} else {
			m, err = create(fs, testDir, testStream, testRoom)
		}
	}
	h.created = true
	ed := newEditor(seed)
	for range n {
		e := ed.edit(h.acked)
		next := h.acked.with(e)
		h.maybe = append(h.maybe, next)
		if err := m.Apply(e); err != nil {
			failed++
		} else {
			h.acked, h.maybe = next, nil
		}
		check(t, m, h.acked)
		if ed.rng.IntN(8) == 0 && m.Mark() != nil {
			failed++
		}
	}
	if err := m.Close(); err != nil {
		failed++
	}
	return failed
}

func images(fs *memfs.FS, seeds uint64) []*memfs.FS {
	all := []*memfs.FS{fs.Crash(memfs.CrashOptions{}), fs.Crash(memfs.CrashOptions{Unsynced: memfs.Kept})}
	for s := range seeds {
		all = append(all, fs.Crash(memfs.CrashOptions{Unsynced: memfs.Random, Seed: s + 1}))
	}
	return all
}

func TestPowerCutAtEveryOperation(t *testing.T) {
	fs := newFS(t)
	var h history
	every := 1
	if testing.Short() {
		every = 7
	}
	fs.OnOp(func(op memfs.Op) {
		if op.N%every != 0 {
			return
		}
		for i, image := range images(fs, 4) {
			h.judge(t, [2]any{op, i}, image)
		}
	})
	if failed := h.run(t, fs, 3, 60); failed > 0 {
		t.Fatalf("%d operations failed without a fault", failed)
	}
	if fs.Ops() < 150 {
		t.Fatalf("only %d operations", fs.Ops())
	}
}

// TestSecondPowerCut cuts the power again while the recovered manifest is rewritten.
func TestSecondPowerCut(t *testing.T) {
	fs := newFS(t)
	var h history
	every := 1
	if testing.Short() {
		every = 7
	}
	fs.OnOp(func(op memfs.Op) {
		if op.N%every != 0 {
			return
		}
		image := fs.Crash(memfs.CrashOptions{Unsynced: memfs.Random, Seed: uint64(op.N)})
		m := h.judge(t, op, image)
		if m == nil {
			return
		}
		// What the first recovery found must not change any more.
		again := history{created: true, acked: modelOf(m)}
		image.OnOp(func(second memfs.Op) {
			for i, img := range images(image, 2) {
				again.judge(t, [3]any{op, second, i}, img)
			}
		})
		must(t, m.Rewrite())
		must(t, m.Close())
	})
	h.run(t, fs, 4, 25)
}
