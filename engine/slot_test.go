package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// slotOptions keeps segments small, so that their going shows.
func slotOptions() engine.Options {
	return engine.Options{WALFileBytes: 64 << 10, SegmentEntries: 4, MemoryBytes: 64 << 20,
		SlotMaxBytes: -1, SlotMaxAge: -1, SlotMaxIdle: -1}
}

const slotUID = engine.UID("slotted")

func slotOK(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func slotErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%v, want %v", err, want)
	}
}

func slotEqual[T any](t *testing.T, want, got T) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		t.Fatalf("is %v, want %v", got, want)
	}
}

func slotTrue(t *testing.T, ok bool) {
	t.Helper()
	if !ok {
		t.Fatal("does not hold")
	}
}

// slotLog opens an engine with one log of n committed entries.
func slotLog(t *testing.T, fs *memfs.FS, o engine.Options, n int) (*driven, *engine.Log) {
	t.Helper()
	d := openDriven(t, fs, o)
	l, err := d.Create(slotUID)
	slotOK(t, err)
	grow(t, l, n)
	return d, l
}

// grow appends n entries and commits them.
func grow(t *testing.T, l *engine.Log, n int) {
	t.Helper()
	for range n {
		last := l.Last()
		id := engine.EntryID{Term: 1, Index: last.Index + 1}
		slotOK(t, l.Append(last, []engine.Entry{makeEntry(slotUID, 1, id, 1000)}))
	}
	slotOK(t, l.SetCommitted(l.Last().Index))
}

// readSlot returns the indexes that a new reader of the slot delivers, and the cursor behind them.
func readSlot(t *testing.T, e *engine.Engine, name string) (got []engine.Index, at engine.Cursor) {
	t.Helper()
	r, err := e.OpenReader(slotUID, engine.FromSlot(name), engine.ReaderOptions{})
	slotOK(t, err)
	defer r.Close()
	for entry, err := range r.Entries(context.Background()) {
		slotOK(t, err)
		_, err := checkEntry(slotUID, entry, 1000)
		slotOK(t, err)
		got = append(got, entry.Index)
	}
	return got, r.Cursor()
}

func indexes(first, last engine.Index) (all []engine.Index) {
	for i := first; i <= last; i++ {
		all = append(all, i)
	}
	return all
}

// reborn is the engine after a power cut that loses what was not synced.
func reborn(t *testing.T, fs *memfs.FS, o engine.Options) (*driven, *engine.Log, *memfs.FS) {
	t.Helper()
	image := fs.Crash(memfs.CrashOptions{Unsynced: memfs.Lost})
	d := openDriven(t, image, o)
	l, err := d.Log(slotUID)
	slotOK(t, err)
	return d, l, image
}

// TestSlotHolds: released entries stay for the slot, for its readers only, until they are
// acknowledged durably; through flush, power cut and replay.
func TestSlotHolds(t *testing.T) {
	fs := memfs.New(1)
	d, l := slotLog(t, fs, slotOptions(), 40)
	slotOK(t, l.CreateSlot("s", 3))
	slotOK(t, l.Release(35))
	d.flush(t)
	for range 3 {
		_, err := l.Read(20)
		slotErr(t, err, engine.ErrCompacted)
		p, err := l.PlanRange(20, 20, engine.PlanOptions{})
		slotOK(t, err)
		for _, err := range p.Execute(context.Background()) {
			slotErr(t, err, engine.ErrCompacted)
		}
		p.Close()
		_, err = d.OpenReader(slotUID, engine.AtIndex(20), engine.ReaderOptions{})
		slotErr(t, err, engine.ErrCompacted)
		slotOK(t, l.SetCommitted(l.Last().Index))
		got, _ := readSlot(t, d.Engine, "s")
		slotEqual(t, indexes(4, 40), got)
		slotOK(t, d.Close(context.Background()))
		d, l, fs = reborn(t, fs, slotOptions())
		d.flush(t)
	}
	slotOK(t, l.AckSlot("s", 30))
	slotEqual(t, engine.Index(30), l.Slots()[0].Acked.Index)
	slotEqual(t, engine.Index(3), l.Slots()[0].Durable.Index)
	before := l.Stats().SegmentBytes
	got, _ := readSlot(t, d.Engine, "s")
	slotEqual(t, indexes(31, 35), got)
	cut, _, _ := reborn(t, fs, slotOptions()) // before that is durable
	got, _ = readSlot(t, cut.Engine, "s")
	slotEqual(t, indexes(4, 35), got)
	d.step("idle")
	d.drain(t, "commit", "pool", "flush")
	slotEqual(t, engine.Index(30), l.Slots()[0].Durable.Index)
	slotTrue(t, l.Stats().SegmentBytes < before/2)
	d, l, _ = reborn(t, fs, slotOptions())
	got, _ = readSlot(t, d.Engine, "s")
	slotEqual(t, indexes(31, 35), got)
	slotOK(t, l.SetCommitted(40))
	slotOK(t, l.DropSlot("s"))
	slotEqual(t, 0, len(l.Slots()))
	d.step("idle")
	d.drain(t, "commit", "pool", "flush")
	slotOK(t, d.Close(context.Background()))
}

