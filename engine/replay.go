package engine

import (
	"fmt"
	"maps"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/memtable"
	"github.com/rawl-db/rawl/wal"
)

// replay rebuilds the logs from the manifest and the WAL files. It implements wal.Visitor.
// Nothing else runs meanwhile, so it changes logs without their locks.
type replay struct {
	e    *Engine
	logs map[raftlog.LogID]*Log
	asOf map[raftlog.LogID]raftlog.Batch
	// slotsAsOf is up to which batch the manifest has the slots of a log.
	slotsAsOf map[raftlog.LogID]raftlog.Batch
	report    wal.Report
	began     int64 // by the engine's clock

	// The file being read: what its flush will need.
	order  []*Log
	shares map[*Log]*wal.SealedLog
	shared *wal.SealedLog // the share returned last, which saves look-ups; nil for none
	// doubts are losses that may or may not have hit a log: later proof of continuity ends one.
	doubts map[*Log]*doubt
	ended  *wal.Loss // the end of the last file cannot be told
	tail   []tailRecord
	// healed are quarantined logs that an installed snapshot of the tail will bring back.
	healed map[*Log]bool
	// nameless are logs of which the manifest knows no more than that they are.
	nameless map[raftlog.LogID]bool
	lastID   raftlog.LogID // of lastLog, which saves look-ups
	last     *Log
}

// tailRecord is a record from above the watermark, to be committed again.
type tailRecord struct {
	log     *Log
	table   *memtable.Table // of entries
	prev    Index
	index   Index
	bytes   int
	control wal.Control
	fact    pendingFact
}

func (e *Engine) recover() (*replay, error) {
	r := &replay{e: e, logs: make(map[raftlog.LogID]*Log), asOf: make(map[raftlog.LogID]raftlog.Batch),
		slotsAsOf: make(map[raftlog.LogID]raftlog.Batch),
		doubts:    make(map[*Log]*doubt), healed: make(map[*Log]bool), nameless: make(map[raftlog.LogID]bool), began: e.now()}
	r.beginFile()
	for m := range e.manifest.Logs() {
		r.adopt(m)
		r.asOf[m.ID] = m.AsOf
	}
	for _, d := range e.manifest.Damaged() {
		r.adoptDamaged(d)
	}
	report, err := wal.Recover(wal.RecoverOptions{
		FS: e.device.deepFS, Dir: e.opts.walDir(e.dir), Stream: e.manifest.Stream(), Files: e.manifest.WALFiles(),
		Flushed: e.manifest.Flushed(), Direct: e.device.direct, Serial: e.device.serial,
		Skip: func(id raftlog.LogID) raftlog.Batch { return r.asOf[id] },
	}, r)
	if err != nil {
		return nil, fmt.Errorf("engine: recover: %w", err)
	}
	r.report = report
	r.report.DamageCount += len(r.nameless)
	for id := range r.nameless {
		e.opts.Logger.Error("a log is lost with its place in the manifest", "id", uint64(id))
	}
	r.settleSnapshots()
	r.undoPromotions()
	if err := r.settleSlots(); err != nil {
		return nil, err
	}
	return r, r.settleDoubts()
}

// adopt makes a log as the manifest has it.
func (r *replay) adopt(m manifest.Log) *Log {
	l := r.e.newLog(m.ID, m.UID)
	l.hard, l.applied = m.HardState, m.Applied
	l.durable = durableFacts{hard: m.HardState, released: m.Released, applied: m.Applied}
	r.slotsAsOf[m.ID] = m.SlotsAsOf
	l.adoptRare(&m)
	l.last, l.base = m.Last, m.Last
	if m.Released.Index >= l.last.Index { // what was released is final, an entry there may be an older one
		l.last, l.base = m.Released, m.Released
	}
	v := view{segments: m.Segments}
	l.setView(v.release(m.Released, l.durable.floor(m.Released.Index), l.durable.seldom().live))
	r.register(l, false)
	if m.Quarantine != nil {
		r.quarantine(l, m.Quarantine.Lost, m.Quarantine.Reason)
	}
	return l
}

// adoptRare takes over what the manifest has of captured states and slots.
func (l *Log) adoptRare(m *manifest.Log) {
	if len(m.Slots) > 0 {
		l.adoptSlots(m.Slots, m.SlotsAsOf)
	}
	if len(m.Snapshots) > 0 {
		rare := l.durable.change()
		rare.snapshots, rare.live = m.Snapshots, l.liveOf(m.Snapshots)
	}
}

