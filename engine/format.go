package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/vfs"
)

// Names in the engine's directory.
const (
	lockFile   = "LOCK"
	formatFile = "FORMAT"
	logsDir    = "logs"
	walDirName = "wal"
)

// formatLine is the content of FORMAT. The number is the major version: a program reads no other.
const formatLine = "rawl 1\n"

// checkFormat reports whether dir holds an engine. A directory whose making was cut short
// holds none. Errors: ErrVersion, ErrIncomplete, ErrCorrupt when what is there contradicts itself, those of the
// file system.
func checkFormat(dev vfs.FS, dir, walDir string) (exists bool, err error) {
	text, err := readSmall(dev, filepath.Join(dir, formatFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("engine: format: %w", err)
	}
	has, err := manifest.Exists(dev, dir)
	if err != nil {
		return false, fmt.Errorf("engine: format: %w", err)
	}
	switch {
	case has && string(text) == formatLine:
		return true, nil
	case string(text) == incompleteLine:
		return false, fmt.Errorf("%w: %s", ErrIncomplete, dir)
	case bytes.HasPrefix(text, []byte("rawl ")) && bytes.HasSuffix(text, []byte("\n")) && string(text) != formatLine:
		return false, fmt.Errorf("%w: directory %s is of format %q, this program reads %q", ErrVersion,
			dir, bytes.TrimSpace(text), formatLine[:len(formatLine)-1])
	case has || !cutShort(text):
		return false, fmt.Errorf("%w: %s does not name a format", ErrCorrupt, filepath.Join(dir, formatFile))
	}
	return false, checkUnused(dev, dir, walDir)
}

// cutShort reports whether text may be what a power cut left of the writing of FORMAT: its size
// may be there and its bytes not.
func cutShort(text []byte) bool {
	for i, c := range text {
		if i >= len(formatLine) || c != 0 && c != formatLine[i] {
			return false
		}
	}
	return true
}

// checkUnused refuses a directory that has lost its manifest but holds data.
func checkUnused(dev vfs.FS, dir, walDir string) error {
	for _, d := range []string{filepath.Join(dir, logsDir), walDir} {
		names, err := dev.List(d)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("engine: format: %w", err)
		}
		for _, name := range names {
			if name != calibrationFile {
				return fmt.Errorf("%w: %s has no manifest, yet %s holds %s", ErrCorrupt, dir, d, name)
			}
		}
	}
	return nil
}

// readSmall reads a file of at most a few bytes.
func readSmall(dev vfs.FS, name string) ([]byte, error) {
	f, err := dev.Open(name, vfs.OpenOptions{})
	if err != nil {
		return nil, err
	}
	b := make([]byte, 64)
	n, err := f.ReadAt(b, 0)
	if err == io.EOF {
		err = nil
	}
	return b[:n], errors.Join(err, f.Close())
}

// createFormat makes the directories and FORMAT of a new engine, durably. It may be repeated.
func createFormat(dev vfs.FS, dir, walDir string) error {
	for _, d := range []string{filepath.Join(dir, logsDir), walDir} {
		if err := dev.MkdirAll(d); err != nil {
			return err
		}
		if err := syncAbove(dev, d); err != nil {
			return err
		}
	}
	name := filepath.Join(dir, formatFile)
	f, err := dev.Create(name, vfs.CreateOptions{})
	if errors.Is(err, fs.ErrExist) {
		f, err = dev.Open(name, vfs.OpenOptions{Write: true})
	}
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(formatLine), 0)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return dev.SyncDir(dir)
}

// syncAbove makes the name of a directory durable, and those of its parents: which of them are
// new is not known, as an earlier attempt may have made them. Beyond the first it ends where
// this user may not, or the file system does not, sync directories: those were not made here.
func syncAbove(dev vfs.FS, dir string) error {
	for first := true; ; first = false {
		parent := filepath.Dir(dir)
		err := dev.SyncDir(parent)
		if !first && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL) || errors.Is(err, vfs.ErrUnsupported)) {
			return nil
		}
		if err != nil || parent == filepath.Dir(parent) {
			return err
		}
		dir = parent
	}
}
