package engine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// installScript is a run of installed snapshots of all kinds.
type installScript struct {
	*script
	// Of the transfer that goes on: what is sent to whom, and what the log makes of it.
	to   *history
	rec  rec
	sent *shipment

	replaced, kept int
}

func (s *installScript) run() {
	s.t.Helper()
	a, b := s.hist[s.uids[0]], s.hist[s.uids[1]]
	s.create(a)
	s.create(b)
	s.grow(a, 60)
	s.grow(b, 30)
	s.flushes()
	s.captures(a, engine.KindSnapshot, 20, 4)
	s.captures(a, engine.KindCheckpoint, 10, 5)
	s.slots(a, 25)
	s.slots(b, 10)
	s.grow(a, 20)
	s.plans(a)

	s.replaces(a, 7, 3, true) // over slots, entries that are not flushed and a checkpoint; with a break
	s.grow(a, 20)
	s.keepsAll()
	s.drop()
	s.replaces(b, 1, 9, false) // both before any flush
	s.replaces(b, 4, 2, false)
	s.flushes()
	s.grow(b, 30)
	s.holds(b, 10, 4) // what follows the snapshot stays
	s.flushes()
	s.captures(a, engine.KindSnapshot, 5, 3)
	s.compacts(a)
	s.replaces(a, 3, 50, false)
	s.slots(a, 0)
	s.flushes()
	s.breaksOff(a)
	s.removes(a) // with the file of a transfer
	s.flushes()
}

// slots makes a slot of the log behind its first n entries.
func (s *installScript) slots(h *history, n engine.Index) {
	s.t.Helper()
	s.on(h, func(l *engine.Log) {
		id := h.now.at(h.now.released.Index + n)
		s.did(l.SetCommitted(id.Index))
		if name := fmt.Sprintf("slot-%d", len(h.now.slots)); s.did(l.CreateSlot(name, id.Index)) {
			s.control(l, h, rec{kind: recSlotCreate, slot: name, id: id})
		}
	})
	s.commits()
}

// replaces installs a snapshot some entries behind the end of the log. Each every-th entry up to it is live, the
// log's own live ones and others.
func (s *installScript) replaces(h *history, behind, every engine.Index, broken bool) {
	s.t.Helper()
	h.term++
	r := rec{kind: recInstall, id: engine.EntryID{Term: h.term, Index: h.now.last().Index + behind}, terms: map[engine.Index]engine.Term{}}
	s.on(h, func(l *engine.Log) {
		trusted := max(h.now.snapshot.Index, h.now.released.Index, l.Committed())
		for i := engine.Index(1); i <= r.id.Index; i += every {
			switch term, live := h.now.live[i]; {
			case live:
				r.terms[i] = term
			case i <= h.now.released.Index:
				continue
			case i <= trusted:
				r.terms[i] = h.now.at(i).Term
			default:
				r.terms[i] = r.id.Term
			}
			r.live.Add(i)
		}
	})
	s.install(h, r, broken)
	s.replaced++
}

// holds installs a snapshot at an entry of the log.
func (s *installScript) holds(h *history, n, every engine.Index) {
	s.t.Helper()
	r := rec{kind: recSnapshot, id: h.now.at(h.now.released.Index + n), terms: map[engine.Index]engine.Term{}}
	for i := h.now.released.Index + 1; i <= r.id.Index; i += every {
		r.live.Add(i)
		r.terms[i] = h.now.at(i).Term
	}
	s.install(h, r, false)
	s.kept++
}

// install carries out one transfer, with a break before its end.
func (s *installScript) install(h *history, r rec, broken bool) {
	s.t.Helper()
	s.to, s.rec, s.sent = h, r, s.donate(h, r)
	s.on(h, func(l *engine.Log) {
		if broken {
			s.receive(l, h, r, s.sent, true)
		}
		s.receive(l, h, r, s.sent, false)
	})
	s.commits()
	if h.now.snapshot != r.id {
		s.fatalf("log %s has no snapshot at %v: %v", h.uid, r.id, h.now)
	}
	s.to = nil
}

// breaksOff begins a transfer that nobody takes up again.
func (s *installScript) breaksOff(h *history) {
	s.t.Helper()
	h.term++
	r := rec{kind: recInstall, id: engine.EntryID{Term: h.term, Index: h.now.last().Index + 2}}
	s.on(h, func(l *engine.Log) { s.receive(l, h, r, s.donate(h, r), true) })
}

// takesUp carries the transfer that the power cut interrupted to its end, on an image.
func (s *installScript) takesUp(image *world) {
	image.t.Helper()
	if s.to == nil {
		return
	}
	h := image.hist[s.to.uid]
	l := image.logOf(h)
	if l == nil || h.now.snapshot == s.rec.id {
		return
	}
	h.term = s.to.term
	image.receive(l, h, s.rec, s.sent, false)
	if image.rest(); h.now.snapshot != s.rec.id {
		image.fatalf("the transfer of %v does not go on: %v", s.rec.id, h.now)
	}
	h.parts = slices.DeleteFunc(slices.Clone(h.parts), func(id engine.EntryID) bool { return id == s.rec.id })
	image.lookAtAll()
	image.noneUnnamed()
}

// TestCutInstall cuts the power at every operation of installs: in each image what was acknowledged is there, the log
// being the old one or the new, no file is left that nobody names, and the transfer can be taken up.
func TestCutInstall(t *testing.T) {
	s := &installScript{script: newScript(t, *firstSeed)}
	cuts, every := 0, slowness
	s.mem.OnOp(func(op memfs.Op) {
		if op.N%every != 0 {
			return
		}
		for mode := range memfs.Random + 1 {
			cuts++
			o := memfs.CrashOptions{Unsynced: mode, Seed: uint64(op.N) + *firstSeed}
			image := s.fork(o, fmt.Sprintf("cut %+v at %d %v", o, op.N, op))
			image.survives()
			s.takesUp(image)
		}
	})
	s.open()
	s.run()
	s.mem.OnOp(nil)
	s.rest()
	s.lookAtAll()
	s.noneUnnamed()
	s.close()
	if s.replaced < 4 || s.kept < 1 {
		t.Errorf("%d logs were replaced, %d kept", s.replaced, s.kept)
	}
	t.Logf("%d cuts in %d operations", cuts, s.mem.Ops())
}
