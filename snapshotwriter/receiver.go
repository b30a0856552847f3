package snapshotwriter

import (
	"errors"
	"fmt"
	"io"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
)

// Target says whose snapshot is received.
type Target struct {
	// Log and UID name the log of this engine that the file will belong to.
	Log raftlog.LogID
	UID raftlog.UID
	// Check refuses a snapshot before anything is written: by its position, its size
	// (Info.FileBytes), its context. What it gets is the sender's Info. nil refuses nothing.
	Check func(Info) error
}

// Receiver accepts a snapshot in chunks. Whatever the sender's kind, the file is a snapshot. One
// goroutine owns it; it must end with Finish, Abort or Close.
type Receiver struct {
	w           *Writer
	info        snapshot.Info
	final, part string
	out         *output
	buf         []byte // a chunk with its header
	next        int
	total       snapshot.Total
	old         earlier
	err         error // sticky; ErrClosed at the end
}

// NewReceiver begins or resumes a transfer. header is what the sender's Reader.Header returned; it is
// not kept. A file of the same header that an earlier Receiver left is continued: behind what that is known to have made durable, which
// is read back until Finish is done, each chunk is verified and written again (what was read may have come from a cache that the device never got) up
// to the last sound one. That blocks for a moment, or where nothing is known for as long as it takes. Any other file is begun anew. Errors: ErrVersion,
// *CorruptError, Check's error, ErrKind for a recovery checkpoint, ErrMeta for a bad target,
// ErrExists, ErrBusy, ErrClosed, those of the file system.
func (w *Writer) NewReceiver(header []byte, t Target) (*Receiver, error) {
	info, err := snapshot.ParseHeader(header)
	if err != nil {
		return nil, fmt.Errorf("snapshotwriter: header of a transfer: %w", err)
	}
	if info.Kind == raftlog.KindRecovery {
		return nil, fmt.Errorf("%w: %v", ErrKind, info.Kind)
	}
	if t.Check != nil {
		if err := t.Check(info); err != nil {
			return nil, err
		}
	}
	info.Kind, info.Log, info.UID = raftlog.KindSnapshot, t.Log, t.UID
	if err := info.Validate(); err != nil {
		return nil, err
	}
	r := &Receiver{w: w, info: info, final: w.Path(t.Log, info.Kind, info.ID), total: info.NewTotal()}
	r.part = r.final + snapshot.PartSuffix
	if err := w.claim(r.final); err != nil {
		return nil, err
	}
	r.buf = make([]byte, snapshot.ChunkHeaderBytes+int(min(int64(info.ChunkBytes), info.DataBytes)))
	if err := r.open(); err != nil {
		w.release(r.final)
		return nil, err
	}
	return r, nil
}

// Info describes the file that is received.
func (r *Receiver) Info() Info { return r.info }

// Next is the chunk that Accept expects; Info().Chunks() when it has all.
func (r *Receiver) Next() int { return r.next }

// Accept takes chunk n. One before Next that is equal to what is there changes nothing. data is not
// kept. Errors that leave the Receiver usable: ErrOutOfOrder, *CorruptError for a chunk that does not
// verify, ErrOtherSnapshot. Errors of the file system, and damage to what an earlier Receiver left, remove what was received; Err
// tells.
func (r *Receiver) Accept(n int, data []byte, sum Sum) error {
	if err := r.usable(); err != nil {
		return err
	}
	if n < 0 || n > r.next || n >= r.info.Chunks() {
		return fmt.Errorf("%w: %d where %d of %d is next", ErrOutOfOrder, n, r.next, r.info.Chunks())
	}
	if err := r.info.CheckChunk(n, data, sum); err != nil {
		return err
	}
	if n < r.next {
		return r.repeated(n, sum)
	}
	b := r.buf[:snapshot.ChunkHeaderBytes+len(data)]
	r.info.PutChunkHeader(b, n, len(data), sum)
	copy(b[snapshot.ChunkHeaderBytes:], data)
	if err := r.out.put(b); err != nil {
		return r.fail(err)
	}
	r.total.Add(data)
	r.next++
	if r.out.unsynced == 0 {
		if err := r.record(); err != nil {
			return r.fail(err)
		}
	}
	for range lookBacks {
		if err := r.lookBack(); err != nil {
			return r.fail(err)
		}
	}
	return nil
}

// Err is why the Receiver has ended, nil while it goes on.
func (r *Receiver) Err() error { return r.err }

