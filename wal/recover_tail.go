package wal

import (
	"bytes"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// recTail is what lies above the share of its file. A batch of an older file counts only
// when no later file has proven it or holds a whole copy of it: the commit that was to replace
// it never came to be, and the older copy may be the one that was acknowledged.
type recTail struct {
	older *recHeld   // the newest whole copy in a file before the last
	run   []recHeld  // whole frames of the last file, batch after batch from the watermark on
	cut   []recFrame // all others
}

// recHeld is a whole frame, copied out of the read buffer.
type recHeld struct {
	recFrame
	names   *recNames
	records []recRecord
}

// recFrame is a frame and its file.
type recFrame struct {
	file  *recFile
	frame frame.Frame
	logs  []raftlog.LogID
}

// hold keeps the frames above the file's share.
func (p *recReplay) hold(l *recLoaded, above []frame.Frame, last bool) {
	t := &p.r.tail
	want := p.end
	for _, f := range above {
		at := recFrame{file: p.file, frame: f}
		if f.Batch == want {
			if records, ok := wholeFrame(l.data, &f, p.file.id); ok {
				held := recHeld{at, p.names, records}
				switch {
				case last:
					t.run = append(t.run, held)
					want++
				case t.older != nil:
					p.r.report.Superseded++
					t.older = &held
				default:
					t.older = &held
				}
				continue
			}
		}
		at.logs = p.touched(&f)
		at.frame.Trailer = frame.Trailer{}
		t.cut = append(t.cut, at)
	}
}

// wholeFrame returns the records of a frame of which everything verifies, as a copy.
func wholeFrame(file []byte, f *frame.Frame, id frame.Identity) ([]recRecord, bool) {
	if !f.HasHeader || !f.HasTrailer {
		return nil, false
	}
	records, c := checkRecords(nil, bytes.Clone(recBody(file, f)), uint64(f.Header.Records), id)
	return records, c.complete && c.sound
}

// touched names the logs in the frame's trailer.
func (p *recReplay) touched(f *frame.Frame) []raftlog.LogID {
	if !f.HasTrailer {
		return nil
	}
	var ids []raftlog.LogID
	for t := range f.Trailer.Touches() {
		if log := p.names.log(t.Number); log != nil {
			ids = append(ids, log.id)
		}
	}
	return ids
}

// finishTail visits the batches above the watermark that are whole, and reports the others.
func (r *recovery) finishTail() error {
	t := &r.tail
	if t.older != nil {
		if len(t.run) == 0 && t.older.frame.Batch == r.durable+1 {
			t.run = append(t.run, *t.older)
		} else {
			r.report.Superseded++
		}
	}
	last := r.durable + uint64(len(t.run))
	for _, f := range t.cut {
		b := f.frame.Batch
		if b <= r.durable || b <= last && t.run[b-r.durable-1].file.number > f.file.number {
			r.report.Superseded++
			continue
		}
		r.report.Torn = append(r.report.Torn, TornFrame{
			File: f.file.number, Batch: raftlog.Batch(f.frame.Batch),
			Block: f.frame.Block, Blocks: f.frame.Blocks, Logs: f.logs,
		})
	}
	if len(t.run) == 0 {
		return nil
	}
	r.report.TailFirst, r.report.TailLast = raftlog.Batch(r.durable)+1, raftlog.Batch(last)
	for i := range t.run {
		h := &t.run[i]
		p := &recReplay{r: r, file: h.file, names: h.names}
		for j := range h.records {
			if err := p.record(&h.records[j], &h.frame, true); err != nil {
				return err
			}
		}
	}
	return nil
}
