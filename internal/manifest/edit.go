package manifest

import (
	"fmt"
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// Edit is a set of changes that takes effect as a whole. An id may stand in several fields:
// Delete wins over Put, and hard states merge by MergeHardState.
type Edit struct {
	// AddWAL and DropWAL are numbers of WAL files that enter and leave service. DropWAL wins.
	AddWAL, DropWAL []uint64
	// NextFile and ReserveIDs raise the counters of these names; lower values change
	// nothing. AddWAL and Put raise them past what they name.
	NextFile   uint64
	ReserveIDs raftlog.LogID
	// Flushed is the WAL batch up to which the manifest and the segments hold the truth of
	// every log; lower values change nothing.
	Flushed raftlog.Batch
	// Put replaces values or adds logs; its hard state merges with the one before. An id must
	// not be put after it was deleted: the manifest keeps no tombstones. The manifest keeps
	// the Segments slices.
	Put []Log
	// PutHard merges hard states; ids that are not live are skipped.
	PutHard []Hard
	// Delete drops logs; ids that are not live are skipped.
	Delete []raftlog.LogID
	// Repaired clears Unnamed.
	Repaired bool
}

// Hard is a log's hard state.
type Hard struct {
	ID    raftlog.LogID
	State raftlog.HardState
}

// MergeHardState returns the newer of two hard states of a log: that of the higher term;
// within one term the vote that is not empty, a's when both are.
func MergeHardState(a, b raftlog.HardState) raftlog.HardState {
	if b.Term > a.Term || b.Term == a.Term && a.Vote == "" {
		return b
	}
	return a
}

// validate checks the rules of Edit and Log that need no image.
func (e *Edit) validate() error {
	for i := range e.Put {
		if err := e.Put[i].validate(); err != nil {
			return fmt.Errorf("%w: log %d: %w", ErrBadEdit, e.Put[i].ID, err)
		}
	}
	for _, h := range e.PutHard {
		if len(h.State.Vote) > raftlog.MaxVoteLen {
			return fmt.Errorf("%w: log %d: vote of %d bytes", ErrBadEdit, h.ID, len(h.State.Vote))
		}
	}
	if slices.Contains(e.AddWAL, 0) {
		return fmt.Errorf("%w: WAL file number 0", ErrBadEdit)
	}
	return nil
}

// delta is an edit made concrete against an image: at most one change per log, each with
// the value that results.
type delta struct {
	facts   facts
	changes []change
}

// plan returns what e does to the image, which stays as it is.
func (im *image) plan(e *Edit) delta {
	n := len(e.Put) + len(e.PutHard) + len(e.Delete)
	p := planner{im: im, at: make(map[raftlog.LogID]int, n), changes: make([]change, 0, n)}
	for i := range e.Put {
		p.put(&e.Put[i])
	}
	for _, h := range e.PutHard {
		p.putHard(h)
	}
	for _, id := range e.Delete {
		if _, planned := p.at[id]; planned || im.holds(id) {
			p.set(change{kind: kindDelete, id: id})
		}
	}
	return delta{facts: im.facts.plan(e), changes: p.changes}
}

func (im *image) holds(id raftlog.LogID) bool {
	return im.logs[id] != nil || im.damaged[id] != nil
}

func (f facts) plan(e *Edit) facts {
	f.nextFile = max(f.nextFile, e.NextFile)
	f.flushed = max(f.flushed, e.Flushed)
	f.reserved = max(f.reserved, e.ReserveIDs)
	for i := range e.Put {
		f.reserved = max(f.reserved, e.Put[i].ID)
	}
	if len(e.AddWAL)+len(e.DropWAL) > 0 {
		wal := append(slices.Clone(f.wal), e.AddWAL...)
		wal = slices.DeleteFunc(wal, func(n uint64) bool { return slices.Contains(e.DropWAL, n) })
		slices.Sort(wal)
		f.wal = slices.Compact(wal)
		for _, n := range e.AddWAL {
			f.nextFile = max(f.nextFile, n+1)
		}
	}
	f.unnamed = f.unnamed && !e.Repaired
	return f
}

// planner collects the changes of one edit.
type planner struct {
	im      *image
	at      map[raftlog.LogID]int // where a log's change stands in changes
	changes []change
}

func (p *planner) set(c change) {
	if i, ok := p.at[c.id]; ok {
		p.changes[i] = c
		return
	}
	p.at[c.id] = len(p.changes)
	p.changes = append(p.changes, c)
}

// current returns the log's value after what was planned so far, nil when it has none.
func (p *planner) current(id raftlog.LogID) *Log {
	if i, ok := p.at[id]; ok && p.changes[i].log != nil {
		return p.changes[i].log
	}
	if l := p.im.logs[id]; l != nil {
		return l
	}
	if d := p.im.damaged[id]; d != nil && d.Known {
		return &d.Last
	}
	return nil
}

func (p *planner) put(l *Log) {
	value := *l
	value.Segments = slices.Clip(value.Segments)
	value.Snapshots, value.Slots = slices.Clip(value.Snapshots), slices.Clip(value.Slots)
	if q := value.Quarantine; q != nil && len(q.Reason) > MaxReasonLen {
		value.Quarantine = &Quarantine{Lost: q.Lost, Reason: q.Reason[:MaxReasonLen]}
	}
	if old := p.current(l.ID); old != nil {
		value.HardState = MergeHardState(old.HardState, l.HardState)
	}
	p.set(change{kind: kindLog, id: l.ID, log: &value})
}

func (p *planner) putHard(h Hard) {
	old := p.current(h.ID)
	if old == nil {
		return
	}
	i, planned := p.at[h.ID]
	merged := old.HardState
	if planned && p.changes[i].kind == kindHard {
		merged = p.changes[i].hard
	}
	before := merged
	merged = MergeHardState(merged, h.State)
	if merged == before {
		return
	}
	if planned && p.changes[i].kind == kindLog {
		p.changes[i].log.HardState = merged
		return
	}
	p.set(change{kind: kindHard, id: h.ID, hard: merged})
}
