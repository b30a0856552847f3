package wal

import (
	"encoding/binary"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// maxTouch bounds a trailer entry, in bytes; frame.Builder reckons with the same.
const maxTouch = 40

// encoder puts records into a frame and keeps what acknowledging it needs.
type encoder struct {
	b       frame.Builder
	buf     []byte
	file    *current
	seq     uint64 // numbers the encodings; Log.touch is valid for one of them
	touches []touch
	// superseded are sources that were replaced by a successor within the batch.
	superseded []durable
	declare    []byte // scratch

	entries, controls, payload int
}

// touch is what the frame holds of one log.
type touch struct {
	log      *Log
	records  uint32
	controls uint32
	index    raftlog.Index // of the last entry record
	term     raftlog.Term
	durable
}

// durable says that a source's entries up to last are in the batch.
type durable struct {
	src  Source
	last raftlog.Index
}

func (e *encoder) begin(buf []byte, file *current) {
	clear(e.touches)
	clear(e.superseded)
	e.touches, e.superseded = e.touches[:0], e.superseded[:0]
	e.entries, e.controls, e.payload = 0, 0, 0
	e.buf, e.file = buf, file
	e.seq++
	e.b.Reset(buf, file.id)
}

// end is the length of the frame as it stands plus n bytes of records, when one more log
// may be touched; without padding.
func (e *encoder) end(n int) int {
	return e.b.Used() + n + (len(e.touches)+1)*maxTouch + frame.FooterSize
}

// overhead is the bytes that l's first record in the file costs besides itself.
func (e *encoder) overhead(l *Log) int {
	if l.file == e.file.number {
		return 0
	}
	return declareSize(l)
}

func declareSize(l *Log) int { return frame.RecordHeaderSize + 8 + len(l.uid) }

// touch returns l's place in the trailer, and declares l when the file does not know it.
func (e *encoder) touch(l *Log) *touch {
	if l.batch == e.seq {
		return &e.touches[l.touch]
	}
	l.batch, l.touch = e.seq, uint32(len(e.touches))
	e.touches = append(e.touches, touch{log: l})
	t := &e.touches[l.touch]
	if l.file != e.file.number {
		l.file, l.slot = e.file.number, uint32(len(e.file.logs))
		e.file.logs = append(e.file.logs, SealedLog{Log: l})
		e.declare = appendDeclare(e.declare[:0], l.id, l.uid)
		e.b.Put(&frame.Record{
			Kind: KindDeclare, Log: l.slot + 1, CRC: frame.Checksum(e.declare), Payload: e.declare,
		})
		t.records++
	}
	return t
}

// entry puts one whole entry.
func (e *encoder) entry(t *touch, prev raftlog.Index, x *raftlog.Entry, crc uint32) {
	e.b.Put(&frame.Record{
		Kind: KindEntry, Type: x.Type, Log: t.log.slot + 1,
		Prev: uint64(prev), Index: uint64(x.Index), Term: uint64(x.Term),
		CRC: crc, Payload: x.Data,
	})
	t.records++
	t.index, t.term = x.Index, x.Term
}

// fragments puts the part [from, to) of an entry's payload. It is laid out where the builder wants it.
func (e *encoder) fragments(t *touch, prev raftlog.Index, x *raftlog.Entry, crc uint32, from, to int) {
	for ; from < to; from += FragmentSize {
		end := min(from+FragmentSize, to)
		at := e.b.Used() + frame.RecordHeaderSize
		p := e.buf[at : at+fragmentPrefix+end-from]
		binary.LittleEndian.PutUint32(p[0:], crc)
		binary.LittleEndian.PutUint32(p[4:], uint32(len(x.Data)))
		binary.LittleEndian.PutUint32(p[8:], uint32(from))
		sum := frame.CopyChecksum(frame.Checksum(p[:fragmentPrefix]), p[fragmentPrefix:], x.Data[from:end])
		r := frame.Record{
			Kind: KindEntry, Flags: FlagFragment, Type: x.Type, Log: t.log.slot + 1,
			Prev: uint64(prev), Index: uint64(x.Index), Term: uint64(x.Term),
			CRC: sum, Payload: p,
		}
		if from == 0 {
			r.Flags |= FlagFirst
		}
		if end == len(x.Data) {
			r.Flags |= FlagLast
		}
		e.b.PutPlaced(&r)
		t.records++
		t.index, t.term = x.Index, x.Term
	}
}

func (e *encoder) control(t *touch, o *op) {
	e.b.Put(&frame.Record{
		Kind: o.kind, Log: t.log.slot + 1, Index: uint64(o.first), Term: uint64(o.last),
		CRC: frame.Checksum(o.payload), Payload: o.payload,
	})
	t.records++
	t.controls++
	e.controls++
}

// complete notes that the batch ends the entries of src up to last.
func (e *encoder) complete(t *touch, src Source, last raftlog.Index, entries, payload int) {
	if t.src != nil && t.src != src {
		e.superseded = append(e.superseded, t.durable)
	}
	t.src, t.last = src, last
	e.entries += entries
	e.payload += payload
}

// finish completes the frame of the given batch at the current end of the file.
func (e *encoder) finish(batch raftlog.Batch) []byte {
	for i := range e.touches {
		t := &e.touches[i]
		x := frame.Touch{
			Number: t.log.slot + 1, Records: t.records, LastIndex: uint64(t.index), LastTerm: uint64(t.term),
		}
		if t.log.slot >= uint32(e.file.declared) {
			x.ID = uint64(t.log.id)
		}
		e.b.Touch(x)
	}
	return e.b.Finish(frame.Header{
		Batch: uint64(batch), Watermark: uint64(batch) - 1, FirstBatch: uint64(e.file.first),
		Block: uint32(e.file.off / frame.BlockSize), Declared: uint32(len(e.file.logs)),
	})
}
