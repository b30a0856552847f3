package manifest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rawl-db/rawl/internal/vfs"
)

const (
	namePrefix = "manifest-"
	tempSuffix = ".tmp"
)

// FileName returns the name of manifest number n within its directory.
func FileName(n uint64) string { return fmt.Sprintf("%s%016x", namePrefix, n) }

// parseName reads a name as FileName spells it, with or without tempSuffix.
func parseName(name string) (n uint64, temp, ok bool) {
	digits, ok := strings.CutPrefix(name, namePrefix)
	if !ok {
		return 0, false, false
	}
	digits, temp = strings.CutSuffix(digits, tempSuffix)
	n, err := strconv.ParseUint(digits, 16, 64)
	if err != nil || n == 0 || FileName(n) != namePrefix+digits {
		return 0, false, false
	}
	return n, temp, true
}

// listing is what a directory holds of manifests.
type listing struct {
	newest uint64 // highest number under a final name, 0 when there is none
	next   uint64 // above every number seen
	names  []string
}

func list(fs vfs.FS, dir string) (listing, error) {
	names, err := fs.List(dir)
	if err != nil {
		return listing{}, fmt.Errorf("listing manifests: %w", err)
	}
	l := listing{next: 1}
	for _, name := range names {
		n, temp, ok := parseName(name)
		if !ok {
			continue
		}
		l.names = append(l.names, name)
		l.next = max(l.next, n+1)
		if !temp {
			l.newest = max(l.newest, n)
		}
	}
	return l, nil
}

// Exists reports whether dir, which must exist, holds a manifest. It says nothing about its
// soundness.
func Exists(fs vfs.FS, dir string) (bool, error) {
	l, err := list(fs, dir)
	return l.newest != 0, err
}
