package frame

// Builder encodes one frame into a caller's buffer. It allocates only while its trailer
// grows to the largest it has held. One goroutine at a time.
type Builder struct {
	id      Identity
	buf     []byte // the caller's; owned until the next Reset
	end     int    // end of the records in buf
	records uint32
	touches uint32
	trailer []byte
}

// Reset starts a frame of the file id in buf, which must be large enough for all that
// will be put into it; see Room.
func (b *Builder) Reset(buf []byte, id Identity) {
	b.id, b.buf, b.end = id, buf, HeaderSize
	b.records, b.touches = 0, 0
	b.trailer = b.trailer[:0]
}

// Records returns the number of records put so far.
func (b *Builder) Records() int { return int(b.records) }

// Empty reports whether no record was put.
func (b *Builder) Empty() bool { return b.records == 0 }

// Used returns the bytes of the frame so far, without trailer, footer and padding.
func (b *Builder) Used() int { return b.end }

// Room reports whether n more record bytes fit, when the trailer will have at most touches
// entries that declare their log.
func (b *Builder) Room(n, touches int) bool {
	return alignUp(b.end+n+touches*maxTouch+FooterSize) <= len(b.buf)
}

const maxTouch = 5 + 10 + 5 + 10 + 10 // the longest trailer entry, in bytes

// Put appends a record; r.CRC must be the checksum of r.Payload, which is copied.
func (b *Builder) Put(r *Record) {
	copy(b.buf[b.end+RecordHeaderSize:], r.Payload)
	b.PutPlaced(r)
}

// PutPlaced is Put for a payload that already lies where Put would copy it: in the buffer given to
// Reset, RecordHeaderSize behind Used.
func (b *Builder) PutPlaced(r *Record) {
	r.putHeader(b.buf[b.end:], b.id.seed)
	b.end += RecordHeaderSize + len(r.Payload)
	b.records++
}

// Touch appends a trailer entry.
func (b *Builder) Touch(t Touch) {
	b.trailer = appendTouch(b.trailer, t)
	b.touches++
}

// Finish completes the frame and returns its bytes, a whole number of blocks of the
// buffer given to Reset. The caller sets Batch, Watermark, FirstBatch, Block and Declared.
func (b *Builder) Finish(h Header) []byte {
	size := alignUp(b.end + len(b.trailer) + FooterSize)
	h.Blocks = uint32(size / BlockSize)
	h.Records, h.Body, h.trailer = b.records, uint32(b.end-HeaderSize), uint32(len(b.trailer))
	at := size - FooterSize - len(b.trailer)
	clear(b.buf[b.end:at])
	copy(b.buf[at:], b.trailer)
	putFooter(b.buf[size-FooterSize:size], &h, b.id, b.touches, b.trailer)
	h.put(b.buf, b.id)
	return b.buf[:size]
}

func alignUp(n int) int { return (n + BlockSize - 1) &^ (BlockSize - 1) }
