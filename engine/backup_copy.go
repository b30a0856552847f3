package engine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/wal"
)

// file links a file, or copies its first bytes.
func (b *backup) file(from, to string, bytes int64, linkable bool) error {
	if err := b.check(); err != nil {
		return err
	}
	if linkable && b.linking {
		err := b.fs.Link(from, to)
		switch {
		case err == nil:
			b.made = append(b.made, to)
			return nil
		case errors.Is(err, fs.ErrNotExist), noSpace(err):
			return err
		}
		b.linking = false // another file system, or one that cannot
	}
	in, err := b.fs.Open(from, vfs.OpenOptions{})
	if err != nil {
		return err
	}
	return errors.Join(b.copy(in, to, 0, bytes, bytes), in.Close())
}

// copyWAL copies a WAL file up to its fence.
func (b *backup) copyWAL(f *walFile, number uint64) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	return b.copy(f, wal.FileName(filepath.Join(b.to, walDirName), number), size, min(f.fence, size), size)
}

// copy makes a file of reserved bytes and copies the first bytes of in, which has to have them, to it.
// in is read in whole blocks; it may be longer.
func (b *backup) copy(in io.ReaderAt, to string, reserve, bytes, size int64) (err error) {
	out, err := b.fs.Create(to, vfs.CreateOptions{Size: reserve})
	if err != nil {
		return err
	}
	b.made = append(b.made, to)
	defer func() { err = errors.Join(err, out.Close()) }()
	buf, free, err := b.fs.Alloc(readPiece)
	if err != nil {
		return err
	}
	defer free()
	for off := int64(0); off < bytes; off += readPiece {
		if err := b.check(); err != nil {
			return err
		}
		n := min(readPiece, bytes-off)
		got, err := in.ReadAt(buf[:(n+vfs.BlockSize-1)&^(vfs.BlockSize-1)], off)
		if int64(got) < n {
			if err == nil || errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: the source of %s ends at %d of %d", ErrCorrupt, filepath.Base(to), off+int64(got), size)
			}
			return err
		}
		if _, err := out.WriteAt(buf[:n], off); err != nil {
			return err
		}
	}
	return out.Sync()
}

// writeFile makes a small file, durably but for its name.
func (b *backup) writeFile(name, text string) error {
	f, err := b.fs.Create(name, vfs.CreateOptions{})
	if err != nil {
		return err
	}
	b.made = append(b.made, name)
	_, err = f.WriteAt([]byte(text), 0)
	return errors.Join(err, f.Sync(), f.Close())
}
