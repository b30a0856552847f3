package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/vfs"
)

const stageSuffix = ".repair"

// stageFS lets package manifest make a whole new manifest under names that nobody reads: each
// manifest file it makes gets a suffix. It sees the files that are there as unfinished ones, so that the
// new one gets a higher number. It has to be given its name by publish.
type stageFS struct {
	vfs.FS
	dir string
}

func (s stageFS) staged(name string) string {
	if filepath.Dir(name) == filepath.Clean(s.dir) && strings.HasPrefix(filepath.Base(name), manifestPrefix) {
		return name + stageSuffix
	}
	return name
}

// Create implements vfs.FS.
func (s stageFS) Create(name string, o vfs.CreateOptions) (vfs.File, error) {
	return s.FS.Create(s.staged(name), o)
}

// Open implements vfs.FS.
func (s stageFS) Open(name string, o vfs.OpenOptions) (vfs.File, error) {
	return s.FS.Open(s.staged(name), o)
}

// Rename implements vfs.FS.
func (s stageFS) Rename(from, to string) error { return s.FS.Rename(s.staged(from), s.staged(to)) }

// Remove implements vfs.FS.
func (s stageFS) Remove(name string) error { return s.FS.Remove(s.staged(name)) }

// List implements vfs.FS.
func (s stageFS) List(dir string) ([]string, error) {
	names, err := s.FS.List(dir)
	if filepath.Clean(dir) != filepath.Clean(s.dir) {
		return names, err
	}
	for i, name := range names {
		if !strings.HasPrefix(name, manifestPrefix) {
			continue
		}
		if plain, ok := strings.CutSuffix(name, stageSuffix); ok {
			names[i] = plain
		} else if !strings.HasSuffix(name, ".tmp") {
			names[i] = name + ".tmp"
		}
	}
	return names, err
}

// replaceManifest makes a manifest of the edit and puts it in force in one step.
func (r *repairer) replaceManifest(stream uint64, edit manifest.Edit) error {
	if err := r.clearStage(); err != nil {
		return err
	}
	stage := stageFS{r.fs, r.dir}
	m, err := manifest.Create(stage, r.dir, stream)
	if err != nil {
		return fmt.Errorf("engine: repair: %w", err)
	}
	if err := errors.Join(m.Apply(edit), m.Close()); err != nil {
		return fmt.Errorf("engine: repair: %w", err)
	}
	if err := r.keepManifest(); err != nil {
		return err
	}
	names, err := r.fs.List(r.dir)
	if err != nil {
		return fmt.Errorf("engine: repair: %w", err)
	}
	newest := ""
	for _, name := range names { // sorted, and the numbers have leading zeros
		if plain, ok := strings.CutSuffix(name, stageSuffix); ok && strings.HasPrefix(plain, manifestPrefix) {
			newest = plain
		}
	}
	name := filepath.Join(r.dir, newest)
	if err := r.fs.Rename(name+stageSuffix, name); err != nil {
		return fmt.Errorf("engine: repair: %w", err)
	}
	if err := r.fs.SyncDir(r.dir); err != nil {
		return fmt.Errorf("engine: repair: %w", err)
	}
	return r.clearStage()
}

// clearStage removes what a repair that was cut short left.
func (r *repairer) clearStage() error {
	names, err := r.fs.List(r.dir)
	if err != nil {
		return fmt.Errorf("engine: repair: %w", err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, manifestPrefix) && strings.HasSuffix(name, stageSuffix) {
			if err := r.fs.Remove(filepath.Join(r.dir, name)); err != nil {
				return fmt.Errorf("engine: repair: %w", err)
			}
		}
	}
	return nil
}

// olderFS hides the manifests from the given name on.
type olderFS struct {
	vfs.FS
	dir, below string
}

// List implements vfs.FS.
func (o olderFS) List(dir string) ([]string, error) {
	names, err := o.FS.List(dir)
	var kept []string
	for _, name := range names {
		if filepath.Clean(dir) != filepath.Clean(o.dir) || !strings.HasPrefix(name, manifestPrefix) || name < o.below {
			kept = append(kept, name)
		}
	}
	return kept, err
}
