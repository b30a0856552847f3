package engine_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// baseline is what an engine takes from its process and from the disk.
type baseline struct {
	goroutines  int
	heap        int64 // bytes
	memory      int64 // bytes of memtables
	plans       int
	readers     int
	descriptors map[string]int // by what they are open on
	files       map[string]int // by what they are called without their numbers
}

var digits = regexp.MustCompile(`[0-9a-f]{16}|[0-9]+`)

// takeBaseline looks at a running engine.
func takeBaseline(t *testing.T, e *engine.Engine) baseline {
	t.Helper()
	s := e.Stats()
	b := baseline{heap: heap(), memory: s.MemoryBytes, plans: s.Plans.Live, readers: s.Readers}
	b.goroutines, b.descriptors, b.files = runtime.NumGoroutine(), descriptors(t, e.Dir()), files(t, e.Dir())
	return b
}

// files lists what is below dir.
func files(t *testing.T, dir string) map[string]int {
	t.Helper()
	names := map[string]int{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return ignoreGone(err)
		}
		rel, err := filepath.Rel(dir, name)
		names[digits.ReplaceAllString(filepath.ToSlash(rel), "N")]++
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// ignoreGone is err unless it says that a file was removed meanwhile.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// differs says in what b is more than the baseline was, "" for nothing. Files are those of an engine that never
// had a log, up to WAL files that wait to be used again: stats counts those.
func (b *baseline) differs(was *baseline, s engine.Stats) string {
	const slack = 1 << 20 // bytes: the pool's blocks, the manifest's buffers
	wants, open := maps.Clone(was.files), maps.Clone(was.descriptors)
	wants["wal/N.wal"] = current(s) + s.SparesReady + s.SparesPooled
	if open != nil {
		open["wal/N.wal"] = current(s) + s.SparesReady
	}
	if b.files["manifest-N"] == 2 {
		wants["manifest-N"] = 2 // the one before stays until the next replacement
	}
	switch {
	case b.goroutines > was.goroutines:
		return fmt.Sprintf("%d goroutines, there were %d", b.goroutines, was.goroutines)
	case b.memory != 0 || b.plans != 0 || b.readers != 0:
		return fmt.Sprintf("%d bytes of memtables, %d plans, %d readers", b.memory, b.plans, b.readers)
	case b.heap > was.heap+slack:
		return fmt.Sprintf("%d bytes of heap, there were %d", b.heap, was.heap)
	case !maps.Equal(b.descriptors, open):
		return fmt.Sprintf("open are %v, want %v", b.descriptors, open)
	case !maps.Equal(b.files, wants):
		return fmt.Sprintf("files are %v, want %v", b.files, wants)
	}
	return ""
}

// current is the number of WAL files that are written, none before the first record.
func current(s engine.Stats) int { return int(min(s.WALFile, 1)) }

// returns waits until an engine without logs is back at a baseline.
func (was *baseline) returns(t *testing.T, e *engine.Engine) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; {
		is := takeBaseline(t, e)
		why := is.differs(was, e.Stats())
		if why == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatal(why)
		}
	}
}

// restful opens an engine and waits until its WAL files are prepared.
func restful(t *testing.T, dir string, o engine.Options) *engine.Engine {
	t.Helper()
	e, err := engine.Open(dir, o)
	if errors.Is(err, engine.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for e.Stats().SparesReady < spares {
		runtime.Gosched()
	}
	return e
}

const spares = 2

// TestBaseline (I14) makes an engine do all that it can and deletes the logs: the directory holds what that of
// an engine which never had one does, and goroutines, memory and descriptors are what they were
// after Open. Once more in the directory of the first round, opened anew.
func TestBaseline(t *testing.T) {
	for _, backend := range []engine.Backend{engine.BackendAuto, engine.BackendRing, engine.BackendDirect, engine.BackendFallback} {
		t.Run(string(backend), func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			o := engine.Options{Backend: backend, WALFileBytes: 8 << 20, WALSpares: spares, SegmentEntries: 64,
				MinorsPerMajor: 2, MaxCheckpoints: 2, OpenSegments: 4}
			for round := range 2 {
				e := restful(t, filepath.Join(dir, "db"), o)
				before := takeBaseline(t, e)
				if want := emptyFiles(before.files, e.Stats()); !maps.Equal(before.files, want) {
					t.Fatalf("an engine without logs has %v, want %v", before.files, want)
				}
				w := &workout{t: t, e: e, ctx: t.Context()}
				w.run(filepath.Join(dir, fmt.Sprintf("copy-%d", round)))
				if peak := takeBaseline(t, e); peak.differs(&before, e.Stats()) == "" || peak.heap < before.heap+4<<20 || len(peak.files) < 8 {
					t.Fatalf("the work came to nothing: %+v", peak)
				}
				w.deleteAll()
				*w = workout{}
				before.returns(t, e)
				closeEngine(t, e)
			}
		})
	}
}

// emptyFiles are the files of an engine that has no log.
func emptyFiles(have map[string]int, s engine.Stats) map[string]int {
	names := map[string]int{"LOCK": 1, "FORMAT": 1, "manifest-N": min(have["manifest-N"], 2), "logs": 1, "wal": 1,
		"wal/N.wal": current(s) + s.SparesReady + s.SparesPooled}
	if s.Backend.Calibration != nil {
		names["wal/calibration"] = 1
	}
	return names
}

// descriptors counts the open descriptors of this process: those on files below dir by name, io_uring's, no others.
func descriptors(t *testing.T, dir string) map[string]int {
	t.Helper()
	const own = "/proc/self/fd"
	list, err := os.ReadDir(own)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // not Linux
	}
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]int{}
	for _, d := range list {
		name, err := os.Readlink(filepath.Join(own, d.Name()))
		if err != nil {
			continue // the one by which the list was read
		}
		if rel, err := filepath.Rel(dir, name); err == nil && filepath.IsLocal(rel) {
			name = digits.ReplaceAllString(rel, "N")
		} else if name != "anon_inode:[io_uring]" {
			continue
		}
		open[name]++
	}
	return open
}
