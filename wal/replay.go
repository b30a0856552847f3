package wal

import (
	"fmt"

	"github.com/rawl-db/rawl/internal/frame"
)

// encodeItems encodes the batch in w.items for the current file, which has declared none or few of
// its logs. The batch may have become longer than the commit buffer: it gets one of its
// own then, and the file may grow past its size.
func (w *WAL) encodeItems() error {
	size, err := w.itemsSize()
	if err != nil {
		return err
	}
	buf := w.buf
	if size > len(buf) {
		if size > MaxCommitAll {
			return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, MaxCommitAll)
		}
		if w.large, w.freeLarge, err = w.o.FS.Alloc(size); err != nil {
			return fmt.Errorf("wal: buffer of %d bytes: %w", size, err)
		}
		buf = w.large
	}
	e := &w.enc
	e.begin(buf, w.cur)
	for i := range w.items {
		it := &w.items[i]
		t := e.touch(it.log)
		switch {
		case it.op.src == nil:
			e.control(t, &it.op)
		case it.to > 0:
			x, crc, _ := it.op.src.Peek(it.op.first)
			e.fragments(t, it.op.prev, &x, crc, it.from, it.to)
			if it.done {
				e.complete(t, it.op.src, it.op.last, 1, len(x.Data))
			}
		default:
			w.encodeEntries(t, &it.op)
		}
	}
	w.frame = e.finish(w.next)
	return nil
}

func (w *WAL) encodeEntries(t *touch, o *op) {
	payload, prev := 0, o.prev
	for i := o.first; i <= o.last; i++ {
		x, crc, _ := o.src.Peek(i)
		w.enc.entry(t, prev, &x, crc)
		payload += len(x.Data)
		prev, o.term = i, x.Term
	}
	w.enc.complete(t, o.src, o.last, int(o.last-o.first)+1, payload)
}

// itemsSize bounds the length of the frame that w.items need, when every log must be declared.
func (w *WAL) itemsSize() (int, error) {
	n := frame.HeaderSize + frame.FooterSize + 2*frame.BlockSize
	for i := range w.items {
		it := &w.items[i]
		n += declareSize(it.log) + maxTouch
		switch {
		case it.op.src == nil:
			n += frame.RecordHeaderSize + len(it.op.payload)
		case it.to > 0:
			parts := (it.to-it.from)/FragmentSize + 1
			n += it.to - it.from + parts*(frame.RecordHeaderSize+fragmentPrefix)
		default:
			for j := it.op.first; j <= it.op.last; j++ {
				x, _, ok := it.op.src.Peek(j)
				if !ok {
					return 0, &SourceError{ID: it.log.id, Index: j}
				}
				n += frame.RecordHeaderSize + len(x.Data)
			}
		}
	}
	return (n + frame.BlockSize - 1) &^ (frame.BlockSize - 1), nil
}

func (w *WAL) releaseLarge() {
	if w.large != nil {
		w.freeLarge()
		w.large, w.freeLarge, w.frame = nil, nil, nil
	}
}