// register gives the log its name. Two logs have one name when the record of the earlier life's
// deletion was overtaken by that of the later one's creation and then lost: it was asked for.
func (r *replay) register(l *Log, tail bool) {
	r.logs[l.id] = l
	if r.e.logs.add(l) {
		return
	}
	if other := r.e.logs.get(l.uid); other.id < l.id {
		r.removeAgain(other, tail)
		r.e.logs.add(l)
	} else {
		r.removeAgain(l, tail)
	}
}

// removeAgain ends the life of a log whose deletion was lost.
func (r *replay) removeAgain(l *Log, tail bool) {
	if tail {
		r.tail = append(r.tail, tailRecord{log: l, control: wal.Control{Kind: wal.KindDelete}, fact: pendingFact{kind: factDelete}})
	}
	r.remove(l, tail)
}

// adoptDamaged keeps a log whose place in the manifest was damaged, without serving it.
func (r *replay) adoptDamaged(d manifest.Damaged) {
	if !d.Known || d.Last.UID == "" {
		r.nameless[d.ID] = true // a WAL file may name it
		return
	}
	l := r.adopt(d.Last)
	r.quarantine(l, Range{First: l.view.Load().released.Index + 1}, "its manifest record was damaged")
}

// name gives a log whose place in the manifest is lost the name that a record has of it, and keeps it,
// without serving it.
func (r *replay) name(rec *wal.Record) {
	uid := rec.UID
	if rec.Kind == wal.KindCreate {
		uid = UID(rec.Payload)
	}
	if uid.Validate() != nil {
		return
	}
	delete(r.nameless, rec.ID)
	r.adoptDamaged(manifest.Damaged{ID: rec.ID, Known: true, Last: manifest.Log{ID: rec.ID, UID: uid}})
	r.lastID = 0
}

// quarantine sets the log apart: nothing further is replayed into it.
func (r *replay) quarantine(l *Log, lost Range, reason string) {
	if l.broken.Load() != nil {
		return
	}
	err := &QuarantineError{UID: l.uid, Lost: lost, Reason: reason}
	l.broken.Store(&brokenLog{err: err, quarantine: &manifest.Quarantine{Lost: lost, Reason: reason}})
	delete(r.doubts, l)
	r.share(l) // its flush makes the quarantine durable
	r.e.opts.Logger.Error("log is quarantined", "uid", string(l.uid), "err", err)
	r.e.event(Event{Kind: EventQuarantined, UID: l.uid, Err: err})
}

func (r *replay) find(id raftlog.LogID) *Log {
	if id != r.lastID {
		r.lastID, r.last = id, r.logs[id]
	}
	return r.last
}

// Record implements wal.Visitor.
func (r *replay) Record(rec *wal.Record) error {
	if r.nameless[rec.ID] {
		r.name(rec)
		return nil
	}
	if rec.Kind == wal.KindCreate {
		return r.create(rec)
	}
	l := r.find(rec.ID)
	if l == nil || l.broken.Load() != nil && !r.reaches(l, rec.Kind) {
		return nil // a log that is not live, or set apart: its votes still count once it is repaired
	}
	if rec.Kind == wal.KindEntry {
		return r.entry(l, rec)
	}
	if rec.Tail {
		r.tail = append(r.tail, controlAgain(l, rec))
	}
	r.control(l, rec)
	return nil
}

// controlAgain is the record as it has to be queued again.
func controlAgain(l *Log, rec *wal.Record) tailRecord {
	t := tailRecord{log: l, control: wal.Control{Kind: rec.Kind, Index: rec.Index, Term: rec.Term,
		Payload: append([]byte(nil), rec.Payload...)}}
	id := EntryID{Term: rec.Term, Index: rec.Index}
	switch rec.Kind {
	case wal.KindCreate:
		t.fact = pendingFact{kind: factCreate}
	case wal.KindHardState:
		t.fact = pendingFact{kind: factHard, hard: HardState{Term: rec.Term, Vote: string(rec.Payload)}}
	case wal.KindRelease:
		t.fact = pendingFact{kind: factRelease, id: id}
	case wal.KindTruncate:
		t.fact = pendingFact{kind: factTruncate, id: id}
	case wal.KindApplied:
		t.fact = pendingFact{kind: factApplied, id: id}
	case wal.KindDelete:
		t.fact = pendingFact{kind: factDelete}
	case wal.KindSnapshot: // the rest of this and the next two is filled in when it is applied
		t.fact = pendingFact{kind: factSnapshot, id: id, more: &pendingMore{}}
	case wal.KindInstall:
		t.fact = pendingFact{kind: factInstall, id: id, more: &pendingMore{}}
	case wal.KindSlot:
		t.fact = pendingFact{kind: factSlot, more: &pendingMore{}}
	}
	return t
}

