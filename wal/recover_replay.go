package wal

import (
	"fmt"
	"math"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// recReplay is the replay of one file.
type recReplay struct {
	r      *recovery
	file   *recFile
	names  *recNames
	frames []frame.Frame // all of the file, by place
	next   uint64        // the batch that must follow
	end    uint64        // behind the file's share of the batches
	zero   bool          // a loss with ID 0 was delivered for this file
	hurt   bool          // the frame at hand lost something
}

// replay visits the file's share of the batches and keeps what lies above it for the tail.
func (r *recovery) replay(l *recLoaded, last, behind bool) error {
	p := &recReplay{r: r, file: l.file, names: r.namesOf(l), next: l.file.first, end: l.file.cut}
	p.frames = l.frames
	if last {
		p.end = r.raise(l) + 1
	}
	durable, above := p.split()
	p.describe(l)
	for _, log := range p.names.clashes {
		if err := p.lose(log, Loss{Reason: LostIdentity, Batch: raftlog.Batch(p.next), LastBatch: p.lastBatch()}); err != nil {
			return err
		}
	}
	if err := r.checkers.run(l.data, l.file.id, durable, p.unit); err != nil {
		return err
	}
	var next *frame.Frame
	if len(above) > 0 {
		next = &above[0]
	}
	if err := p.reach(p.end, next); err != nil {
		return err
	}
	if last && (behind || p.endUnknown(l, durable)) {
		if err := p.endLost(); err != nil {
			return err
		}
	}
	p.hold(l, above, last)
	return r.v.FileDone(p.file.number, raftlog.Batch(p.file.first), p.lastBatch())
}

// raise lifts the watermark to what the last file proves and returns it.
func (r *recovery) raise(l *recLoaded) uint64 {
	if l.file.first > 0 {
		r.durable = max(r.durable, l.file.first-1)
	}
	for i := range l.frames {
		r.durable = max(r.durable, l.frames[i].Watermark)
	}
	r.durable = min(r.durable, math.MaxUint64-1)
	return r.durable
}

// split parts the frames into the file's share and what lies above it. Frames that repeat a
// batch are in neither: no writer makes them.
func (p *recReplay) split() (durable, above []frame.Frame) {
	next, n := p.next, 0
	usable := func(f *frame.Frame) bool { return f.HasHeader || f.HasTrailer } // namesOf may have taken the trailer
	for ; n < len(p.frames) && usable(&p.frames[n]) && p.frames[n].Batch == next && next < p.end; n++ {
		next++
	}
	durable = p.frames[:n:n] // in an undamaged file that is all but the last one
	for _, f := range p.frames[n:] {
		switch {
		case !usable(&f) || f.Batch < next:
		case f.Batch >= p.end:
			above = append(above, f)
		default:
			durable = append(durable, f)
			next = f.Batch + 1
		}
	}
	return durable, above
}

// lastBatch is the last batch of the file's share, below its first one when it has none.
func (p *recReplay) lastBatch() raftlog.Batch { return raftlog.Batch(max(p.end, 1)) - 1 }

func (p *recReplay) describe(l *recLoaded) {
	f := &p.file.report
	f.Frames, f.Logs, f.Unreadable = len(l.frames), p.names.known(), len(l.unreadable)
	f.First, f.Last = raftlog.Batch(p.file.first), p.lastBatch()
}

// unit visits verified frames.
func (p *recReplay) unit(u *recUnit) error {
	for i := range u.frames {
		f, c := &u.frames[i], u.checked[i]
		if err := p.reach(f.Batch, f); err != nil {
			return err
		}
		p.next, p.hurt = f.Batch+1, false
		for j := c.from; j < c.to; j++ {
			if err := p.record(&u.records[j], f, false); err != nil {
				return err
			}
		}
		if f.HasHeader && f.HasTrailer && c.complete && c.sound {
			continue
		}
		if err := p.damaged(u, f, c); err != nil {
			return err
		}
	}
	return nil
}

// record visits one record. With tail nothing is a loss, as nothing was acknowledged.
func (p *recReplay) record(rec *recRecord, f *frame.Frame, tail bool) error {
	log := p.names.log(rec.Log)
	if log == nil {
		if tail {
			return nil
		}
		return p.loseUnknown(LostFrame, f.Batch)
	}
	if rec.Kind == KindDeclare {
		return p.declare(log, rec)
	}
	if known, err := p.understand(&rec.Record); err != nil || !known {
		return err
	}
	skip := raftlog.Batch(f.Batch) <= log.skip
	if rec.Kind == KindEntry {
		if rec.Flags&FlagFragment != 0 {
			return p.fragment(log, rec, f, tail, skip)
		}
		p.r.dropChain(log)
	}
	switch {
	case rec.bad:
		p.hurt = true
		return p.losePayload(log, rec, f, LostPayload)
	case skip:
		p.r.report.Skipped++
		return nil
	}
	return p.visit(log, &rec.Record, f.Batch, tail)
}

// declare takes the name that the declaration of a number gives to its log. That the id is damaged
// costs nothing when the trailer has it too.
func (p *recReplay) declare(log *recLog, rec *recRecord) error {
	if rec.bad {
		return nil
	}
	if id, uid, err := decodeDeclare(rec.Payload); err == nil && id == log.id && uid != log.uid {
		log.uid = uid
	}
	return nil
}

// understand reports whether the record is of a kind this program knows; one that it must know
// and does not is an error.
func (p *recReplay) understand(rec *frame.Record) (bool, error) {
	switch rec.Kind {
	case KindEntry:
		if rec.Flags&^(FlagFragment|FlagFirst|FlagLast) == 0 {
			return true, nil
		}
	case KindHardState, KindCreate, KindDelete, KindRelease, KindTruncate, KindApplied, KindSnapshot, KindSlot, KindInstall:
		return true, nil
	default:
		if !rec.Kind.MustUnderstand() {
			p.r.report.Ignored++
			return false, nil
		}
	}
	return false, fmt.Errorf("wal: file %016x: %w: record of kind %d, flags %#x",
		p.file.number, frame.ErrVersion, rec.Kind, rec.Flags)
}

// fragment adds a part to its log's chain, and visits the entry when it is whole.
func (p *recReplay) fragment(log *recLog, rec *recRecord, f *frame.Frame, tail, skip bool) error {
	active := log.chain != nil
	if !active {
		log.chain, p.r.spare = p.r.spare, nil
		if log.chain == nil {
			log.chain = &recChain{}
		}
	}
	p.hurt = p.hurt || rec.bad
	step, dropped := log.chain.add(&rec.Record, rec.bad, active)
	if dropped {
		p.r.report.Chains++
	}
	if step == chainGrows {
		return nil
	}
	chain := log.chain
	p.r.spare, log.chain = chain, nil
	switch {
	case step == chainLost && tail:
		p.r.report.Chains++
		return nil
	case step == chainLost:
		return p.losePayload(log, rec, f, LostFragments)
	case skip:
		p.r.report.Skipped++
		return nil
	}
	whole := rec.Record
	whole.Payload, whole.CRC = chain.got, chain.sum
	return p.visit(log, &whole, f.Batch, tail)
}

func (p *recReplay) visit(log *recLog, rec *frame.Record, batch uint64, tail bool) error {
	r := p.r
	r.rec = Record{
		ID: log.id, UID: log.uid,
		Kind: rec.Kind, Type: rec.Type,
		Index: raftlog.Index(rec.Index), Term: raftlog.Term(rec.Term), Prev: raftlog.Index(rec.Prev),
		CRC: rec.CRC, Payload: rec.Payload,
		Batch: raftlog.Batch(batch), File: p.file.number, Tail: tail,
	}
	log.maybe = false
	r.report.Records++
	r.report.Bytes += uint64(len(rec.Payload))
	if rec.Kind == KindEntry {
		r.report.Entries++
	}
	return r.v.Record(&r.rec)
}

// dropChain forgets an unfinished entry; it was never acknowledged.
func (r *recovery) dropChain(log *recLog) {
	if log.chain != nil {
		r.spare, log.chain = log.chain, nil
		r.report.Chains++
	}
}

func (r *recovery) dropChains() {
	for _, log := range r.logs {
		r.dropChain(log)
	}
}
