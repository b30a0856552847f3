package engine_test

import (
	"context"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestSlotReaderAgain: a reader that is opened while acknowledgements of the one before are on their way
// goes on behind them; what they let go of meanwhile is not missing.
func TestSlotReaderAgain(t *testing.T) {
	for _, acks := range []engine.Index{1, 20, 100} { // of the last some are one record
		d, l := slotLog(t, memfs.New(1), slotOptions(), 120)
		slotOK(t, l.CreateSlot("s", 0))
		slotOK(t, l.Release(110))
		d.flush(t)
		for i := range acks {
			slotOK(t, l.AckSlot("s", i+1))
		}
		slotEqual(t, acks, l.Slots()[0].Acked.Index)
		r, err := d.OpenReader(slotUID, engine.FromSlot("s"), engine.ReaderOptions{})
		slotOK(t, err)
		slotEqual(t, acks, r.Cursor().At.Index)
		for range 3 {
			d.step("idle")
		}
		d.drain(t, "commit", "pool", "flush")
		slotEqual(t, acks, l.Slots()[0].Durable.Index)
		next := acks + 1
		for e, err := range r.Entries(context.Background()) {
			slotOK(t, err)
			slotEqual(t, next, e.Index)
			next++
		}
		slotEqual(t, engine.Index(121), next)
		slotOK(t, d.Close(context.Background()))
	}
}

// TestSlotNameAgain: a slot that takes the name of one that was dropped has nothing of it, whatever is
// durable of both.
func TestSlotNameAgain(t *testing.T) {
	for _, late := range []bool{false, true} {
		fs := memfs.New(1)
		d, l := slotLog(t, fs, slotOptions(), 40)
		slotOK(t, l.CreateSlot("s", 4))
		d.step("idle")
		d.drain(t, "commit")
		slotEqual(t, engine.Index(4), l.Slots()[0].Durable.Index)
		old, err := d.OpenReader(slotUID, engine.FromSlot("s"), engine.ReaderOptions{})
		slotOK(t, err)
		for e, err := range old.Entries(context.Background()) {
			if slotOK(t, err); e.Index == 35 {
				break
			}
		}
		slotOK(t, l.Release(20))
		slotOK(t, l.DropSlot("s"))
		slotOK(t, l.CreateSlot("s", 25))
		slotEqual(t, engine.EntryID{}, l.Slots()[0].Durable)
		got, _ := readSlot(t, d.Engine, "s")
		slotEqual(t, indexes(26, 40), got)
		if late {
			d.step("idle")
			d.drain(t, "commit", "pool", "flush")
			slotEqual(t, engine.Index(25), l.Slots()[0].Durable.Index)
		}
		slotErr(t, old.Ack(old.Cursor()), engine.ErrNoSlot)
		slotEqual(t, engine.Index(25), l.Slots()[0].Acked.Index)
		d, l, _ = reborn(t, fs, slotOptions())
		want := engine.Index(4)
		if late {
			want = 25
		}
		slotEqual(t, want, l.Slots()[0].Durable.Index)
		slotOK(t, l.SetCommitted(40))
		got, _ = readSlot(t, d.Engine, "s")
		slotEqual(t, indexes(want+1, 40), got)
	}
}

// TestSlotAckOfEarlier: an acknowledgement that began while the reader's slot stood does not move the one
// that took its name.
func TestSlotAckOfEarlier(t *testing.T) {
	d, l := slotLog(t, memfs.New(1), slotOptions(), 40)
	slotOK(t, l.CreateSlot("s", 4))
	ack := l.AckOf("s")
	slotOK(t, l.DropSlot("s"))
	slotErr(t, ack(10), engine.ErrNoSlot)
	slotOK(t, l.CreateSlot("s", 8))
	slotErr(t, ack(10), engine.ErrNoSlot)
	slotEqual(t, engine.Index(8), l.Slots()[0].Acked.Index)
	slotOK(t, d.Close(context.Background()))
}

// TestSlotEndNoGap: a reader whose slot ends in the middle of a step hears that, although what it wants
// is released by then.
func TestSlotEndNoGap(t *testing.T) {
	fs := memfs.New(1)
	d, l := slotLog(t, fs, slotOptions(), 40)
	slotOK(t, l.CreateSlot("s", 4))
	slotOK(t, l.Release(30))
	d.flush(t)
	d, l, _ = reborn(t, fs, slotOptions())
	d.flush(t)                                              // all to segments
	filter := func(engine.Index, engine.Term, uint8) bool { // the step fails, and looks again
		slotOK(t, l.DropSlot("s"))
		d.step("idle")
		d.drain(t, "commit", "pool", "flush")
		panic("no more")
	}
	r, err := d.OpenReader(slotUID, engine.FromSlot("s"), engine.ReaderOptions{Filter: filter})
	slotOK(t, err)
	for _, err := range r.Entries(context.Background()) {
		slotErr(t, err, engine.ErrNoSlot)
	}
	slotOK(t, d.Close(context.Background()))
}
