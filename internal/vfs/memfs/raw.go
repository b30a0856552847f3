package memfs

import (
	iofs "io/fs"
	"maps"
	"path"
	"slices"
	"syscall"
)

// The methods of this file reach around the contract, for tests that damage files. They
// are no operations: they are neither counted nor announced.

// ReadFile returns a copy of what the file holds.
func (fs *FS) ReadFile(name string) ([]byte, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.walkLocked(name)
	if err == nil && n.file == nil {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, pathError("read", name, err)
	}
	return n.file.current.bytes(), nil
}

// WriteFile makes data the whole content of a file and both its content and its name
// durable, and creates the file when it is missing. Handles stay valid. Capacity is
// charged but not enforced.
func (fs *FS) WriteFile(name string, data []byte) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	d, base, err := fs.parentLocked(name)
	if err != nil {
		return pathError("write", name, err)
	}
	n := d.entries[base]
	if n == nil {
		n = &node{file: newInode()}
		fs.applyLocked(step{dir: d, name: base, node: n})
	}
	if n.file == nil {
		return pathError("write", name, syscall.EISDIR)
	}
	if op := d.latest[base]; op != nil {
		op.commit()
	}
	f := n.file
	fs.usedPages -= f.current.pages
	f.current = newContent()
	f.current.writeAt(data, 0)
	f.current.size = int64(len(data))
	f.stable = f.current.clone()
	f.changes = nil
	fs.usedPages += f.current.pages
	return nil
}

// RemoveFile removes a file's name, durably. Error: fs.ErrNotExist.
func (fs *FS) RemoveFile(name string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	d, base, err := fs.parentLocked(name)
	if err == nil && (d.entries[base] == nil || d.entries[base].file == nil) {
		err = iofs.ErrNotExist
	}
	if err != nil {
		return pathError("remove", name, err)
	}
	fs.applyLocked(step{dir: d, name: base})
	d.latest[base].commit()
	return nil
}

// Files returns the sorted, slash-separated absolute names of all files.
func (fs *FS) Files() []string {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	var names []string
	var visit func(dir string, d *directory)
	visit = func(dir string, d *directory) {
		for _, base := range slices.Sorted(maps.Keys(d.entries)) {
			name := path.Join(dir, base)
			if n := d.entries[base]; n.dir != nil {
				visit(name, n.dir)
			} else {
				names = append(names, name)
			}
		}
	}
	visit("/", fs.root.dir)
	slices.Sort(names)
	return names
}
