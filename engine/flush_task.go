package engine

import (
	"slices"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/segwriter"
	"github.com/rawl-db/rawl/wal"
)

// flushTask is one log's share of a sealed file.
type flushTask struct {
	log    *Log
	sealed *wal.SealedLog
	base   manifest.Log      // as the manifest has it, already cut
	before []raftlog.Segment // files that are there, listed by the manifest or made by this flush
	put    manifest.Log
	last   EntryID       // the newest entry of spans
	asOf   raftlog.Batch // the last batch of the file
	skip   bool          // the log is gone
}

// settle takes over what became durable about the log as a whole; asOf is the batch up to which
// its segments hold the truth. A release with live entries waits until that includes its own
// record: before, an entry of the same index that was truncated later could pass for a live one. So
// does one up to where a slot holds entries, which replay would take for released; what is below
// them is released. And what follows a reset is not true of the log before.
func (t *flushTask) settle(facts *durableFacts, asOf raftlog.Batch) {
	b := &t.base
	b.Snapshots, b.Slots, b.SlotsAsOf = facts.seldom().snapshots, facts.seldom().slots, facts.seldom().slotsAsOf
	if len(b.Slots) == 0 {
		b.SlotsAsOf = 0
	}
	if facts.seldom().resetAt <= asOf && (facts.seldom().live == nil || facts.seldom().liveSince <= asOf) {
		released := facts.released
		if facts.releasedSince > asOf {
			released = facts.floorID(released)
		}
		b.Released = later(b.Released, released)
	}
	b.Segments = keepAbove(facts.floor(b.Released.Index), facts.seldom().live).segments(b.Segments)
	if q := t.log.quarantineNote(); q != nil { // looked for behind the facts: one comes before the state is forgotten that is damaged
		b.Quarantine = q
	}
}

// cut applies the file's lowest truncation to what earlier files left.
func cut(s *wal.SealedLog, base *manifest.Log) {
	if !s.HasCut || s.Cut >= base.Last.Index {
		return
	}
	base.Last = EntryID{Term: s.CutTerm, Index: s.Cut}
	if s.Cut <= base.Released.Index {
		base.Last = base.Released
	}
	base.Segments = cutSegments(base.Segments, s.Cut)
}

// task is what the writer has to do. Its spans are put behind those of other tasks, into room that
// all share.
func (t *flushTask) task(room []segwriter.Span) (segwriter.Task, []segwriter.Span) {
	l, n := t.log, len(room)
	for _, s := range t.sealed.Spans {
		room = append(room, segwriter.Span{Source: s.Source, First: s.First, Last: s.Last})
	}
	return segwriter.Task{
		ID: l.id, UID: l.uid, Segments: t.base.Segments, NextSegment: max(t.base.NextSegment, l.e.flusher.merger.next[l.id]),
		Spans: room[n:len(room):len(room)], Facts: t,
	}, room
}

// Floor implements segwriter.Facts.
func (t *flushTask) Floor() raftlog.Index { return t.log.durableKeep(t.asOf).floor + 1 }

// Live implements segwriter.Facts.
func (t *flushTask) Live() raftlog.Seq { return t.log.durableLive(t.asOf, t.sealed.Spans) }

// Gone implements segwriter.Facts.
func (t *flushTask) Gone() bool { return t.log.isDeleted() }

// wrote adds what the flush itself has made to the files that are removed when nothing needs them: a
// release may have overtaken it.
func (t *flushTask) wrote(made []raftlog.Segment) {
	all := slices.Clip(t.before)
	for _, s := range made {
		if !slices.ContainsFunc(t.before, func(b raftlog.Segment) bool { return b.Number == s.Number }) {
			all = append(all, s)
		}
	}
	t.before = all
}

// settleAgain takes over what became durable while segments were written: entries that were
// released meanwhile may have been left out of them.
func (t *flushTask) settleAgain(asOf raftlog.Batch) {
	t.log.mu.Lock()
	facts := t.log.durable
	t.log.mu.Unlock()
	t.settle(&facts, asOf)
}

// conclude completes what the manifest will say, true as of batch asOf.
func (t *flushTask) conclude(asOf raftlog.Batch) {
	p := t.base
	p.AsOf = asOf
	if n := len(t.sealed.Spans); n > 0 {
		p.Last = t.last
	}
	if p.Last.Index <= p.Released.Index {
		p.Last = p.Released
	}
	t.put = p
}

// publish shows the new segments to readers, and then drops the memory they replace: a reader
// that misses in memory finds the newer view. It returns segments that nothing refers to any more.
func (t *flushTask) publish() (gone []raftlog.Segment) {
	l := t.log
	l.mu.Lock()
	defer l.mu.Unlock()
	gone = l.settleResetsLocked(t.put.AsOf)
	if !l.overtakenLocked(t.put.AsOf) {
		t.publishLocked(l)
	}
	return gone
}

func (t *flushTask) publishLocked(l *Log) {
	v := l.view.Load()
	if n := len(t.sealed.Spans); n > 0 {
		if b := v.standing(t.put.Last, t.sealed.Spans[n-1].Source); b.Index > l.base.Index {
			l.base = b
		}
	}
	l.setView(v.withSegments(t.put.Segments))
	l.happened(happenedSegments)
	for _, s := range t.sealed.Spans {
		for _, k := range v.chain {
			if s.Source == wal.Source(k.table) {
				l.dropFlushedLocked(k.table, s)
				l.trimLocked(k.table)
			}
		}
	}
	pruned, gone := l.view.Load().prune()
	l.setView(pruned)
	l.chargeLocked(-gone)
}
