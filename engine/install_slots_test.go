package engine_test

import (
	"context"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// slotted is a log of 30 entries, released up to 10, with slots behind and at its end.
func slotted(t *testing.T, fs *memfs.FS, o engine.Options) (*driven, *engine.Log) {
	t.Helper()
	d, l := slotLog(t, fs, o, 30)
	slotOK(t, l.CreateSlot("behind", 4))
	slotOK(t, l.CreateSlot("late", 4))
	slotOK(t, l.Release(10))
	d.flush(t)
	return d, l
}

// begin installs a snapshot up to the record, which is not durable when it returns.
func (s *shipment) begin(t *testing.T, l *engine.Log) {
	t.Helper()
	in, err := l.Install(s.header)
	slotOK(t, err)
	slotOK(t, s.send(in))
	_, err = in.Finish(&ending{Context: canceled()})
	slotErr(t, err, context.Canceled)
}

// TestInstallEndsSlots replaces a log under its slots: those that wanted what is gone end, for all who should hear
// of it, and a crash before the record is durable has them back with what they hold.
func TestInstallEndsSlots(t *testing.T) {
	fs, o := memfs.New(1), slotOptions()
	var events []engine.Event
	o.OnEvent = func(ev engine.Event) {
		if ev.Kind == engine.EventSlotInvalid {
			events = append(events, ev)
		}
	}
	d, l := slotted(t, fs, o)
	r, err := d.OpenReader(slotUID, engine.FromSlot("behind"), engine.ReaderOptions{})
	slotOK(t, err)
	slotOK(t, l.AckSlot("late", 20)) // neither is this durable when the log is replaced
	s := ship(t, 40, always(2), 100, 7, 35)
	s.begin(t, l)
	slotEqual(t, 2, len(events))
	for k, first := range []engine.Index{5, 21} {
		lost := wantAs[*engine.SlotInvalidError](t, "event", events[k].Err)
		slotEqual(t, engine.Range{First: first, Last: 40}, lost.Lost)
		slotEqual(t, s.id, lost.Snapshot)
		slotEqual(t, lost.Acked, events[k].Entry)
	}
	for _, err := range r.Entries(t.Context()) {
		slotErr(t, err, engine.ErrSlotInvalid)
	}
	r.Close()
	slotErr(t, l.AckSlot("late", 25), engine.ErrSlotInvalid)
	slotErr(t, l.CreateSlot("behind", 40), engine.ErrSlotExists)

	before, beforeLog, _ := reborn(t, fs, o)
	got, _ := readSlot(t, before.Engine, "behind")
	slotEqual(t, engine.Index(5), got[0])
	slotEqual(t, engine.Index(4), beforeLog.Slots()[1].Acked.Index)

	d.drain(t, "commit", "pool", "flush")
	for _, flush := range []bool{false, false, true, true} {
		for _, slot := range l.Slots() {
			slotTrue(t, slot.Invalid && slot.HeldBytes == 0)
			_, err := d.OpenReader(slotUID, engine.FromSlot(slot.Name), engine.ReaderOptions{})
			slotErr(t, err, engine.ErrSlotInvalid)
			slotErr(t, l.AckSlot(slot.Name, 40), engine.ErrSlotInvalid)
		}
		if flush {
			d.flush(t)
		}
		d, l, fs = reborn(t, fs, o)
	}
	slotEqual(t, 2, len(events))
	slotOK(t, l.DropSlot("behind"))
	slotOK(t, l.CreateSlot("behind", 40))
	grow2(t, l, 3)
	got, _ = readSlot(t, d.Engine, "behind")
	slotEqual(t, indexes(41, 43), got)
}

// grow2 appends entries of term 2 and commits them.
func grow2(t *testing.T, l *engine.Log, n int) {
	t.Helper()
	for range n {
		last := l.Last()
		id := engine.EntryID{Term: 2, Index: last.Index + 1}
		slotOK(t, l.Append(last, []engine.Entry{makeEntry(slotUID, 1, id, 1000)}))
	}
	slotOK(t, l.SetCommitted(l.Last().Index))
}

// TestHealedLogKeepsSlotBounds: the slots of a log that was quarantined are watched again once a snapshot has
// healed it.
func TestHealedLogKeepsSlotBounds(t *testing.T) {
	fs, o := memfs.New(1), slotOptions()
	o.SlotMaxBytes = 1
	d, l := slotLog(t, fs, o, 30)
	slotOK(t, l.CreateSlot("end", 30))
	slotOK(t, l.Append(l.Last(), []engine.Entry{{Term: 1, Index: 31, Data: []byte("to be damaged")}}))
	grow(t, l, 1)
	d.drain(t, "commit", "pool")
	slotOK(t, d.Close(t.Context()))
	damageText(t, fs, "to be damaged")
	d = openDriven(t, fs, o)
	l, err := d.Log(slotUID)
	slotOK(t, err)
	slotErr(t, l.SetApplied(1), engine.ErrQuarantined)
	d.CheckSlots(d.Now())
	ship(t, 30, always(2), 100).begin(t, l)
	d.drain(t, "commit", "pool", "flush")
	slotTrue(t, !l.Slots()[0].Invalid)
	grow2(t, l, 9)
	slotOK(t, l.Release(39))
	d.drain(t, "commit", "pool", "flush")
	d.CheckSlots(d.Now())
	slotTrue(t, l.Slots()[0].Invalid)
}

// TestSlotMadeAnew: a slot that takes the name of one which was dropped begins where it was made, before either is
// durable.
func TestSlotMadeAnew(t *testing.T) {
	d, l := slotLog(t, memfs.New(1), slotOptions(), 40)
	slotOK(t, l.CreateSlot("s", 4))
	d.flush(t)
	slotOK(t, l.DropSlot("s"))
	slotOK(t, l.CreateSlot("s", 30))
	got, _ := readSlot(t, d.Engine, "s")
	slotEqual(t, indexes(31, 40), got)
	slotOK(t, l.AckSlot("s", 35))
	slotEqual(t, engine.EntryID{}, l.Slots()[0].Durable)
	d.step("idle")
	d.drain(t, "commit")
	slotEqual(t, engine.Index(35), l.Slots()[0].Durable.Index)
}
