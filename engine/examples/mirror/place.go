package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/fallback"
)

// place is where a target is in the source's log, as it stands in a file:
//
//	mirror1 <cursor> <running checksum> <CRC-32C of everything before its blank>
//
// with numbers as 16 and 8 hexadecimal digits, and a line feed at the end. It may be behind the
// target's log, never ahead of it: it is written after the entries are durable. It is there before the
// first entry is.
type place struct {
	cursor   engine.Cursor
	checksum uint64
}

const (
	placeMagic   = "mirror"
	placeVersion = "1"
	maxPlaceText = 512
)

// ErrPlace means that a target's log is not the mirror that its file tells of.
var ErrPlace = errors.New("mirror: log and place do not belong together")

func (p place) String() string {
	text := fmt.Sprintf("%s%s %s %016x", placeMagic, placeVersion, p.cursor, p.checksum)
	return fmt.Sprintf("%s %08x\n", text, crc32.Checksum([]byte(text), castagnoli))
}

// parsePlace reads the text of a place. Errors: ErrPlace, ErrVersion.
func parsePlace(text string) (p place, err error) {
	version, found := strings.CutPrefix(text, placeMagic)
	version, _, _ = strings.Cut(version, " ")
	if _, err := strconv.ParseUint(version, 10, 32); !found || err != nil {
		return place{}, fmt.Errorf("%w: no magic", ErrPlace)
	}
	if version != placeVersion {
		return place{}, fmt.Errorf("%w: place of version %s", ErrVersion, version)
	}
	fields := strings.Split(text, " ")
	if len(fields) != 4 {
		return place{}, fmt.Errorf("%w: %d fields", ErrPlace, len(fields))
	}
	if p.checksum, err = strconv.ParseUint(fields[2], 16, 64); err == nil {
		p.cursor, err = engine.ParseCursor(fields[1])
	}
	if err == nil && p.String() != text {
		err = errors.New("checksum")
	}
	if err != nil {
		return place{}, fmt.Errorf("%w: %w", ErrPlace, err)
	}
	return p, nil
}

// places keeps the files of all logs in one directory. Any goroutine may call it, for different logs.
type places struct {
	dir string
	fs  *fallback.FS
}

func openPlaces(dir string) (*places, error) {
	fs, err := fallback.Open(fallback.Options{})
	if err != nil {
		return nil, err
	}
	return &places{dir: dir, fs: fs}, fs.MkdirAll(dir)
}

// path is made of a hash: the names of two logs may differ in case only, those of files must not.
func (p *places) path(uid engine.UID) string {
	sum := sha256.Sum256([]byte(uid))
	return filepath.Join(p.dir, fmt.Sprintf("%x.cursor", sum[:16]))
}

// load returns the place of a log; ok is false when there is none. Errors: ErrPlace, ErrVersion, and
// those of reading.
func (p *places) load(uid engine.UID) (at place, ok bool, err error) {
	path := p.path(uid)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return place{}, false, nil
	}
	if err != nil {
		return place{}, false, err
	}
	if info.Size() > maxPlaceText {
		return place{}, false, fmt.Errorf("%w: %s has %d bytes", ErrPlace, path, info.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return place{}, false, err
	}
	if at, err = parsePlace(string(text)); err != nil {
		return place{}, false, fmt.Errorf("%s: %w", path, err)
	}
	if at.cursor.UID != uid {
		return place{}, false, fmt.Errorf("%w: %s is of log %s", ErrPlace, path, at.cursor.UID)
	}
	return at, true, nil
}

// save writes the place and returns when it is durable. A crash leaves the old one or the new one.
func (p *places) save(at place) error {
	path := p.path(at.cursor.UID)
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(at.String())
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return p.fs.SyncDir(p.dir)
}