func (r *replay) create(rec *wal.Record) error {
	if r.logs[rec.ID] != nil {
		return nil
	}
	uid := UID(rec.Payload)
	if err := uid.Validate(); err != nil {
		return fmt.Errorf("%w: creation of log %d: %w", ErrCorrupt, rec.ID, err)
	}
	l := r.e.newLog(rec.ID, uid)
	r.lastID = 0
	r.register(l, rec.Tail)
	if rec.Tail && r.ended != nil {
		r.doubt(l, *r.ended) // what followed its creation is lost with the rest
	}
	if rec.Tail {
		r.tail = append(r.tail, controlAgain(l, rec))
	} else {
		r.share(l)
	}
	return nil
}

// control applies a record that is no entry. The state it makes counts as durable: for a
// record of the tail it is, once Open returns.
func (r *replay) control(l *Log, rec *wal.Record) {
	id := EntryID{Term: rec.Term, Index: rec.Index}
	if !rec.Tail {
		r.share(l)
	}
	switch rec.Kind {
	case wal.KindHardState:
		l.hard = manifest.MergeHardState(l.hard, HardState{Term: rec.Term, Vote: string(rec.Payload)})
		if d := r.doubts[l]; d != nil {
			r.settle(l, d, rec, &d.hard)
		}
	case wal.KindApplied:
		l.applied = max(l.applied, rec.Index)
	case wal.KindRelease:
		r.release(l, id, rec)
	case wal.KindTruncate:
		r.truncate(l, id, rec.Tail)
	case wal.KindSnapshot:
		r.snapshot(l, rec)
	case wal.KindInstall:
		r.install(l, rec)
	case wal.KindSlot:
		r.slot(l, rec)
	case wal.KindDelete:
		r.remove(l, rec.Tail)
	}
	if !rec.Tail {
		l.durable.hard, l.durable.applied = l.hard, l.applied
	}
}

func (r *replay) release(l *Log, id EntryID, rec *wal.Record) {
	v := l.view.Load()
	if id.Index > v.released.Index {
		r.releaseAll(l, id, v.live, rec.Batch, rec.Tail)
	}
}

// releaseAll releases the log up to id but for the live entries, as a record of that batch says.
func (r *replay) releaseAll(l *Log, id EntryID, live *liveSet, batch raftlog.Batch, tail bool) {
	l.setView(l.view.Load().release(id, l.durable.floor(id.Index), live))
	if id.Index > l.last.Index {
		l.last = id
	}
	if tail {
		return // the tail's entries are still to be read for their second commit
	}
	l.durable.released, l.durable.releasedSince = id, batch
	if l.durable.seldom().live != live {
		l.durable.change().live = live
	}
	l.dropReleasedLocked()
	if id.Index > l.base.Index {
		l.base = id
	}
}

func (r *replay) truncate(l *Log, to EntryID, tail bool) {
	if released := l.view.Load().released; to.Index <= released.Index { // there may have been another entry
		to = released
	}
	if to.Index >= l.last.Index {
		return
	}
	held := l.cutLocked(to)
	if !tail {
		r.cutShare(l, to)
	}
	l.chargeLocked(-held)
}

// remove ends the log's life. One that ends in the tail is dropped once that is committed.
func (r *replay) remove(l *Log, tail bool) {
	l.broken.Store(&brokenLog{err: fmt.Errorf("%w: %s", ErrDeleted, l.uid)})
	r.e.logs.remove(l)
	delete(r.logs, l.id)
	r.asOf[l.id] = ^raftlog.Batch(0) // damage further on does not bring it back
	delete(r.doubts, l)
	r.lastID = 0
	if !tail {
		l.durable.deleted = true
		l.forget()
		r.e.flusher.dropLog(l)
	}
}