// TestSlotAcks: positions do not go back, nor beyond what was delivered or committed.
func TestSlotAcks(t *testing.T) {
	d, l := slotLog(t, memfs.New(1), slotOptions(), 20)
	slotOK(t, l.CreateSlot("s", 0))
	r, err := d.OpenReader(slotUID, engine.FromSlot("s"), engine.ReaderOptions{})
	slotOK(t, err)
	ahead := engine.Cursor{UID: slotUID, Incarnation: r.Cursor().Incarnation, At: engine.EntryID{Term: 1, Index: 5}}
	slotErr(t, r.Ack(ahead), engine.ErrOutOfRange)
	for e, err := range r.Entries(context.Background()) {
		slotOK(t, err)
		slotOK(t, r.Ack(r.Cursor()))
		slotEqual(t, e.ID(), l.Slots()[0].Acked)
		if e.Index == 10 {
			break
		}
	}
	slotOK(t, r.Ack(ahead))
	slotEqual(t, engine.Index(10), l.Slots()[0].Acked.Index)
	slotErr(t, l.AckSlot("s", 21), engine.ErrOutOfRange)
	slotOK(t, l.AckSlot("s", 15))
	slotErr(t, l.TruncateTo(12), engine.ErrCommitted)
	other := ahead
	other.Incarnation++
	slotErr(t, r.Ack(other), engine.ErrIncarnation)
	wrong := ahead
	wrong.At = engine.EntryID{Term: 7, Index: 9}
	slotErr(t, r.Ack(wrong), engine.ErrDiverged)
	plain, err := d.OpenReader(slotUID, engine.FromFirst(), engine.ReaderOptions{})
	slotOK(t, err)
	slotErr(t, plain.Ack(ahead), engine.ErrNoSlot)
	slotEqual(t, "s", d.Readers()[slices.IndexFunc(d.Readers(), func(i engine.ReaderInfo) bool { return i.Slot != "" })].Slot)
	slotOK(t, d.Close(context.Background()))
}

// TestSlotManyAcks: what is acknowledged while much waits for the device becomes one record.
func TestSlotManyAcks(t *testing.T) {
	fs := memfs.New(1)
	d, l := slotLog(t, fs, slotOptions(), 5000)
	d.drain(t, "commit", "pool", "flush")
	slotOK(t, l.CreateSlot("s", 0))
	for i := range engine.Index(5000) {
		slotOK(t, l.AckSlot("s", i+1))
	}
	queued, durable := l.Controls()
	slotTrue(t, queued-durable < uint64(100))
	for range 3 {
		d.step("idle")
	}
	slotEqual(t, engine.Index(5000), l.Slots()[0].Durable.Index)
	_, l, _ = reborn(t, fs, slotOptions())
	slotEqual(t, engine.Index(5000), l.Slots()[0].Acked.Index)
}

