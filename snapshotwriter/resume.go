package snapshotwriter

import (
	"bytes"
	"errors"
	"io"
	"io/fs"

	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs"
)

// interrupted is how far a file got. All of it is durable.
type interrupted struct {
	next  int
	total snapshot.Total
	end   int64 // of the last chunk
	sound int   // of the chunks, those that were read back since
}

// earlier is what earlier Receivers left of a file: so many chunks, of which so many were read back since.
type earlier struct {
	chunks, sound int
}

// lookBacks is how many earlier chunks are read back for each one that comes, so that little is left to do at the end. What this Receiver
// writes was verified before: reading it again would show what the system's cache holds.
const lookBacks = 4

// lookBack reads back the next of the earlier chunks, if there is one.
func (r *Receiver) lookBack() error {
	if r.old.sound == r.old.chunks {
		return nil
	}
	if _, err := r.read(r.old.sound); err != nil {
		return err
	}
	r.old.sound++
	return nil
}

// lookBackAll reads back all that is left of them, at the Writer's rate. Error: also ErrClosed.
func (r *Receiver) lookBackAll() error {
	for r.old.sound < r.old.chunks {
		if err := r.w.pace(r.info.ChunkLen(r.old.sound), r.w.ended); err != nil {
			return err
		}
		if err := r.lookBack(); err != nil {
			return err
		}
	}
	return nil
}

// interrupt takes note of how far a file got.
func (w *Writer) interrupt(r *Receiver) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.interrupted[r.part] = interrupted{r.next, r.total, r.out.off, r.old.sound}
}

// recall returns the note about a file, once: who continues the file changes it.
func (w *Writer) recall(part string) (interrupted, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, ok := w.mu.interrupted[part]
	delete(w.mu.interrupted, part)
	return i, ok
}

// open continues the unfinished file of an earlier transfer, or creates one.
func (r *Receiver) open() error {
	if err := r.w.ended(); err != nil {
		return err
	}
	if err := r.w.absent(r.final); err != nil {
		return err
	}
	head := r.info.AppendHeader(nil)
	known, ok := r.w.recall(r.part)
	f, err := r.w.o.FS.Open(r.part, vfs.OpenOptions{Write: true})
	if err == nil {
		r.out = &output{w: r.w, f: f, every: r.w.receiveSync(), stopped: r.w.ended}
		if err := r.resume(head, known, ok); err == nil || errors.Is(err, ErrClosed) {
			if err != nil {
				_ = r.closeFile()
			}
			return err
		}
		// It cannot be continued: of another snapshot, unreadable, or a write to it failed.
		_ = r.closeFile()
		r.next, r.total, r.old = 0, r.info.NewTotal(), earlier{}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return r.create(head)
}

// create begins a new file, in place of one that is there.
func (r *Receiver) create(head []byte) error {
	f, err := r.w.begin(r.info.Log, r.final, r.part, r.w.ended)
	if err != nil {
		return err
	}
	r.out = &output{w: r.w, f: f, every: r.w.receiveSync(), stopped: r.w.ended}
	if err := r.out.put(head); err != nil {
		_ = r.closeFile()
		r.w.remove(r.part)
		return err
	}
	return nil
}

// errBegun says that a file does not begin as it must.
var errBegun = errors.New("snapshotwriter: unfinished file of another transfer")

// maxReceiveSync bounds what is written between two syncs while a snapshot is received. The device takes what is synced in one go,
// and the small writes of others wait behind it: those of a leader's log on the same device, above all.
const maxReceiveSync = 1 << 20

func (w *Writer) receiveSync() int64 { return min(w.o.SyncBytes, maxReceiveSync) }

// record notes in the file how far it is durable, for another life of the Writer. The note itself need not be.
func (r *Receiver) record() error {
	_, err := r.out.f.WriteAt(r.info.AppendProgress(nil, r.next, &r.total), r.info.FileBytes())
	return err
}

// recorded returns the newest note that a file holds.
func (r *Receiver) recorded() (interrupted, bool) {
	b := make([]byte, snapshot.ProgressBytes)
	if n, _ := r.out.f.ReadAt(b, r.info.FileBytes()); n < len(b) {
		return interrupted{}, false
	}
	n, total, ok := r.info.ParseProgress(b)
	return interrupted{n, total, r.info.Offset(n), 0}, ok
}

// resume goes on behind what is known to be durable. What follows there is verified and written again, up to the last sound
// chunk.
func (r *Receiver) resume(head []byte, known interrupted, trusted bool) error {
	got := make([]byte, len(head))
	if n, err := r.out.f.ReadAt(got, 0); n < len(got) {
		return readError(r.part, err)
	}
	if !bytes.Equal(got, head) {
		return errBegun
	}
	if !trusted {
		known, trusted = r.recorded()
	}
	if size, err := r.out.f.Size(); trusted && err == nil && size >= known.end {
		r.next, r.total, r.out.off, r.old = known.next, known.total, known.end, earlier{known.next, known.sound}
	} else if err := r.out.write(head); err != nil {
		return err
	}
	for r.next < r.info.Chunks() {
		sound, err := r.resumeChunk()
		if err != nil {
			return err
		}
		if !sound {
			break
		}
	}
	if trusted {
		return nil // the note stays; Finish cuts it, and what is here now is written over
	}
	return r.out.f.Truncate(r.out.off)
}

// resumeChunk takes the next chunk over when it is sound.
func (r *Receiver) resumeChunk() (sound bool, err error) {
	b := r.buf[:snapshot.ChunkHeaderBytes+r.info.ChunkLen(r.next)]
	n, err := r.out.f.ReadAt(b, r.out.off)
	if n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			return false, nil
		}
		return false, readError(r.part, err)
	}
	data, _, err := r.info.ParseChunk(r.next, b)
	if err != nil {
		return false, nil
	}
	if err := r.out.write(b); err != nil {
		return false, err
	}
	r.total.Add(data)
	r.next++
	return true, nil
}
