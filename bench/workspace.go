package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// workspace is a directory that one run has to itself.
type workspace struct {
	dir string
}

// newWorkspace makes a directory under parent, or under the current one. File systems that are
// kept in memory are refused: what they report about durability means nothing.
func newWorkspace(parent string) (*workspace, error) {
	if parent == "" {
		parent = "."
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, err
	}
	if name, volatile := fsType(parent); volatile {
		return nil, fmt.Errorf("%s is on %s, which is memory: name a directory on a disk with -dir", parent, name)
	}
	dir, err := os.MkdirTemp(parent, "rawl-bench-")
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	return &workspace{dir: dir}, nil
}

func (w *workspace) remove() {
	if err := os.RemoveAll(w.dir); err != nil {
		fmt.Fprintln(os.Stderr, "bench: cannot remove:", err)
	}
}
