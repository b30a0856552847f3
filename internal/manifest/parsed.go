package manifest

import (
	"fmt"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// kindLost stands for a record that does not verify. It is never written.
const kindLost recordKind = 0

// parsed is one frame and what verified of it.
type parsed struct {
	*frame.Frame
	end int64 // bytes from the start of the file

	hasFacts          bool // at least one engine record verified
	facts             facts
	editEnd, imageEnd uint64

	changes []change        // kindLost for those that did not verify
	echo    []raftlog.LogID // what the previous frame held
	// enumerated says that no log can be missing in changes; complete, that moreover
	// every log's record and one engine record verified.
	enumerated, complete bool
}

func (d *decoding) parseFrame(f *frame.Frame) (*parsed, error) {
	p := &parsed{Frame: f}
	at := int64(f.Block) * frame.BlockSize
	p.end = min(at+int64(f.Blocks)*frame.BlockSize, int64(len(d.file)))
	if !f.HasHeader {
		d.report.fault(at, "frame header of batch %d", f.Batch)
	}
	if !f.HasTrailer {
		d.report.fault(p.end, "trailer of batch %d, which ends there,", f.Batch)
	}
	var err error
	if f.HasTrailer {
		err = d.parseByTrailer(p, at+frame.HeaderSize)
	} else {
		err = d.parseInOrder(p, at+frame.HeaderSize)
	}
	p.complete = p.enumerated && p.hasFacts
	for i := range p.changes {
		p.complete = p.complete && p.changes[i].kind != kindLost
	}
	return p, err
}

// parseByTrailer reads each record where the trailer says it stands, so that one that is
// lost hides no other.
func (d *decoding) parseByTrailer(p *parsed, base int64) error {
	records := d.file[base : p.end-frame.FooterSize]
	p.enumerated = true
	for t, err := range p.Trailer.Touches() {
		if err != nil {
			p.enumerated = false
			d.report.fault(p.end, "trailer entries of batch %d, which ends there,", p.Batch)
			break
		}
		if t.Records == 0 {
			p.echo = append(p.echo, raftlog.LogID(t.ID))
			continue
		}
		r, ok := frame.Record{}, false
		if t.LastIndex < uint64(len(records)) {
			var err error
			r, _, err = frame.DecodeRecord(records[t.LastIndex:], d.id)
			ok = err == nil && r.PayloadOK() && (r.Kind == kindEngine || r.Index == t.ID)
		}
		at := base + int64(min(t.LastIndex, uint64(len(records))))
		if err := d.addRecord(p, raftlog.LogID(t.ID), &r, ok, at); err != nil {
			return err
		}
	}
	return nil
}

// parseInOrder reads the records one after the other, as far as their headers verify.
func (d *decoding) parseInOrder(p *parsed, base int64) error {
	n, at := uint32(0), base
	var failed error
	p.Frame.Records(func(r *frame.Record) bool {
		id := raftlog.LogID(r.Index)
		if r.Kind == kindEngine {
			id = 0
		}
		failed = d.addRecord(p, id, r, r.PayloadOK(), at)
		n++
		at += int64(r.Size())
		return failed == nil
	})
	p.enumerated = n == p.Header.Records
	return failed
}

// addRecord adds the record of log id, or of the engine when id is 0, to p. ok says that
// its bytes verified.
func (d *decoding) addRecord(p *parsed, id raftlog.LogID, r *frame.Record, ok bool, at int64) error {
	if ok && r.Kind > kindDamagedHeld {
		if r.Kind.MustUnderstand() {
			return fmt.Errorf("%w: manifest record of kind %d", frame.ErrVersion, r.Kind)
		}
		return nil
	}
	var err error
	c := change{kind: kindLost, id: id}
	switch {
	case !ok:
		err = frame.ErrCorrupt
	case id == 0 && r.Kind == kindEngine:
		err = p.addFacts(r, d.stream)
	case id != 0 && r.Kind != kindEngine:
		c, err = decodeChange(r)
	default:
		err = fmt.Errorf("%w: kind %d of log %d", frame.ErrCorrupt, r.Kind, id)
	}
	if err != nil {
		c = change{kind: kindLost, id: id}
		d.report.fault(at, "record of log %d (0: the engine's) in batch %d: %v", id, p.Batch, err)
	}
	if id != 0 {
		p.changes = append(p.changes, c)
	}
	return nil
}

func (p *parsed) addFacts(r *frame.Record, stream uint64) error {
	dec := decoder{b: r.Payload}
	f := dec.facts(stream)
	f.unnamed = r.Flags&flagUnnamed != 0
	if err := dec.finish(); err != nil {
		return err
	}
	if r.Index < p.Batch || r.Prev == 0 {
		return fmt.Errorf("%w: edit ends at batch %d, image at %d", frame.ErrCorrupt, r.Index, r.Prev)
	}
	p.hasFacts, p.facts, p.editEnd, p.imageEnd = true, f, r.Index, r.Prev
	return nil
}
