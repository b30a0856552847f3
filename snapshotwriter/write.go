package snapshotwriter

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime/debug"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs"
)

// write makes the file of a job.
func (w *Writer) write(j *Job, stopped func() error) (raftlog.Snapshot, error) {
	m := &j.Meta
	enc, err := snapshot.NewEncoder(*m)
	if err != nil {
		return raftlog.Snapshot{}, err
	}
	final := w.Path(m.Log, m.Kind, m.ID)
	if err := w.claim(final); err != nil {
		return raftlog.Snapshot{}, err
	}
	defer w.release(final)
	durable := m.Kind == raftlog.KindSnapshot
	temp := final + snapshot.TempSuffix
	f, err := w.begin(m.Log, final, temp, stopped)
	if err != nil {
		return raftlog.Snapshot{}, err
	}
	out := &output{w: w, f: f, stopped: stopped}
	if durable {
		out.every = w.o.SyncBytes
	}
	info, err := w.fill(j, enc, out)
	if err == nil && durable {
		err = f.Datasync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = stopped()
	}
	if err != nil {
		w.remove(temp)
		return raftlog.Snapshot{}, err
	}
	if err := w.publish(m.Log, temp, final, durable); err != nil {
		return raftlog.Snapshot{}, err
	}
	return info.Snapshot(), nil
}

// begin creates an unfinished file, in place of what a crash may have left of one.
func (w *Writer) begin(log raftlog.LogID, final, unfinished string, stopped func() error) (vfs.File, error) {
	if err := stopped(); err != nil {
		return nil, err
	}
	if err := w.absent(final); err != nil {
		return nil, err
	}
	if err := w.o.FS.MkdirAll(w.LogDir(log)); err != nil {
		return nil, err
	}
	f, err := w.o.FS.Create(unfinished, vfs.CreateOptions{})
	if errors.Is(err, fs.ErrExist) {
		if err = w.o.FS.Remove(unfinished); err == nil {
			f, err = w.o.FS.Create(unfinished, vfs.CreateOptions{})
		}
	}
	if err != nil {
		w.remove(unfinished) // it may be there nevertheless
		return nil, err
	}
	return f, nil
}

// absent checks that no finished file is there. Errors: ErrExists, those of the file system.
func (w *Writer) absent(final string) error {
	_, err := w.o.FS.Stat(final)
	if err == nil {
		return fmt.Errorf("%w: %s", ErrExists, final)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// fill writes the whole content of a file.
func (w *Writer) fill(j *Job, enc *snapshot.Encoder, out *output) (snapshot.Info, error) {
	if err := out.write(enc.AppendHeader(nil)); err != nil {
		return snapshot.Info{}, err
	}
	buf := w.buffer(j.Meta.ChunkBytes)
	chunks := newChunker(out, enc, *buf)
	stateBytes, err := w.state(j, chunks)
	if err == nil {
		chunks.flush()
	}
	if chunks.err != nil { // what State made of it does not matter
		err = chunks.err
	}
	if err != nil {
		return snapshot.Info{}, err // the buffer goes too: a codec that failed may still write to it
	}
	w.buffers.Put(buf)
	info := enc.Info(stateBytes)
	return info, out.put(info.AppendTrailer(nil))
}

// state runs State, through the codec if there is one, and returns the bytes that State wrote.
func (w *Writer) state(j *Job, to io.Writer) (stateBytes int64, err error) {
	if w.o.Codec == nil {
		return j.runState(to)
	}
	var enc io.WriteCloser
	err = guard(func() (err error) {
		enc, err = w.o.Codec.NewWriter(to)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("%w %q: %w", ErrCodec, j.Meta.Codec, err)
	}
	stateBytes, err = j.runState(enc)
	if e := guard(enc.Close); err == nil && e != nil {
		err = fmt.Errorf("%w %q: %w", ErrCodec, j.Meta.Codec, e)
	}
	return stateBytes, err
}

// runState runs State.
func (j *Job) runState(to io.Writer) (int64, error) {
	in := &counter{to: to}
	err := guard(func() error { return j.State(in) })
	in.ended = true
	if err != nil {
		err = &StateError{Log: j.Meta.Log, ID: j.Meta.ID, Err: err}
	}
	return in.n, err
}

// guard turns a panic of f into a *PanicError.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return f()
}
