package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/wal"
)

// surveyLog is one log as recovery would leave it.
type surveyLog struct {
	id       raftlog.LogID
	uid      UID
	asOf     raftlog.Batch
	hard     HardState
	applied  Index
	released EntryID
	last     EntryID
	segments []raftlog.Segment
	runs     []walRun // ascending, behind the segments
	// snapshots are the captured states, and live what the newest snapshot keeps; slots are ascending by name, and
	// in the manifest as of batch slotsAsOf.
	snapshots []Snapshot
	live      *liveSet
	slots     []SlotClaim
	slotsAsOf raftlog.Batch
	broken    *QuarantineError
	deleted   bool       // what hit it before is no loss: its flush may have been skipped for that
	entries   []walEntry // of the log that is wanted only, ascending
	// installed are segments of live entries that an installed snapshot brought.
	installed []raftlog.Segment
}

// walRun is a stretch of entries of one term in one WAL file.
type walRun struct {
	first, last Index
	term        Term
	file        uint64
}

// walEntry is one entry in a WAL file.
type walEntry struct {
	id    EntryID
	typ   uint8
	crc   uint32
	size  int
	file  uint64
	batch raftlog.Batch
}

// surveyor applies the rules of replay to numbers. It implements wal.Visitor.
type surveyor struct {
	s      *survey
	want   UID
	asOf   map[raftlog.LogID]raftlog.Batch
	doubts map[*surveyLog]wal.Loss
	losses []surveyLoss
}

// surveyLoss is damage to be placed once all places are known.
type surveyLoss struct {
	log    *surveyLog
	loss   wal.Loss // zero when recovery itself did not see it
	damage Damage
}

func newSurveyor(s *survey, want UID) *surveyor {
	v := &surveyor{s: s, want: want, asOf: make(map[raftlog.LogID]raftlog.Batch), doubts: make(map[*surveyLog]wal.Loss)}
	s.logs = make(map[raftlog.LogID]*surveyLog)
	for m := range s.manifest.Logs() {
		v.adopt(m)
	}
	for _, d := range s.manifest.Damaged() {
		v.asOf[d.ID] = noBatch
		if d.Known && d.Last.UID != "" {
			l := v.adopt(d.Last)
			l.quarantine(lostRange(l.released.Index+1, 0), reasonManifest)
		}
	}
	return v
}

func (v *surveyor) adopt(m manifest.Log) *surveyLog {
	l := &surveyLog{id: m.ID, uid: m.UID, asOf: m.AsOf, hard: m.HardState, applied: m.Applied, released: m.Released,
		last: m.Last, snapshots: m.Snapshots, slots: m.Slots, slotsAsOf: m.SlotsAsOf}
	for _, c := range slices.Backward(m.Snapshots) {
		if c.Kind == KindSnapshot {
			l.live = v.s.readLive(l.id, c)
			break
		}
	}
	l.segments = l.keep().segments(m.Segments)
	if l.released.Index > l.last.Index {
		l.last = l.released
	}
	if q := m.Quarantine; q != nil {
		l.quarantine(q.Lost, q.Reason)
	}
	v.s.logs[m.ID], v.asOf[m.ID] = l, m.AsOf
	return l
}

func (v *surveyor) skip(id raftlog.LogID) raftlog.Batch { return v.asOf[id] }

func (l *surveyLog) quarantine(lost Range, reason string) {
	if l.broken == nil {
		l.broken = &QuarantineError{UID: l.uid, Lost: lost, Reason: reason}
	}
}

// walEntries counts the entries that no segment holds, live ones included.
func (l *surveyLog) walEntries() (n uint64) {
	live := l.liveEntries()
	for _, r := range l.runs {
		n += live.Floor(r.first).Limit(r.last).Len()
		if r.last > l.released.Index {
			n += uint64(r.last-max(r.first, l.released.Index+1)) + 1
		}
	}
	return n
}

