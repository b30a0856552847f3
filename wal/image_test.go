package wal

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// image is what the files of a directory say when they are read by the rules of the format:
// the independent check of what the writer wrote.
type image struct {
	records map[raftlog.LogID][]string // in order, fragments joined, declarations left out
	batches []uint64
}

// readImage reads the given files in order, and checks all that the format promises.
func (x *world) readImage(numbers []uint64) image {
	x.t.Helper()
	im := image{records: map[raftlog.LogID][]string{}}
	var all [][]frame.Frame
	var failed []bool
	for _, n := range numbers {
		if fr := x.frames(n); len(fr) > 0 {
			all = append(all, fr)
			failed = append(failed, slices.ContainsFunc(x.sealed, func(s Sealed) bool { return s.Number == n && s.Failed }))
		}
	}
	next := uint64(0)
	for i, frames := range all {
		cut := ^uint64(0)
		for _, later := range all[i+1:] {
			cut = min(cut, later[0].FirstBatch)
		}
		r := fileReader{t: x.t, im: &im, ids: map[uint32]raftlog.LogID{}, parts: map[uint32][]byte{}}
		for _, f := range frames {
			if f.Batch >= cut {
				continue
			}
			if next != 0 && f.Batch != next {
				x.t.Errorf("batch %d follows %d", f.Batch, next-1)
			}
			next = f.Batch + 1
			if f.FirstBatch != frames[0].FirstBatch || f.Watermark != f.Batch-1 {
				x.t.Errorf("%v: first %d, watermark %d", &f, f.FirstBatch, f.Watermark)
			}
			r.frame(&f)
			im.batches = append(im.batches, f.Batch)
		}
		for n, p := range r.parts {
			if failed[i] {
				continue // the chain stands in the next file from its first fragment on
			}
			x.t.Errorf("log number %d: chain of %d bytes is unfinished at the end of its file", n, len(p))
		}
	}
	return im
}

type fileReader struct {
	t     testing.TB
	im    *image
	ids   map[uint32]raftlog.LogID
	parts map[uint32][]byte
}

func (r *fileReader) frame(f *frame.Frame) {
	r.t.Helper()
	if !f.Intact() {
		r.t.Errorf("%v is not intact", f)
	}
	counts := map[uint32]*frame.Touch{}
	f.Records(func(rec *frame.Record) bool {
		c := counts[rec.Log]
		if c == nil {
			c = &frame.Touch{Number: rec.Log}
			counts[rec.Log] = c
		}
		c.Records++
		if rec.Kind == KindDeclare {
			id, _, err := decodeDeclare(rec.Payload)
			if _, known := r.ids[rec.Log]; err != nil || known || int(rec.Log) != len(r.ids)+1 || c.Records != 1 {
				r.t.Errorf("%v: declaration of number %d, id %d, %v", f, rec.Log, id, err)
			}
			r.ids[rec.Log], c.ID = id, uint64(id)
			return true
		}
		if rec.Kind == KindEntry {
			c.LastIndex, c.LastTerm = rec.Index, rec.Term
		}
		r.record(rec)
		return true
	})
	if int(f.Declared) != len(r.ids) {
		r.t.Errorf("%v: declared %d, seen %d", f, f.Declared, len(r.ids))
	}
	n := 0
	for touch, err := range f.Trailer.Touches() {
		must(r.t, err)
		n++
		if want := counts[touch.Number]; want == nil || *want != touch {
			r.t.Errorf("%v: touch %+v, want %+v", f, touch, want)
		}
	}
	if n != len(counts) {
		r.t.Errorf("%v: %d touches, want %d", f, n, len(counts))
	}
}

func (r *fileReader) record(rec *frame.Record) {
	id := r.ids[rec.Log]
	if id == 0 {
		r.t.Errorf("record of undeclared number %d", rec.Log)
	}
	payload := rec.Payload
	if rec.Flags&FlagFragment != 0 {
		if rec.Flags&FlagFirst != 0 {
			delete(r.parts, rec.Log)
		}
		part := r.parts[rec.Log]
		if int(binary.LittleEndian.Uint32(payload[8:])) != len(part) {
			r.t.Errorf("fragment at %d after %d bytes", binary.LittleEndian.Uint32(payload[8:]), len(part))
		}
		part = append(part, payload[fragmentPrefix:]...)
		r.parts[rec.Log] = part
		if rec.Flags&FlagLast == 0 {
			return
		}
		delete(r.parts, rec.Log)
		if int(binary.LittleEndian.Uint32(payload[4:])) != len(part) || binary.LittleEndian.Uint32(payload) != frame.Checksum(part) {
			r.t.Errorf("chain of entry %d does not verify", rec.Index)
		}
		payload = part
	} else if r.parts[rec.Log] != nil {
		r.t.Errorf("record of log %d inside its chain", id)
	}
	r.im.records[id] = append(r.im.records[id],
		describe(rec.Kind, raftlog.Index(rec.Index), raftlog.Term(rec.Term), raftlog.Index(rec.Prev), payload))
}

// check compares the files with all that was queued. Everything must have been
// acknowledged.
func (x *world) check() {
	x.t.Helper()
	numbers := slices.Clone(x.registered)
	im := x.readImage(numbers)
	for _, l := range x.logs {
		if got := im.records[l.ID()]; !slices.Equal(got, l.queued) {
			x.t.Errorf("log %s holds %d records, %d were queued\n%.2000q\n%.2000q", l.name, len(got), len(l.queued), got, l.queued)
		}
		for _, s := range l.tables {
			if s != l.table {
				continue
			}
			if n := len(s.entries); n > 0 && s.durable != s.first+raftlog.Index(n)-1 {
				x.t.Errorf("log %s: durable %d of %d entries from %d", l.name, s.durable, n, s.first)
			}
		}
	}
}
