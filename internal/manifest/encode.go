package manifest

import (
	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

const (
	// logsPerFrame bounds what the loss of a whole frame can hit.
	logsPerFrame = 64
	// frameBytes is how much a frame with more than one log may hold, in bytes of records.
	frameBytes = 64 << 10
	// headerBlocks is how many copies of the file header precede the frames.
	headerBlocks = 2
	// touchBytes is the longest trailer entry, in bytes.
	touchBytes = 5 + 10 + 5 + 10 + 10
)

// tail is where the next frame of a file goes, and what it must say of those before it.
type tail struct {
	id        frame.Identity
	block     uint32 // where the next frame starts
	batch     uint64 // of the last frame
	watermark uint64 // last batch of the last edit
	imageEnd  uint64 // last batch of the image, 0 while there is none
	echo      []raftlog.LogID
}

func newTail(h frame.FileHeader) tail { return tail{id: h.Identity(), block: headerBlocks} }

// group is the changes of one frame, with their payloads.
type group struct {
	changes  []change
	payloads []byte
	ends     []int // where each payload ends in payloads
}

// groups splits changes into frames; there is at least one.
func groups(changes []change) []group {
	gs := make([]group, 1, len(changes)/logsPerFrame+1)
	for i := range changes {
		g := &gs[len(gs)-1]
		c := &changes[i]
		n := len(g.ends)
		if n == logsPerFrame || n > 0 && n*frame.RecordHeaderSize+len(g.payloads) > frameBytes {
			gs = append(gs, group{})
			g = &gs[len(gs)-1]
		}
		g.payloads = c.appendPayload(g.payloads)
		g.ends = append(g.ends, len(g.payloads))
		g.changes = append(g.changes, *c)
	}
	return gs
}

// size bounds the bytes of the group's frame.
func (g *group) size(engine, echoes int) int {
	n := frame.HeaderSize + 2*(frame.RecordHeaderSize+engine) + frame.FooterSize
	n += len(g.changes)*frame.RecordHeaderSize + len(g.payloads)
	n += (len(g.changes) + 2 + echoes) * touchBytes
	return int(roundUp(int64(n)))
}

// encodeEdit returns the frames of an edit and the tail behind them.
func (t tail) encodeEdit(stream uint64, d delta) ([]byte, tail) {
	engine := appendFacts(nil, stream, d.facts)
	gs := groups(d.changes)
	size, echoes := 0, len(t.echo)
	for i := range gs {
		size += gs[i].size(len(engine), echoes)
		echoes = len(gs[i].changes)
	}
	last := t.batch + uint64(len(gs))
	if t.imageEnd == 0 {
		t.imageEnd = last
	}
	e := editEncoder{
		engine: frame.Record{
			Kind: kindEngine, Index: last, Prev: t.imageEnd, CRC: frame.Checksum(engine), Payload: engine,
		},
	}
	if d.facts.unnamed {
		e.engine.Flags |= flagUnnamed
	}
	buf := make([]byte, size)
	at := 0
	for i := range gs {
		n := e.encodeFrame(buf[at:], &t, &gs[i])
		at += n
		t.block += uint32(n / frame.BlockSize)
	}
	t.watermark = t.batch
	return buf[:at], t
}

type editEncoder struct {
	engine frame.Record
	b      frame.Builder
	off    uint64 // of the next record, from the end of the frame header
}

// encodeFrame writes one frame to buf and moves t's batch and echo behind it.
func (e *editEncoder) encodeFrame(buf []byte, t *tail, g *group) int {
	e.b.Reset(buf, t.id)
	e.off = 0
	e.put(0, &e.engine)
	start := 0
	for i := range g.changes {
		c := &g.changes[i]
		payload := g.payloads[start:g.ends[i]]
		start = g.ends[i]
		e.put(c.id, &frame.Record{
			Kind: c.recordKind(), Index: uint64(c.id), CRC: frame.Checksum(payload), Payload: payload,
		})
	}
	e.put(0, &e.engine)
	for _, id := range t.echo {
		e.b.Touch(frame.Touch{ID: uint64(id)})
	}
	t.batch++
	t.echo = t.echo[:0:0]
	for i := range g.changes {
		t.echo = append(t.echo, g.changes[i].id)
	}
	return len(e.b.Finish(frame.Header{
		Batch: t.batch, Watermark: t.watermark, FirstBatch: 1, Block: t.block,
	}))
}

func (e *editEncoder) put(id raftlog.LogID, r *frame.Record) {
	e.b.Put(r)
	e.b.Touch(frame.Touch{ID: uint64(id), Records: 1, LastIndex: e.off})
	e.off += uint64(r.Size())
}

// encodeFile returns the header blocks and the image of a new file, the size that the file
// must have, and the tail behind the image. room says how many bytes edits get beside an
// image of so many.
func encodeFile(h frame.FileHeader, d delta, room func(image int64) int64) (b []byte, size int64, t tail) {
	frames, t := newTail(h).encodeEdit(h.Stream, d)
	image := int64(headerBlocks*frame.BlockSize + len(frames))
	h.Size = roundUp(image + room(image))
	file := make([]byte, image)
	for i := range headerBlocks {
		h.Encode(file[i*frame.BlockSize:])
	}
	copy(file[headerBlocks*frame.BlockSize:], frames)
	return file, h.Size, t
}

func roundUp(n int64) int64 { return (n + frame.BlockSize - 1) &^ (frame.BlockSize - 1) }
