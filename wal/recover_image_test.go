package wal

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// recOp is a record as a test names it.
type recOp struct {
	id                raftlog.LogID
	kind              frame.Kind
	flags, typ        uint8
	index, term, prev uint64
	payload           []byte
}

func recEntry(id raftlog.LogID, index, term uint64, payload string) recOp {
	return recOp{id: id, kind: KindEntry, typ: 7, index: index, term: term, prev: index - 1, payload: []byte(payload)}
}

func recHardState(id raftlog.LogID, term uint64, vote string) recOp {
	return recOp{id: id, kind: KindHardState, term: term, payload: []byte(vote)}
}

func recControl(id raftlog.LogID, kind frame.Kind, index uint64) recOp {
	return recOp{id: id, kind: kind, index: index}
}

// recFragments cuts an entry into parts.
func recFragments(id raftlog.LogID, index, term uint64, parts ...string) []recOp {
	whole := ""
	for _, p := range parts {
		whole += p
	}
	var ops []recOp
	off := 0
	for i, p := range parts {
		b := binary.LittleEndian.AppendUint32(nil, frame.Checksum([]byte(whole)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(whole)))
		b = binary.LittleEndian.AppendUint32(b, uint32(off))
		op := recEntry(id, index, term, string(b)+p)
		op.flags = FlagFragment
		if i == 0 {
			op.flags |= FlagFirst
		}
		if i == len(parts)-1 {
			op.flags |= FlagLast
		}
		off += len(p)
		ops = append(ops, op)
	}
	return ops
}

func recUID(id raftlog.LogID) raftlog.UID { return raftlog.UID(fmt.Sprintf("log-%d", id)) }

// recImage is a WAL in memory and what it holds.
type recImage struct {
	stream uint64
	files  []*recTestFile
	frames []*recTestFrame
}

type recTestFile struct {
	image         *recImage
	number, first uint64
	data          []byte
	next          int // block
	numbers       map[raftlog.LogID]uint32
}

// recTestFrame is a frame: ops as put, declarations included, and where they stand in the file.
type recTestFrame struct {
	file          *recTestFile
	batch         uint64
	block, blocks int
	ops           []recOp
	at            []int
	end           int // of the records
}

const recStream = 0x5eed

func newRecImage() *recImage { return &recImage{stream: recStream} }

// file adds a file of so many blocks whose space is zero, or what stale holds.
func (im *recImage) file(number, first uint64, blocks int, stale []byte) *recTestFile {
	f := &recTestFile{
		image: im, number: number, first: first, next: 1,
		data: make([]byte, blocks*frame.BlockSize), numbers: map[raftlog.LogID]uint32{},
	}
	copy(f.data, stale)
	h := frame.FileHeader{Kind: frame.WALFile, Stream: im.stream, Number: number, Size: int64(len(f.data))}
	h.Encode(f.data)
	im.files = append(im.files, f)
	return f
}

func (im *recImage) numbers() []uint64 {
	var n []uint64
	for _, f := range im.files {
		n = append(n, f.number)
	}
	return n
}

func (f *recTestFile) id() frame.Identity { return frame.NewIdentity(f.image.stream, f.number) }

// put appends a frame with watermark batch-1.
func (f *recTestFile) put(batch uint64, ops ...recOp) *recTestFrame {
	return f.putAt(batch, batch-1, ops...)
}

func (f *recTestFile) putAt(batch, watermark uint64, ops ...recOp) *recTestFrame {
	fr := &recTestFrame{file: f, batch: batch, block: f.next}
	var b frame.Builder
	buf := f.data[f.next*frame.BlockSize:]
	b.Reset(buf, f.id())
	var order []raftlog.LogID
	touches := map[raftlog.LogID]*frame.Touch{}
	for _, op := range ops {
		t := touches[op.id]
		if t == nil {
			t = &frame.Touch{Number: f.numbers[op.id]}
			if t.Number == 0 {
				t.Number = uint32(len(f.numbers) + 1)
				t.ID = uint64(op.id)
				f.numbers[op.id] = t.Number
				fr.put(&b, t, recOp{id: op.id, kind: KindDeclare, payload: appendDeclare(nil, op.id, recUID(op.id))})
			}
			touches[op.id] = t
			order = append(order, op.id)
		}
		fr.put(&b, t, op)
	}
	for _, id := range order {
		b.Touch(*touches[id])
	}
	fr.end = fr.block*frame.BlockSize + b.Used()
	out := b.Finish(frame.Header{
		Batch: batch, Watermark: watermark, FirstBatch: f.first,
		Block: uint32(f.next), Declared: uint32(len(f.numbers)),
	})
	fr.blocks = len(out) / frame.BlockSize
	f.next += fr.blocks
	f.image.frames = append(f.image.frames, fr)
	return fr
}