// usable returns the sticky error, or that of a closed Writer.
func (r *Receiver) usable() error {
	if r.err != nil {
		return r.err
	}
	return r.w.ended()
}

// repeated compares a sound chunk with the one that is there.
func (r *Receiver) repeated(n int, sum Sum) error {
	there, err := r.read(n)
	if err != nil {
		return r.fail(err)
	}
	if there != sum {
		return fmt.Errorf("%w: chunk %d is another than before", ErrOtherSnapshot, n)
	}
	return nil
}

// read verifies a chunk of the file.
func (r *Receiver) read(n int) (Sum, error) {
	b := r.buf[:snapshot.ChunkHeaderBytes+r.info.ChunkLen(n)]
	if k, err := r.out.f.ReadAt(b, r.info.Offset(n)); k < len(b) {
		return Sum{}, readError(r.part, err)
	}
	_, sum, err := r.info.ParseChunk(n, b)
	if err != nil {
		return Sum{}, fmt.Errorf("%s: %w", r.part, err)
	}
	return sum, nil
}

func readError(path string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("snapshotwriter: reading %s: %w", path, err)
}

// Finish reads back, at the Writer's rate, what is left of what an earlier Receiver wrote, writes the trailer, syncs, and publishes the
// file; what it returns is durable. Errors: ErrIncomplete, after which more chunks may come; ErrClosed, which keeps what was
// received; *CorruptError and those of the file system, after which the Receiver is closed and what was received is removed.
func (r *Receiver) Finish() (raftlog.Snapshot, error) {
	if err := r.usable(); err != nil {
		return raftlog.Snapshot{}, err
	}
	if r.next < r.info.Chunks() {
		return raftlog.Snapshot{}, fmt.Errorf("%w: %d of %d are there", ErrIncomplete, r.next, r.info.Chunks())
	}
	if r.total.Sum() != r.info.Total {
		return raftlog.Snapshot{}, r.fail(&CorruptError{Path: r.part, Offset: r.info.Offset(r.next),
			Chunk: snapshot.NoChunk, Reason: "checksum of all chunks"})
	}
	if err := r.lookBackAll(); errors.Is(err, ErrClosed) {
		return raftlog.Snapshot{}, errors.Join(err, r.Close())
	} else if err != nil {
		return raftlog.Snapshot{}, r.fail(err)
	}
	if err := r.seal(); err != nil {
		return raftlog.Snapshot{}, r.fail(err)
	}
	if err := r.w.publish(r.info.Log, r.part, r.final, true); err != nil {
		return raftlog.Snapshot{}, r.fail(err)
	}
	r.end(ErrClosed)
	return r.info.Snapshot(), nil
}

// seal ends the file with its trailer, in the place of the record of its progress, and makes it durable.
func (r *Receiver) seal() error {
	if err := r.out.put(r.info.AppendTrailer(nil)); err != nil {
		return err
	}
	if err := r.out.f.Truncate(r.out.off); err != nil {
		return err
	}
	if err := r.out.f.Datasync(); err != nil {
		return err
	}
	return r.closeFile()
}

// Abort removes what was received. Error: that of removing it. After Finish or Close it does nothing.
func (r *Receiver) Abort() error {
	if r.err != nil {
		return nil
	}
	_ = r.closeFile()
	err := r.w.o.FS.Remove(r.part)
	r.end(ErrClosed)
	return err
}

// Close syncs what was received and keeps it for a later Receiver, unless that fails. After Finish,
// Abort or a failure it does nothing.
func (r *Receiver) Close() error {
	if r.err != nil {
		return nil
	}
	err := r.out.f.Datasync()
	if err == nil {
		err = r.record()
	}
	if err == nil {
		err = r.closeFile()
	}
	if err != nil {
		return r.fail(err)
	}
	r.w.interrupt(r)
	r.end(ErrClosed)
	return nil
}

// fail ends the transfer and removes what was received: a file that had a failed write or
// sync must not be continued.
func (r *Receiver) fail(err error) error {
	_ = r.closeFile()
	r.w.remove(r.part)
	r.end(err)
	return err
}

// end makes every later call return err.
func (r *Receiver) end(err error) {
	r.err = err
	r.w.release(r.final)
}

func (r *Receiver) closeFile() error {
	if r.out == nil || r.out.f == nil {
		return nil
	}
	f := r.out.f
	r.out.f = nil
	return f.Close()
}