// entry appends an entry to its log's table.
func (r *replay) entry(l *Log, rec *wal.Record) error {
	id := EntryID{Term: rec.Term, Index: rec.Index}
	if rec.Index <= l.view.Load().released.Index {
		return nil
	}
	switch {
	case rec.Prev > l.last.Index:
		r.quarantine(l, Range{First: l.last.Index + 1, Last: rec.Prev},
			fmt.Sprintf("entry %v in WAL file %016x follows entry %d, the log ends at %v", id, rec.File, rec.Prev, l.last))
		return nil
	case rec.Prev < l.last.Index:
		prev := l.view.Load().released
		if rec.Prev > prev.Index {
			term, err := l.Term(rec.Prev)
			if err != nil {
				r.quarantine(l, Range{First: rec.Prev, Last: l.last.Index}, err.Error())
				return nil
			}
			prev = EntryID{Term: term, Index: rec.Prev}
		}
		r.truncate(l, prev, rec.Tail)
	}
	if d := r.doubts[l]; d != nil {
		r.settle(l, d, rec, &d.entry) // it follows what was known before the damage
	}
	return r.store(l, rec, id)
}

func (r *replay) store(l *Log, rec *wal.Record, id EntryID) error {
	t := l.view.Load().newest()
	if t == nil || t.Last() != l.last.Index {
		var held int64
		t, held = l.beginTableLocked(l.last)
		l.chargeLocked(-held)
	}
	before := t.Bytes()
	err := t.AppendChecked(Entry{Index: rec.Index, Term: rec.Term, Type: rec.Type, Data: rec.Payload}, rec.CRC)
	if err != nil {
		return fmt.Errorf("engine: recover log %s: %w", l.uid, err)
	}
	l.chargeLocked(t.Bytes() - before)
	prev := l.last.Index
	l.last = id
	if rec.Tail {
		r.tail = append(r.tail, tailRecord{log: l, table: t, prev: prev, index: rec.Index, bytes: len(rec.Payload)})
		return nil
	}
	t.SetDurable(rec.Index)
	s := r.share(l)
	s.Last = id
	if n := len(s.Spans); n > 0 && s.Spans[n-1].Source == wal.Source(t) && s.Spans[n-1].Last+1 == rec.Index {
		s.Spans[n-1].Last = rec.Index
		return nil
	}
	s.Spans = append(s.Spans, wal.Span{Source: t, Prev: prev, First: rec.Index, Last: rec.Index})
	return nil
}

// Lost implements wal.Visitor.
func (r *replay) Lost(loss wal.Loss) error {
	if loss.Kind == wal.KindApplied && loss.Reason == wal.LostPayload {
		return nil // it may be stale, never wrong
	}
	if loss.ID == 0 {
		if loss.Reason == wal.LostEnd {
			r.ended = &loss
		}
		for _, l := range r.logs {
			if loss.Except == nil || !loss.Except(l.id) {
				r.doubt(l, loss)
			}
		}
		return nil
	}
	l := r.find(loss.ID)
	if l == nil {
		return r.lostUnknown(loss)
	}
	if loss.Maybe {
		r.doubt(l, loss)
		return nil
	}
	first := l.last.Index + 1
	if loss.Kind == wal.KindEntry && loss.Index > 0 {
		first = min(first, loss.Index)
	}
	r.quarantine(l, Range{First: first, Last: max(loss.LastIndex, loss.Index)}, loss.String())
	return nil
}

// lostUnknown meets damage of a log whose creation is lost too.
func (r *replay) lostUnknown(loss wal.Loss) error {
	if r.asOf[loss.ID] != 0 {
		return nil // damaged in the manifest as well, and reported there
	}
	if loss.UID == "" {
		r.e.opts.Logger.Error("records of a log whose name is lost", "loss", loss.String())
		return nil
	}
	l := r.e.newLog(loss.ID, loss.UID)
	r.lastID = 0
	r.register(l, false)
	r.quarantine(l, Range{First: 1, Last: max(loss.LastIndex, loss.Index)}, loss.String())
	return nil
}

// doubt is a loss that may have hit a log. An entry that continues the log proves that no
// entries are missing, a later hard state that no vote is: it takes both to end the doubt.
type doubt struct {
	loss        wal.Loss
	entry, hard bool
}

