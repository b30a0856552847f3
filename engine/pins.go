package engine

import (
	"cmp"
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// PinKind says what keeps bytes from going.
type PinKind string

const (
	// PinSnapshot: the file of a captured state that is published.
	PinSnapshot PinKind = "snapshot"
	// PinLive: segments with nothing but live entries of the newest snapshot.
	PinLive PinKind = "live entries"
	// PinSlot: what a slot holds of what was released; Name is the slot.
	PinSlot PinKind = "slot"
	// PinSnapshotReader: the file of a captured state that a reader has open.
	PinSnapshotReader PinKind = "snapshot reader"
	// PinPlan: segment files and memory of a read plan that is not closed.
	PinPlan PinKind = "plan"
	// PinReader: the memory of an external reader; Name is the reader's. It keeps no file.
	PinReader PinKind = "reader"
	// PinWAL: sealed write-ahead log files that wait for their flush. It belongs to no log.
	PinWAL PinKind = "WAL backlog"
)

// Pin is one reason why bytes are kept. Bytes that have several reasons count for each.
type Pin struct {
	UID  UID // "" for PinWAL
	Kind PinKind
	Name string
	// Range holds the entries that are kept, empty when they are not of one range.
	Range Range
	// At is the entry of a captured state.
	At    EntryID
	Bytes int64
}

// Pins lists what keeps bytes of the log, beside the entries that are not released. It takes short
// locks and reads no disk.
func (l *Log) Pins() []Pin {
	pins := append(l.ownPins(), l.e.planPins(func(id raftlog.LogID) *Log {
		if id != l.id {
			return nil
		}
		return l
	})...)
	for _, s := range l.e.readers.snapshot() {
		if s.log == l {
			pins = append(pins, s.pin())
		}
	}
	return sortPins(pins)
}

// Pins lists what keeps bytes of the engine, of all its logs.
func (e *Engine) Pins() []Pin {
	var pins []Pin
	logs := make(map[raftlog.LogID]*Log)
	for _, l := range e.logs.snapshot() {
		logs[l.id] = l
		pins = append(pins, l.ownPins()...)
	}
	pins = append(pins, e.planPins(func(id raftlog.LogID) *Log { return logs[id] })...)
	for _, s := range e.readers.snapshot() {
		pins = append(pins, s.pin())
	}
	if n := e.budget.sealed.Load(); n > 0 {
		pins = append(pins, Pin{Kind: PinWAL, Bytes: n})
	}
	return sortPins(pins)
}

func sortPins(pins []Pin) []Pin {
	slices.SortStableFunc(pins, func(a, b Pin) int {
		return cmp.Or(cmp.Compare(a.UID, b.UID), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.At.Index, b.At.Index))
	})
	return pins
}

// ownPins are those that the log itself knows of.
func (l *Log) ownPins() (pins []Pin) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.view.Load()
	for _, s := range l.durable.seldom().snapshots {
		pins = append(pins, Pin{UID: l.uid, Kind: PinSnapshot, Name: s.Kind.String(), At: s.ID, Bytes: s.Bytes})
		if l.e.captures.used(l.snapshotPath(s)) > 0 {
			pins = append(pins, Pin{UID: l.uid, Kind: PinSnapshotReader, Name: s.Kind.String(), At: s.ID, Bytes: s.Bytes})
		}
	}
	if live := v.liveBytes(); live > 0 {
		pins = append(pins, Pin{UID: l.uid, Kind: PinLive, Bytes: live})
	}
	for _, s := range l.durable.seldom().claims {
		if held := v.held(s.Acked.Index); held > 0 && !s.Invalid {
			pins = append(pins, Pin{UID: l.uid, Kind: PinSlot, Name: s.Name, At: s.Acked, Bytes: held,
				Range: Range{First: s.Acked.Index + 1, Last: v.released.Index}})
		}
	}
	return pins
}

// liveBytes are the segments at or below the floor, which stay for their live entries only.
func (v *view) liveBytes() (bytes int64) {
	if v.live == nil {
		return 0
	}
	for _, s := range v.segments {
		if s.Range.Last <= v.floor {
			bytes += s.Bytes
		}
	}
	return bytes
}

// planPins are those of read plans of the logs that of knows.
func (e *Engine) planPins(of func(raftlog.LogID) *Log) (pins []Pin) {
	for _, h := range e.executor.Held() {
		l := of(h.Log)
		if l == nil {
			continue
		}
		p := Pin{UID: l.uid, Kind: PinPlan, Bytes: h.MemoryBytes}
		for _, s := range h.Segments {
			p.Bytes += s.Bytes
		}
		pins = append(pins, p)
	}
	return pins
}

func (s *readerState) pin() Pin {
	return Pin{UID: s.log.uid, Kind: PinReader, Name: s.name, Bytes: s.holds.Load()}
}
