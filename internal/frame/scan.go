package frame

import (
	"encoding/binary"
	"fmt"
)

// Frame is one frame as it was found in a file. At least one of HasHeader and HasTrailer
// is true; Batch, Watermark, FirstBatch, Block and Blocks of the Header are valid in both
// cases, its other fields only with HasHeader.
type Frame struct {
	Header
	HasHeader  bool
	HasTrailer bool
	Trailer    Trailer

	body []byte
	id   Identity
}

// Intact reports whether the frame is whole: header, trailer and every record with its
// payload verify. It reads all of the frame.
func (f *Frame) Intact() bool {
	if !f.HasHeader || !f.HasTrailer {
		return false
	}
	n := uint32(0)
	for r := range f.Records {
		if !r.PayloadOK() {
			return false
		}
		n++
	}
	return n == f.Header.Records
}

// Records yields the frame's records in order, up to the first whose header does not
// verify; payloads are not verified. It yields nothing when the header is lost. The record
// is valid during the call; its payload aliases the file.
func (f *Frame) Records(yield func(*Record) bool) {
	if !f.HasHeader {
		return
	}
	b := f.body
	var r Record
	for range f.Header.Records {
		var err error
		r, b, err = DecodeRecord(b, f.id)
		if err != nil || !yield(&r) {
			return
		}
	}
}

// Scan finds the frames of file, which is the whole content of a file including its header
// block, in the order of their place. It looks at every block up to the physical end: what
// follows damage is found, what another life of the file left behind is passed over.
func Scan(file []byte, id Identity) []Frame {
	var frames []Frame
	total := uint32(len(file) / BlockSize)
	unknown := uint32(1) // first block not yet claimed by a frame
	for b := uint32(1); b < total; {
		if f, ok := frameAt(file, id, b, total); ok {
			frames = append(frames, f)
			b += min(f.Blocks, total-b)
			unknown = b
			continue
		}
		if t, ok := decodeTrailer(file, id, b); ok && t.header.Block >= unknown {
			frames = append(frames, Frame{Header: t.header, HasTrailer: true, Trailer: t, id: id})
			unknown = b + 1
		}
		b++
	}
	return frames
}

// frameAt reads the frame whose header stands at block b. A frame that the end of the file
// cuts short is returned without its trailer.
func frameAt(file []byte, id Identity, b, total uint32) (Frame, bool) {
	at := int64(b) * BlockSize
	h, ok := decodeHeader(file[at:at+BlockSize], id, b)
	if !ok {
		return Frame{}, false
	}
	f := Frame{Header: h, HasHeader: true, id: id}
	begin := at + HeaderSize
	f.body = file[begin:min(begin+int64(h.Body), int64(len(file)))]
	if h.Blocks <= total-b {
		t, ok := decodeTrailer(file, id, b+h.Blocks-1)
		f.HasTrailer = ok && t.header.Batch == h.Batch && t.header.Blocks == h.Blocks
		if f.HasTrailer {
			f.Trailer = t
		}
	}
	return f, true
}

// String names the frame for reports.
func (f *Frame) String() string {
	return fmt.Sprintf("batch %d at block %d, %d blocks, header %t, trailer %t",
		f.Batch, f.Block, f.Blocks, f.HasHeader, f.HasTrailer)
}

// Untouched reports whether b, the first block behind a file's header, shows that no frame
// of the file's present life was ever written there: it holds zeros, or the sound header of a
// frame of another life.
func Untouched(b []byte, stream, number uint64) bool {
	if len(b) < HeaderSize {
		return false
	}
	if n := binary.LittleEndian.Uint64(b[8:]); n != number {
		if _, ok := decodeHeader(b, NewIdentity(stream, n), 1); ok {
			return true
		}
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