func (r *replay) doubt(l *Log, loss wal.Loss) {
	reached := loss.Reason == wal.LostEnd || loss.LastBatch > r.asOf[l.id] // nobody knows how far the end went
	if reached && r.doubts[l] == nil && l.broken.Load() == nil {
		r.doubts[l] = &doubt{loss: loss}
	}
}

// settle notes one of the two proofs.
func (r *replay) settle(l *Log, d *doubt, rec *wal.Record, proof *bool) {
	if d.loss.LastBatch < rec.Batch {
		*proof = true
	}
	if d.entry && d.hard {
		delete(r.doubts, l)
	}
}

// settleDoubts quarantines the logs for which no proof of continuity came.
func (r *replay) settleDoubts() error {
	var edit manifest.Edit
	for _, l := range inOrder(maps.Keys(r.doubts)) {
		d := r.doubts[l]
		r.quarantine(l, Range{First: l.last.Index + 1, Last: d.loss.LastIndex}, d.loss.String())
	}
	for _, l := range inOrder(maps.Keys(r.shares)) { // set apart after the last file was done
		if m, ok := r.e.manifest.Log(l.id); ok && l.quarantineNote() != nil && m.Quarantine == nil {
			m.Quarantine = l.quarantineNote()
			edit.Put = append(edit.Put, m)
		}
	}
	if len(edit.Put) == 0 {
		return nil
	}
	return r.e.manifest.Apply(edit)
}

func (r *replay) beginFile() {
	r.order, r.shares, r.shared = nil, make(map[*Log]*wal.SealedLog), nil
}

// share returns what the flush of the file being read will need to know of the log.
func (r *replay) share(l *Log) *wal.SealedLog {
	if r.shared != nil && r.shared.Log == &l.wal {
		return r.shared
	}
	s := r.shares[l]
	if s == nil {
		s = &wal.SealedLog{Log: &l.wal}
		r.shares[l] = s
		r.order = append(r.order, l)
	}
	r.shared = s
	return s
}

// cutShare honours a truncation in the file being read, as the writer does for its own files.
func (r *replay) cutShare(l *Log, to EntryID) {
	s, last := r.share(l), to.Index
	n := len(s.Spans)
	for n > 0 && s.Spans[n-1].First > last {
		n--
	}
	s.Spans = s.Spans[:n]
	if n > 0 && s.Spans[n-1].Last >= last {
		s.Spans[n-1].Last = last
		s.Last = to
	}
	if n == 0 && (!s.HasCut || last < s.Cut) {
		s.HasCut, s.Cut, s.CutTerm = true, last, to.Term
	}
}

// FileDone implements wal.Visitor: the file waits for its flush like one that was just sealed.
func (r *replay) FileDone(number uint64, first, last raftlog.Batch) error {
	s := wal.Sealed{Number: number, First: first, Last: last, Bytes: r.e.opts.WALFileBytes}
	for _, l := range r.order {
		s.Logs = append(s.Logs, *r.shares[l])
	}
	r.beginFile()
	r.e.flusher.enqueue(s)
	for r.e.budget.used.Load() > r.e.budget.memory/2 && r.e.flusher.backlog() > 0 {
		if _, pause := r.e.flusher.Step(); pause > 0 && r.e.flusher.failing() != nil {
			if noSpace(r.e.flusher.failing()) {
				return nil // memory holds what the disk has no room for
			}
			return fmt.Errorf("engine: recover: flush: %w", r.e.flusher.failing())
		}
	}
	return nil
}

// requeue queues the tail again, in its order.
func (r *replay) requeue() error {
	for i := range r.tail {
		t := &r.tail[i]
		if t.table == nil {
			t.log.mu.Lock()
			err := t.log.requeueLocked(t.fact, t.control)
			t.log.mu.Unlock()
			if err != nil {
				return err
			}
			continue
		}
		if err := r.e.wal.Append(&t.log.wal, t.table, t.prev, t.index, t.index, t.bytes); err != nil {
			return r.e.writeError(err)
		}
	}
	return nil
}

// requeueLocked queues a control record of the tail again.
func (l *Log) requeueLocked(f pendingFact, c wal.Control) error {
	if err := l.controlLocked(f, c); err != nil {
		return err
	}
	if f.kind != factSlot || f.more.change != slotCreated {
		return nil
	}
	if state := l.slots[f.more.slot.Name]; state != nil {
		state.created = l.controls[len(l.controls)-1].seq
	}
	return nil
}
