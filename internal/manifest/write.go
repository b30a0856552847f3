package manifest

import (
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/vfs"
)

const (
	// defaultRoom is the least room for edits that a file is made with, in bytes.
	defaultRoom = 1 << 20
	// scarceRoom is what must do on a full disk.
	scarceRoom = 64 << 10
	// zeroChunk is how many zeros are written at a time.
	zeroChunk = 256 << 10
	// maxFile is the longest file that Open reads, in bytes.
	maxFile = 4 << 30
	// openTries is how often Open follows the writer from file to file.
	openTries = 10
)

// writer is the file that edits go to. It is nil when the next edit starts a new one: after
// Open, and after a failed write, sync or rename.
type writer struct {
	sync.Mutex
	closed  bool
	file    vfs.File
	number  uint64 // of the file that holds the image, written by this process or not
	next    uint64 // number of the next file
	size    int64  // of file
	tail    tail
	pending bool // the last edit is not proven by a later frame
}

// Create makes the first manifest, with an empty image, in dir, which must exist. stream
// is drawn at random by the caller, not 0. It fails with fs.ErrExist when there is one.
func Create(fs vfs.FS, dir string, stream uint64) (*Manifest, error) {
	return create(fs, dir, stream, defaultRoom)
}

func create(fs vfs.FS, dir string, stream uint64, room int64) (*Manifest, error) {
	l, err := list(fs, dir)
	if err != nil {
		return nil, err
	}
	if l.newest != 0 {
		return nil, fmt.Errorf("manifest %d: %w", l.newest, iofs.ErrExist)
	}
	m := &Manifest{fs: fs, dir: dir, room: room, stream: stream}
	m.mu.image = newImage()
	m.writer.next = l.next
	return m, m.replace(delta{facts: m.mu.image.facts})
}

// Open reads the manifest of dir and writes nothing.
//
// Errors wrap fs.ErrNotExist when there is none, frame.ErrVersion when it is of a newer
// format, and frame.ErrCorrupt when the file as a whole cannot be trusted: headers gone,
// file cut short, nothing of the image readable. Damage to single logs is no error: see
// Report, which is filled in as far as reading went.
func Open(fs vfs.FS, dir string) (*Manifest, Report, error) {
	return open(fs, dir, defaultRoom)
}

func open(fs vfs.FS, dir string, room int64) (*Manifest, Report, error) {
	for try := 1; ; try++ {
		l, err := list(fs, dir)
		if err != nil {
			return nil, Report{}, err
		}
		if l.newest == 0 {
			return nil, Report{}, fmt.Errorf("no manifest in %s: %w", dir, iofs.ErrNotExist)
		}
		r := Report{File: FileName(l.newest)}
		b, err := readAll(fs, filepath.Join(dir, r.File))
		if errors.Is(err, iofs.ErrNotExist) && try < openTries {
			continue // the writer replaced it meanwhile
		}
		if err != nil {
			return nil, r, fmt.Errorf("reading %s: %w", r.File, err)
		}
		im, stream, err := decodeFile(b, l.newest, &r)
		if err != nil {
			return nil, r, fmt.Errorf("reading %s: %w", r.File, err)
		}
		m := &Manifest{fs: fs, dir: dir, room: room, stream: stream}
		m.mu.image = im
		m.writer.number, m.writer.next = l.newest, l.next
		return m, r, nil
	}
}

func readAll(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name, vfs.OpenOptions{})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > maxFile {
		return nil, fmt.Errorf("%w: %d bytes", frame.ErrCorrupt, size)
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if err == io.EOF {
		err = nil
	}
	return b[:n], err
}

// Apply writes the edit, syncs it, and then changes the image. It blocks for both; calls
// queue behind each other. An edit without effect writes nothing, unless a new file is due.
//
// After an error the image is as before, but a crash may find the edit made, until a later
// Apply or Rewrite succeeds, which uses a new file. Errors: ErrBadEdit, ErrClosed, or one
// that wraps the system's.
func (m *Manifest) Apply(e Edit) error {
	if err := e.validate(); err != nil {
		return err
	}
	m.writer.Lock()
	defer m.writer.Unlock()
	if m.writer.closed {
		return ErrClosed
	}
	// Only the holder of the writer lock changes the image: it may read without mu.
	d := m.mu.image.plan(&e)
	if m.writer.file != nil && len(d.changes) == 0 && d.facts.equal(m.mu.image.facts) {
		return nil
	}
	if err := m.write(d); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range d.changes {
		m.mu.image.apply(c)
	}
	m.mu.image.facts = d.facts
	return nil
}

// Rewrite starts a new manifest file now. After Open it, or an Apply that writes, must
// precede every act that relies on what was read, such as removing a file: the last edit
// may have come from a cache and not from the device. It blocks and fails as Apply does.
func (m *Manifest) Rewrite() error {
	m.writer.Lock()
	defer m.writer.Unlock()
	if m.writer.closed {
		return ErrClosed
	}
	return m.replace(delta{facts: m.mu.image.facts})
}

// Mark proves the last edit by an empty frame, so that later damage to it is told apart
// from a torn write. It blocks for a sync, and does nothing when the last edit is proven or
// the file is about to be replaced. Call it when no edit has come for a while. After an
// error nothing is lost.
func (m *Manifest) Mark() error {
	m.writer.Lock()
	defer m.writer.Unlock()
	if m.writer.closed {
		return ErrClosed
	}
	return m.mark()
}

func (m *Manifest) mark() error {
	w := &m.writer
	if w.file == nil || !w.pending {
		return nil
	}
	done, err := w.append(m.stream, delta{facts: m.mu.image.facts})
	if err != nil {
		return fmt.Errorf("marking %s: %w", FileName(w.number), err)
	}
	w.pending = w.pending && !done
	return nil
}

// Close marks the last edit and closes the file. Whatever it returns, all that was applied
// is durable. Further calls return ErrClosed.
func (m *Manifest) Close() error {
	m.writer.Lock()
	defer m.writer.Unlock()
	if m.writer.closed {
		return ErrClosed
	}
	err := m.mark()
	m.writer.closed = true
	return errors.Join(err, m.writer.drop())
}

// write makes d durable: in the current file, or when that cannot take it in a new one.
func (m *Manifest) write(d delta) error {
	w := &m.writer
	if w.file == nil {
		return m.replace(d)
	}
	done, err := w.append(m.stream, d)
	if done {
		w.pending = true
		return nil
	}
	failed := m.replace(d)
	if failed != nil {
		return errors.Join(err, failed)
	}
	return nil
}

// append writes d to the current file and syncs it. It does nothing when there is no room.
// After an error the file is dropped.
func (w *writer) append(stream uint64, d delta) (done bool, err error) {
	b, next := w.tail.encodeEdit(stream, d)
	at := int64(w.tail.block) * frame.BlockSize
	if at+int64(len(b)) > w.size {
		return false, nil
	}
	if _, err = w.file.WriteAt(b, at); err == nil {
		err = w.file.Datasync()
	}
	if err != nil {
		return false, errors.Join(err, w.drop())
	}
	w.tail = next
	return true, nil
}

// drop closes the current file for good.
func (w *writer) drop() error {
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return err
}

// full reports whether err says that the disk is.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, vfs.ErrShortWrite)
}
