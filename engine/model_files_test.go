package engine_test

import (
	"path"
	"strings"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/wal"
)

// named is all that may lie in the directory of an engine at rest: what the manifest on the disk
// names, and of captured states what the records say.
type named struct {
	wal    map[string]bool
	dirs   map[string]bool // of logs
	files  map[string]bool // in them
	parts  map[string]bool // of captured states that were received in part: they may be there
	pooled int             // WAL files that wait to be recycled, which nothing names
}

func (w *world) named() named {
	w.t.Helper()
	m, report, err := manifest.Open(w.mem.Crash(memfs.CrashOptions{Unsynced: memfs.Kept}), "/db")
	if err != nil || !report.Clean() {
		w.fatalf("manifest: %+v, %v", report, err)
	}
	n := named{wal: map[string]bool{}, dirs: map[string]bool{}, files: map[string]bool{}, parts: map[string]bool{}, pooled: w.e.Stats().SparesPooled}
	for _, number := range m.WALFiles() {
		n.wal[wal.FileName("/db/wal", number)] = true
	}
	for l := range m.Logs() {
		dir := path.Join("/db/logs", segment.DirName(l.ID))
		n.dirs[dir] = true
		n.segments(dir, l.Segments)
	}
	for l := range w.e.Logs() {
		n.dirs[l.Dir()] = true
		for _, s := range l.Snapshots() {
			n.files[path.Join(l.Dir(), snapshot.FileName(s.Kind, s.ID))] = true
		}
		n.segments(l.Dir(), l.Installed())
		for _, id := range w.hist[l.UID()].parts {
			n.parts[path.Join(l.Dir(), snapshot.FileName(engine.KindSnapshot, id)+snapshot.PartSuffix)] = true
		}
	}
	return n
}

func (n *named) segments(dir string, segments []raftlog.Segment) {
	for _, s := range segments {
		n.files[path.Join(dir, segment.FileName(s.Number))] = true
	}
}

// noneUnnamed checks that a disk at rest holds nothing that nobody refers to, and everything that
// somebody does.
func (w *world) noneUnnamed() {
	w.t.Helper()
	n := w.named()
	manifests, unnamed := 0, 0
	for _, name := range w.mem.Files() {
		switch {
		case name == "/db/LOCK", name == "/db/FORMAT":
		case strings.HasPrefix(name, "/db/manifest-"):
			manifests++
		case n.wal[name]:
		case strings.HasSuffix(name, ".wal"):
			unnamed++
		case !n.files[name] && !n.parts[name]:
			w.fatalf("nothing names %s: %v", name, w.mem.Files())
		}
		delete(n.files, name)
	}
	if manifests > 2 || unnamed > n.pooled {
		w.fatalf("%d manifests, %d WAL files that are not named, %d pooled: %v", manifests, unnamed, n.pooled, w.mem.Files())
	}
	for name := range n.files {
		if !strings.Contains(name, "checkpoint-") { // never synced: a power cut may have taken it
			w.fatalf("%s is missing: %v", name, w.mem.Files())
		}
	}
	dirs, err := w.mem.List("/db/logs")
	for _, dir := range dirs {
		if !n.dirs[path.Join("/db/logs", dir)] {
			w.fatalf("nothing names the directory %s: %v", dir, err)
		}
	}
}

// rest lets everything come to rest.
func (w *world) rest() {
	w.t.Helper()
	if !w.settle(3000) {
		w.fatalf("does not settle: %s", w.unsettled())
	}
	for range 100 {
		if !w.step("flush") {
			return
		}
	}
	w.fatalf("the flusher does not come to rest: %s", w.unsettled())
}

// logOf returns the log, nil while it does not exist.
func (w *world) logOf(h *history) *engine.Log {
	w.t.Helper()
	if !h.now.exists {
		return nil
	}
	l, err := w.e.Log(h.uid)
	if err != nil {
		w.fatalf("log %s, which is %v: %v", h.uid, h.now, err)
	}
	return l
}
