package engine

import (
	"fmt"

	"github.com/rawl-db/rawl/wal"
)

// Controls returns how many control records of the log were queued since the engine was opened,
// and how many of them are durable.
func (l *Log) Controls() (queued, durable uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.controls); n > 0 {
		return l.controls[n-1].seq, l.done
	}
	return l.done, l.done
}

// Dump describes where the log's entries are, for people who look for a bug.
func (l *Log) Dump() string {
	v := l.view.Load()
	s := fmt.Sprintf("released %v floor %d live %v\n", v.released, v.floor, v.live)
	for _, k := range v.chain {
		s += fmt.Sprintf(" table start %d first %d last %d durable %d sparse %v\n", k.start, k.table.First(), k.table.Last(), k.table.Durable(), k.table.Sparse())
	}
	s += fmt.Sprintf(" view segments %+v\n", v.segments)
	m, ok := l.e.manifest.Log(l.id)
	return s + fmt.Sprintf(" manifest %v %+v\n durable %+v", ok, m, l.durable)
}

// Parked returns how many goroutines wait for the log, by both of its counts.
func (l *Log) Parked() (listed, counted int) {
	x := l.outside()
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.mu.sleepers), int(x.parked.Load())
}

// Outside reports whether the log keeps anything for external readers.
func (l *Log) Outside() bool { return l.external.Load() != nil }

// CheckSlots is the monitor's look at all slots at some time of the engine's clock, which Now tells.
func (e *Engine) CheckSlots(now int64) { e.checkSlots(now) }

// Now is the engine's clock, in nanoseconds.
func (e *Engine) Now() int64 { return e.now() }

// Dir is the directory of the log's files.
func (l *Log) Dir() string { return l.e.logDir(l.id) }

// Installed are the segments of installed snapshots that are durable and not in the manifest.
func (l *Log) Installed() (segments []Segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, in := range l.durable.seldom().installs {
		segments = append(segments, in.segments...)
	}
	return segments
}

// GiveUpSlot does to a slot what exceeding a bound does.
func (l *Log) GiveUpSlot(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.slotLocked(name)
	if err == nil && l.giveUpSlotLocked(s, "for the test") == nil {
		err = ErrBusy
	}
	return err
}

// DecodeInstall decodes the payload of a wal.KindInstall record for a snapshot at id, and encodes it again.
func DecodeInstall(payload []byte, id EntryID) (again []byte, segments []Segment, err error) {
	in, err := decodeInstall(&wal.Record{Index: id.Index, Term: id.Term, Payload: payload})
	if err != nil {
		return nil, nil, err
	}
	again, err = appendInstall(nil, in)
	return again, in.segments, err
}

// EncodeInstall is the payload for a snapshot of that length with live entries in segments.
func EncodeInstall(s Snapshot, segments []Segment, heals bool) ([]byte, error) {
	return appendInstall(nil, &installation{snap: s, segments: segments, heals: heals})
}

// AckOf is what a reader of the slot that has the name now does to acknowledge.
func (l *Log) AckOf(name string) func(Index) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	state := l.slots[name]
	return func(i Index) error { return l.ackSlotOf(name, state, i) }
}

// PlanListed plans two ranges in one attempt, calls between before the second, and reports whether
// the attempt may become a plan.
func (l *Log) PlanListed(first Range, between func(), second Range) bool {
	b, err := l.e.executor.Begin(l.id, PlanOptions{}, l.readError)
	if err != nil {
		return false
	}
	defer b.Drop()
	b.Reset(2)
	p := l.planning(b)
	if !p.addAll([]Range{first}) {
		return false
	}
	between()
	return p.addAll([]Range{second}) && p.listed()
}