// TestSlotRefusals covers names, places and repetition.
func TestSlotRefusals(t *testing.T) {
	d, l := slotLog(t, memfs.New(1), slotOptions(), 20)
	slotOK(t, l.Release(10))
	for _, name := range []string{"", "a b", "../x", "é", "a\x00", strings.Repeat("x", 65), strings.Repeat("x", 1<<20)} {
		err := l.CreateSlot(name, 10)
		slotErr(t, err, engine.ErrBadSlot)
		slotTrue(t, len(err.Error()) < 300)
		slotErr(t, l.DropSlot(name), engine.ErrNoSlot)
		slotErr(t, l.AckSlot(name, 12), engine.ErrNoSlot)
		_, err = d.OpenReader(slotUID, engine.FromSlot(name), engine.ReaderOptions{})
		slotErr(t, err, engine.ErrNoSlot)
		slotTrue(t, len(err.Error()) < 600)
	}
	var gap *engine.GapError
	slotTrue(t, errors.As(l.CreateSlot("low", 9), &gap))
	slotEqual(t, engine.Index(11), gap.First)
	slotErr(t, l.CreateSlot("high", 21), engine.ErrOutOfRange)
	slotOK(t, l.CreateSlot("a", 10))
	slotErr(t, l.CreateSlot("a", 12), engine.ErrSlotExists)
	for i := range engine.MaxSlots - 1 {
		slotOK(t, l.CreateSlot(fmt.Sprintf("slot-%d", i), 12))
	}
	slotErr(t, l.CreateSlot("more", 12), engine.ErrTooManySlots)
	slotErr(t, l.CreateSlotSync(canceled(), "more", 12), context.Canceled)
	slotOK(t, d.Close(context.Background()))
}

// TestSlotTwo: the lowest slot decides; ending it lets go of what only it kept.
func TestSlotTwo(t *testing.T) {
	d, l := slotLog(t, memfs.New(1), slotOptions(), 40)
	slotOK(t, l.CreateSlot("a", 4))
	slotOK(t, l.CreateSlot("b", 20))
	slotOK(t, l.Release(40))
	d.flush(t)
	held := l.Slots()
	slotTrue(t, held[0].HeldBytes > held[1].HeldBytes)
	r, err := d.OpenReader(slotUID, engine.FromSlot("a"), engine.ReaderOptions{})
	slotOK(t, err)
	slotOK(t, l.DropSlot("a"))
	for _, err := range r.Tail(context.Background()) {
		slotErr(t, err, engine.ErrNoSlot)
	}
	slotErr(t, l.CreateSlot("a", 30), engine.ErrCompacted)
	d.step("idle")
	d.drain(t, "commit", "pool", "flush")
	got, at := readSlot(t, d.Engine, "b")
	slotEqual(t, indexes(21, 40), got)
	slotOK(t, l.AckSlot("b", at.At.Index))
	d.step("idle")
	d.drain(t, "commit", "pool", "flush")
	slotTrue(t, l.Stats().Segments == 0)
	slotTrue(t, l.Slots()[0].HeldBytes == 0)
	slotOK(t, d.Close(context.Background()))
}

// TestSlotSnapshotQueued: what a queued snapshot will release can not be claimed any more, what a
// running capture will release can.
func TestSlotSnapshotQueued(t *testing.T) {
	for _, late := range []bool{false, true} {
		fs := memfs.New(1)
		d, l := slotLog(t, fs, slotOptions(), 40)
		d.drain(t, "commit", "pool")
		slotOK(t, l.Capture(engine.Capture{Kind: engine.KindSnapshot, At: engine.EntryID{Term: 1, Index: 30}, State: func(io.Writer) error { return nil }}))
		if late {
			d.step("snapshots")
			slotErr(t, l.CreateSlot("s", 10), engine.ErrCompacted)
			slotOK(t, l.CreateSlot("s", 30))
		} else {
			slotOK(t, l.CreateSlot("s", 10))
			d.step("snapshots")
		}
		d.step("idle")
		slotEqual(t, engine.Index(31), l.First())
		for range 2 {
			first := engine.Index(11)
			if late {
				first = 31
			}
			slotOK(t, l.SetCommitted(40))
			got, _ := readSlot(t, d.Engine, "s")
			slotEqual(t, indexes(first, 40), got)
			d.flush(t)
			d, l, fs = reborn(t, fs, slotOptions())
		}
	}
}

