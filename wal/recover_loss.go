package wal

import (
	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// lose delivers a loss of a log unless the manifest holds what was lost.
func (p *recReplay) lose(log *recLog, l Loss) error {
	if log.skip >= l.LastBatch && l.Reason != LostEnd || l.Maybe && log.maybe {
		return nil
	}
	log.maybe = log.maybe || l.Maybe
	l.ID, l.UID, l.File = log.id, log.uid, p.file.number
	p.r.report.Losses++
	return p.r.v.Lost(l)
}

// losePayload delivers the loss of a record whose header verified.
func (p *recReplay) losePayload(log *recLog, rec *recRecord, f *frame.Frame, why Reason) error {
	l := Loss{
		Reason: why, Batch: raftlog.Batch(f.Batch), LastBatch: raftlog.Batch(f.Batch),
		Kind: rec.Kind, Index: raftlog.Index(rec.Index),
	}
	if f.HasTrailer {
		for t := range f.Trailer.Touches() {
			if t.Number == rec.Log {
				l.LastIndex, l.LastTerm = raftlog.Index(t.LastIndex), raftlog.Term(t.LastTerm)
			}
		}
	}
	return p.lose(log, l)
}

// damaged lays what is missing in a frame to the logs it hits, after its sound records were visited.
func (p *recReplay) damaged(u *recUnit, f *frame.Frame, c recChecked) error {
	records := u.records[c.from:c.to]
	why := LostRecords
	var err error
	switch {
	case c.complete:
		why = LostPayload
	case f.HasTrailer:
		body := recBody(u.data, f)
		for i := range records {
			body = body[records[i].Size():]
		}
		p.salvage(body, u.id)
		err = p.loseTouched(f, records)
	default:
		why = LostFrame
		err = p.loseMaybe(Loss{Reason: why, Batch: raftlog.Batch(f.Batch), LastBatch: raftlog.Batch(f.Batch)}, f.Declared, true)
	}
	p.note(Damage{
		Batch: raftlog.Batch(f.Batch), LastBatch: raftlog.Batch(f.Batch),
		Block: f.Block, Blocks: f.Blocks, Reason: why, Healed: c.complete && !p.hurt,
	})
	return err
}

// loseTouched compares the trailer's counts with the records that were seen before the damage.
func (p *recReplay) loseTouched(f *frame.Frame, records []recRecord) error {
	seen := map[uint32]uint32{}
	for i := range records {
		seen[records[i].Log]++
	}
	for t := range f.Trailer.Touches() {
		if seen[t.Number] >= t.Records {
			continue
		}
		var err error
		if log := p.names.log(t.Number); log != nil {
			err = p.lose(log, Loss{
				Reason: LostRecords, Batch: raftlog.Batch(f.Batch), LastBatch: raftlog.Batch(f.Batch),
				LastIndex: raftlog.Index(t.LastIndex), LastTerm: raftlog.Term(t.LastTerm),
			})
		} else {
			err = p.loseUnknown(LostRecords, f.Batch)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// reach goes on to the given batch, behind which f stands, nil at the end of the file. Batches
// between leave no trace, so every log declared by then may be hit.
func (p *recReplay) reach(batch uint64, f *frame.Frame) error {
	if p.next >= batch {
		return nil
	}
	l := Loss{Reason: LostBatches, Batch: raftlog.Batch(p.next), LastBatch: raftlog.Batch(batch) - 1}
	p.note(Damage{Batch: l.Batch, LastBatch: l.LastBatch, Reason: LostBatches})
	declared, proven := p.declaredAt(f)
	return p.loseMaybe(l, declared, proven)
}

// declaredAt says how many logs the file had declared when f or the next frame behind it with a
// header was written. Nothing proves it at the end of the file.
func (p *recReplay) declaredAt(f *frame.Frame) (declared uint32, proven bool) {
	if f == nil {
		return 0, false
	}
	for i := range p.frames {
		if g := &p.frames[i]; g.HasHeader && g.Block >= f.Block {
			return g.Declared, true
		}
	}
	return 0, false
}

// loseMaybe delivers the loss of whole batches, or of a frame that does not say whose it was,
// to every log that was declared by then; and to unknown ones unless the first declared numbers are all known.
func (p *recReplay) loseMaybe(l Loss, declared uint32, proven bool) error {
	l.Maybe = true
	for i := range p.names.names {
		name := &p.names.names[i]
		if name.log == nil || raftlog.Batch(name.declared) > l.LastBatch {
			continue
		}
		if err := p.lose(name.log, l); err != nil {
			return err
		}
	}
	if proven && !p.names.gap(declared) {
		return nil
	}
	return p.loseUnknown(l.Reason, uint64(l.Batch))
}

// loseUnknown delivers, once per file, the loss of logs whose declaration is gone. Such a log
// has no record in the rest of the file that could be told to be its own, hence once is enough.
func (p *recReplay) loseUnknown(why Reason, batch uint64) error {
	p.hurt = true
	if p.zero {
		return nil
	}
	p.zero = true
	p.r.report.UnknownLogs = true
	p.r.report.Losses++
	l := Loss{
		Maybe: true, Reason: why, File: p.file.number,
		Batch: raftlog.Batch(batch), LastBatch: max(raftlog.Batch(batch), p.lastBatch()),
	}
	l.Except = func(id raftlog.LogID) bool {
		return p.names.has(id) || why != LostEnd && p.r.log(id).skip >= l.LastBatch
	}
	return p.r.v.Lost(l)
}

// loseStart delivers that batches are missing before the first one in the files: a file that held
// them looks as if it was never written.
func (r *recovery) loseStart(full []*recFile) error {
	if len(full) == 0 || full[0].first <= uint64(r.o.Flushed)+1 {
		return nil
	}
	p := &recReplay{r: r, file: full[0], names: &recNames{}, next: uint64(r.o.Flushed) + 1, end: full[0].first}
	return p.reach(p.end, nil)
}

// endUnknown reports whether the last file may have held durable frames that cannot be seen. What
// lies before a frame is told by its batch number.
func (p *recReplay) endUnknown(l *recLoaded, durable []frame.Frame) bool {
	end := uint32(1)
	if n := len(durable); n > 0 {
		end = durable[n-1].Block + durable[n-1].Blocks
	}
	if n := len(p.frames); n > 0 {
		end = max(end, p.frames[n-1].Block)
	}
	for _, block := range l.unreadable {
		if block >= end {
			return true
		}
	}
	return p.file.short
}

// endLost delivers that nobody can tell what followed the last batch that is known.
func (p *recReplay) endLost() error {
	p.r.report.Truncated = true
	l := Loss{Reason: LostEnd, Batch: raftlog.Batch(p.r.durable) + 1, LastBatch: raftlog.Batch(p.r.durable) + 1}
	p.note(Damage{Batch: l.Batch, LastBatch: l.LastBatch, Reason: LostEnd})
	p.zero = false // what was said of earlier batches does not cover the end
	return p.loseMaybe(l, 0, false)
}

func (p *recReplay) note(d Damage) {
	d.File = p.file.number
	p.r.report.DamageCount++
	if len(p.r.report.Damage) < MaxDamage {
		p.r.report.Damage = append(p.r.report.Damage, d)
	}
}