// Record implements wal.Visitor.
func (v *surveyor) Record(r *wal.Record) error {
	l := v.s.logs[r.ID]
	if r.Kind == wal.KindCreate {
		if uid := UID(r.Payload); l == nil && uid.Validate() == nil {
			v.s.logs[r.ID] = &surveyLog{id: r.ID, uid: uid}
		}
		return nil
	}
	if l == nil || l.broken != nil && r.Kind != wal.KindDelete && r.Kind != wal.KindInstall {
		return nil
	}
	id := EntryID{Term: r.Term, Index: r.Index}
	switch r.Kind {
	case wal.KindEntry:
		v.entry(l, r)
	case wal.KindHardState:
		l.hard = manifest.MergeHardState(l.hard, HardState{Term: r.Term, Vote: string(r.Payload)})
	case wal.KindApplied:
		l.applied = max(l.applied, r.Index)
	case wal.KindRelease:
		if id.Index > l.released.Index {
			l.releaseTo(id, l.live)
		}
	case wal.KindSnapshot:
		v.published(l, r)
	case wal.KindSlot:
		l.slot(r)
	case wal.KindTruncate:
		l.cut(id)
	case wal.KindInstall:
		v.install(l, r)
	case wal.KindDelete:
		l.deleted = true
		delete(v.s.logs, l.id)
		delete(v.doubts, l)
	}
	return nil
}

// install replaces the log by an installed snapshot, as replay does.
func (v *surveyor) install(l *surveyLog, r *wal.Record) {
	in, err := decodeInstall(r)
	if err == nil && l.broken != nil && !in.heals {
		return
	}
	if err != nil {
		l.quarantine(lostRange(l.released.Index+1, 0), err.Error())
		return
	}
	l.released, l.last = in.snap.ID, in.snap.ID
	l.snapshots, l.live = []Snapshot{in.snap}, v.s.readLive(l.id, in.snap)
	l.slots = passedOver(l.slots, in.snap.ID)
	l.segments, l.runs, l.entries, l.broken = in.segments, nil, nil, nil
	l.installed = append(l.installed, in.segments...)
}

// slot applies the record of a slot, as replay does.
func (l *surveyLog) slot(r *wal.Record) {
	change, s, err := decodeSlot(r)
	if err != nil {
		l.quarantine(lostRange(l.released.Index+1, 0), err.Error())
		return
	}
	if !r.Tail && r.Batch <= l.slotsAsOf {
		return
	}
	l.slots = changeSlots(l.slots, change, s)
	l.segments = l.keep().segments(l.segments)
}

// releaseTo releases the log up to id but for the live entries.
func (l *surveyLog) releaseTo(id EntryID, live *liveSet) {
	l.released, l.live = id, live
	l.segments = l.keep().segments(l.segments)
	if id.Index > l.last.Index {
		l.last = id
	}
}

// cut makes to the last entry.
func (l *surveyLog) cut(to EntryID) {
	if to.Index < l.released.Index {
		to = l.released
	}
	if to.Index >= l.last.Index {
		return
	}
	l.last = to
	l.segments = cutSegments(l.segments, to.Index)
	n := len(l.runs)
	for n > 0 && l.runs[n-1].first > to.Index {
		n--
	}
	l.runs = l.runs[:n]
	if n > 0 {
		l.runs[n-1].last = min(l.runs[n-1].last, to.Index)
	}
	k, _ := slices.BinarySearchFunc(l.entries, to.Index+1, func(e walEntry, i Index) int { return cmp.Compare(e.id.Index, i) })
	l.entries = l.entries[:k]
}

func (v *surveyor) entry(l *surveyLog, r *wal.Record) {
	if r.Index <= l.released.Index {
		return
	}
	id := EntryID{Term: r.Term, Index: r.Index}
	if r.Prev > l.last.Index {
		v.lose(l, Damage{File: v.file(r.File), Offset: -1, Lost: lostRange(l.last.Index+1, r.Prev),
			What: fmt.Sprintf("entry %v follows entry %d, the log ends at %v", id, r.Prev, l.last)})
		return
	}
	if r.Prev < l.last.Index {
		l.cut(EntryID{Index: r.Prev})
	}
	if loss, doubted := v.doubts[l]; doubted && loss.LastBatch < r.Batch {
		delete(v.doubts, l)
	}
	l.last = id
	if n := len(l.runs); n > 0 && l.runs[n-1].file == r.File && l.runs[n-1].term == r.Term && l.runs[n-1].last+1 == r.Index {
		l.runs[n-1].last = r.Index
	} else {
		l.runs = append(l.runs, walRun{first: r.Index, last: r.Index, term: r.Term, file: r.File})
	}
	if l.uid == v.want {
		l.entries = append(l.entries, walEntry{id: id, typ: r.Type, crc: r.CRC, size: len(r.Payload), file: r.File, batch: r.Batch})
	}
}

// FileDone implements wal.Visitor.
func (v *surveyor) FileDone(uint64, raftlog.Batch, raftlog.Batch) error { return nil }