// TestSlotBounds: a slot beyond a bound is given up, with all that should hear of it, and what it
// held goes.
func TestSlotBounds(t *testing.T) {
	for name, bound := range map[string]func(*engine.Options){
		"bytes": func(o *engine.Options) { o.SlotMaxBytes = 1000 },
		"age":   func(o *engine.Options) { o.SlotMaxAge = time.Hour },
		"idle":  func(o *engine.Options) { o.SlotMaxIdle = time.Hour },
	} {
		t.Run(name, func(t *testing.T) { testSlotBound(t, bound) })
	}
}

func testSlotBound(t *testing.T, bound func(*engine.Options)) {
	fs, o := memfs.New(1), slotOptions()
	bound(&o)
	var events []engine.Event
	o.OnEvent = func(ev engine.Event) {
		if ev.Kind == engine.EventSlotInvalid {
			events = append(events, ev)
		}
	}
	d, l := slotLog(t, fs, o, 40)
	slotOK(t, l.CreateSlot("s", 4))
	slotOK(t, l.CreateSlot("ahead", 40))
	r, err := d.OpenReader(slotUID, engine.FromSlot("s"), engine.ReaderOptions{})
	slotOK(t, err)
	now := d.Now()
	d.CheckSlots(now)
	slotOK(t, l.Release(30))
	d.flush(t)
	if o.SlotMaxBytes < 0 {
		d.CheckSlots(now + int64(time.Minute))
		slotEqual(t, 0, len(events))
		d.CheckSlots(now + int64(2*time.Hour))
	}
	for range 20 {
		d.step("monitor")
	}
	slotEqual(t, 1, len(events))
	var lost *engine.SlotInvalidError
	slotTrue(t, errors.As(events[0].Err, &lost))
	slotEqual(t, engine.Range{First: 5, Last: 30}, lost.Lost)
	for _, err := range r.Tail(context.Background()) {
		slotErr(t, err, engine.ErrSlotInvalid)
	}
	slotTrue(t, errors.Is(l.AckSlot("s", 20), engine.ErrSlotInvalid))
	grow(t, l, 1)
	d.step("idle")
	d.drain(t, "commit", "pool", "flush")
	slotTrue(t, l.Stats().Segments <= 4)
	for range 2 {
		slots := l.Slots()
		slotEqual(t, 2, len(slots))
		slotTrue(t, !slots[0].Invalid)
		slotTrue(t, slots[1].Invalid)
		_, err = d.OpenReader(slotUID, engine.FromSlot("s"), engine.ReaderOptions{})
		slotErr(t, err, engine.ErrSlotInvalid)
		d, l, fs = reborn(t, fs, o)
		d.flush(t)
	}
	slotOK(t, l.DropSlot("s"))
	slotOK(t, l.CreateSlot("s", 30))
}

// TestSlotPins: what keeps bytes is listed while it does.
func TestSlotPins(t *testing.T) {
	d, l := slotLog(t, memfs.New(1), slotOptions(), 40)
	slotOK(t, l.CreateSlot("s", 4))
	slotOK(t, l.Release(30))
	d.flush(t)
	p, err := l.PlanRange(31, 40, engine.PlanOptions{})
	slotOK(t, err)
	kinds := map[engine.PinKind]engine.Pin{}
	for _, pin := range d.Pins() {
		kinds[pin.Kind] = pin
	}
	slotEqual(t, engine.Range{First: 5, Last: 30}, kinds[engine.PinSlot].Range)
	slotTrue(t, kinds[engine.PinSlot].Bytes > 0 && kinds[engine.PinPlan].Bytes > 0)
	p.Close()
	slotOK(t, l.DropSlot("s"))
	d.step("idle")
	d.drain(t, "commit", "pool", "flush")
	slotEqual(t, 0, len(l.Pins()))
}
