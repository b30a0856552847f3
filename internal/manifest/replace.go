package manifest

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/vfs"
)

// replace starts a new file that holds the image with d applied. When the disk is full it
// gives up the files before the current one and tries again with little room.
func (m *Manifest) replace(d delta) error {
	d.changes = m.mu.image.changes(d)
	err := m.startFile(d, func(image int64) int64 { return max(m.room, image) })
	if err != nil && full(err) {
		m.removeBefore(m.writer.number)
		err = m.startFile(d, func(int64) int64 { return min(m.room, scarceRoom) })
	}
	if err != nil {
		return fmt.Errorf("replacing manifest %d: %w", m.writer.number, err)
	}
	return nil
}

// startFile writes a file, gives it its name, and makes it the current one. Up to the
// rename a failure leaves the current file as it is; from there on it is finished, because
// a crash may find the new one.
func (m *Manifest) startFile(d delta, room func(image int64) int64) error {
	w := &m.writer
	h := frame.FileHeader{Kind: frame.ManifestFile, Stream: m.stream, Number: w.next}
	w.next++
	b, size, t := encodeFile(h, d, room)
	name := filepath.Join(m.dir, FileName(h.Number))
	if err := m.writeFile(name+tempSuffix, b, size); err != nil {
		// What is left over is removed with the next replacement if not here.
		_ = m.fs.Remove(name + tempSuffix)
		return err
	}
	_ = w.drop() // what it holds is durable, or in the new file
	if err := m.fs.Rename(name+tempSuffix, name); err != nil {
		return err
	}
	if err := m.fs.SyncDir(m.dir); err != nil {
		return err
	}
	previous := w.number
	w.number, w.size, w.tail, w.pending = h.Number, size, t, false
	// The edit is durable. Without an open file the next one starts another.
	if f, err := m.fs.Open(name, vfs.OpenOptions{Write: true}); err == nil {
		w.file = f
	}
	m.removeBefore(previous)
	return nil
}

// writeFile makes a file of the given size that starts with b and goes on with zeros,
// which are written, so that no edit changes the file's metadata.
func (m *Manifest) writeFile(name string, b []byte, size int64) (err error) {
	f, err := m.fs.Create(name, vfs.CreateOptions{Size: size})
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	if _, err := f.WriteAt(b, 0); err != nil {
		return err
	}
	zeros := make([]byte, min(zeroChunk, size-int64(len(b))))
	for at := int64(len(b)); at < size; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return err
		}
	}
	return f.Sync()
}

// removeBefore removes the files below number, and what unfinished replacements left. What
// stays because of an error is tried again with the next replacement.
func (m *Manifest) removeBefore(number uint64) {
	l, err := list(m.fs, m.dir)
	if err != nil {
		return
	}
	for _, name := range l.names {
		if n, temp, _ := parseName(name); temp || n < number {
			_ = m.fs.Remove(filepath.Join(m.dir, name))
		}
	}
}

func (f facts) equal(o facts) bool {
	return f.nextFile == o.nextFile && f.flushed == o.flushed && f.reserved == o.reserved &&
		f.unnamed == o.unnamed && slices.Equal(f.wal, o.wal)
}