func (fr *recTestFrame) put(b *frame.Builder, t *frame.Touch, op recOp) {
	fr.ops = append(fr.ops, op)
	fr.at = append(fr.at, fr.block*frame.BlockSize+b.Used())
	b.Put(&frame.Record{
		Kind: op.kind, Flags: op.flags, Type: op.typ, Log: t.Number,
		Prev: op.prev, Index: op.index, Term: op.term,
		CRC: frame.Checksum(op.payload), Payload: op.payload,
	})
	t.Records++
	if op.kind == KindEntry {
		t.LastIndex, t.LastTerm = op.index, op.term
	}
}

// begin and limit are the frame's bytes in the file.
func (fr *recTestFrame) begin() int { return fr.block * frame.BlockSize }
func (fr *recTestFrame) limit() int { return (fr.block + fr.blocks) * frame.BlockSize }

// bytes are the frame's own.
func (fr *recTestFrame) bytes() []byte { return fr.file.data[fr.begin():fr.limit()] }

// want renders what recovery has to visit of the frames that counted, per log, when the
// records for which lost returns true are not there.
func recWantOf(frames []*recTestFrame, lost func(fr *recTestFrame, op int) bool) map[raftlog.LogID][]string {
	want := map[raftlog.LogID][]string{}
	chains := map[raftlog.LogID][]byte{}
	for _, fr := range frames {
		for i, op := range fr.ops {
			gone := lost != nil && lost(fr, i)
			if op.kind == KindDeclare || gone && op.flags&FlagFragment == 0 {
				continue
			}
			payload := op.payload
			if op.flags&FlagFragment != 0 {
				if op.flags&FlagFirst != 0 {
					chains[op.id] = []byte{}
				}
				if gone || chains[op.id] == nil {
					chains[op.id] = nil
					continue
				}
				chains[op.id] = append(chains[op.id], payload[fragmentPrefix:]...)
				if op.flags&FlagLast == 0 {
					continue
				}
				payload = slices.Clone(chains[op.id])
			}
			want[op.id] = append(want[op.id], recLine(op.kind, op.typ, op.index, op.term, op.prev, fr.batch, payload))
		}
	}
	return want
}

func recLine(kind frame.Kind, typ uint8, index, term, prev, batch uint64, payload []byte) string {
	if len(payload) > 64 {
		payload = fmt.Appendf(nil, "%d bytes, %08x", len(payload), frame.Checksum(payload))
	}
	return fmt.Sprintf("b%d k%d t%d %d/%d<%d %q", batch, kind, typ, term, index, prev, payload)
}

// recSample is a small WAL with all that recovery knows: several logs and files, declarations,
// hard states, truncations, fragments, a watermark-only frame, a recycled spare, and a last
// batch that no watermark covers. durable is the batch up to which it says so.
func recSample() (im *recImage, durable uint64) {
	stale := newRecImage().file(0x07, 1, 12, nil)
	for b := uint64(1); stale.next < 11; b++ {
		stale.put(b, recEntry(9, b, 1, "stale"), recEntry(1, b, 1, "stale too"))
	}
	im = newRecImage()
	f := im.file(0x11, 1, 8, stale.data)
	f.put(1, recOp{id: 1, kind: KindCreate, payload: []byte(recUID(1))}, recHardState(1, 1, "me"), recEntry(1, 1, 1, "one"))
	f.put(2, recEntry(1, 2, 1, "two"), recEntry(2, 1, 1, "uno"), recEntry(2, 2, 1, "due"), recEntry(1, 3, 1, ""))
	f.put(3, recControl(2, KindTruncate, 1), recEntry(2, 2, 2, "deux"), recHardState(3, 4, ""))
	chain := recFragments(3, 1, 4, "part one,", "part two,", "part three")
	f.put(4, chain[0], recEntry(1, 4, 1, "four"))
	f.put(5, chain[1], recEntry(1, 5, 1, string(make([]byte, 5000))), recEntry(2, 3, 2, "x"))
	f = im.file(0x12, 6, 7, stale.data)
	f.put(6, chain[2], recEntry(2, 4, 2, "y"), recControl(1, KindApplied, 3))
	f.put(7)
	f.put(8, recControl(1, KindRelease, 2), recEntry(4, 1, 1, "new"), recEntry(1, 6, 1, "six"))
	f.put(9, recEntry(4, 2, 1, "newer"), recControl(2, KindDelete, 0))
	f = im.file(0x14, 10, 6, stale.data)
	f.put(10, recEntry(4, 3, 1, "ten"), recEntry(1, 7, 3, "seven"))
	f.put(11, recHardState(4, 3, "you"), recEntry(3, 2, 4, "eleven"))
	f.put(12, recEntry(1, 8, 3, "eight"), recEntry(3, 3, 4, "twelve"))
	im.file(0x15, 0, 4, stale.data)
	return im, 11
}
