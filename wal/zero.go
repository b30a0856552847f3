package wal

// zeroChunk is what is filled with zeros at a time, and how far ahead of the writer, in bytes.
const zeroChunk = 1 << 20

// ZeroAhead fills the next part of a file that has not been written over its whole length, so
// that commits overwrite blocks instead of allocating them. It returns false when there is
// nothing to fill: enough lies ahead. It writes at most 1 MiB, and does not sync it. A
// failure ends the file's life, as that of a commit does. Owner goroutine.
func (w *WAL) ZeroAhead() bool {
	if w.cur == nil || w.staged || w.Health() != OK || !w.shortOfZeros(w.cur.off+zeroChunk) {
		return false
	}
	if err := w.zeroFrom(w.cur.off); err != nil {
		w.abandonFile()
	}
	return true
}

// zeroFor fills what lies ahead of a frame of n bytes, when the frame crosses into what was
// never written.
func (w *WAL) zeroFor(n int64) error {
	end := w.cur.off + n
	if !w.shortOfZeros(end) {
		return nil
	}
	return w.zeroFrom(end)
}

func (w *WAL) shortOfZeros(end int64) bool {
	return w.cur.zeroed < min(end, w.cur.size)
}

// zeroFrom fills one chunk behind both what is filled and off, up to the end of the file.
func (w *WAL) zeroFrom(off int64) error {
	off = max(off, w.cur.zeroed)
	n := min(zeroChunk, w.cur.size-off)
	if n <= 0 {
		return nil
	}
	if w.zeros == nil {
		var err error
		if w.zeros, err = w.alloc(zeroChunk); err != nil {
			return err
		}
	}
	if err := w.writeAt(w.zeros[:n], off, false); err != nil {
		return err
	}
	w.cur.zeroed = off + n
	return nil
}
