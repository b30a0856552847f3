package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/wal"
)

// walTraces is what the WAL files say without a manifest. It implements wal.Visitor.
type walTraces struct {
	stream   uint64
	files    []uint64 // that hold the newest batches without a gap, ascending
	nextFile uint64
	flushed  raftlog.Batch // the batch before theirs
	logs     map[raftlog.LogID]*walTrace
	touched  []*walTrace // in the file being read
}

// walTrace is what they say of one log.
type walTrace struct {
	id               raftlog.LogID
	uid              UID
	created, deleted bool
	hard             bool  // a hard state was seen
	follows          Index // what the first entry follows, when nothing precedes it
	seen             bool
	now              walEnd
	ends             []walEnd // the state at the end of each file with records of the log
	at               int      // position in touched + 1, 0 when it is not there
}

// walEnd is a log's state at the end of a file, as far as its records tell.
type walEnd struct {
	batch    raftlog.Batch
	last     EntryID
	released EntryID
	hard     HardState
	applied  Index
}

// usedFile is a WAL file that holds frames.
type usedFile struct {
	number      uint64
	first, last uint64 // batches
}

// readWAL reads the WAL files of the engine's stream.
func (r *repairer) readWAL(old *manifest.Manifest) (*walTraces, error) {
	w := &walTraces{logs: make(map[raftlog.LogID]*walTrace), nextFile: 1}
	names, err := r.fs.List(r.walDir)
	if err != nil {
		return nil, fmt.Errorf("engine: repair: %w", err)
	}
	if old != nil {
		w.stream, w.nextFile = old.Stream(), old.NextFile()
	}
	var used []usedFile
	for _, base := range slices.Backward(names) {
		number, ok := wal.ParseFileName(base)
		if !ok {
			continue
		}
		w.nextFile = max(w.nextFile, number+1)
		f, err := r.usedFile(filepath.Join(r.walDir, base), number, &w.stream)
		if err != nil {
			return nil, err
		}
		if f.last > 0 {
			used = append(used, f)
		}
	}
	for i, f := range used { // newest first
		if i > 0 && (f.last+1 < used[i-1].first || f.first >= used[i-1].first) {
			break
		}
		w.files = append([]uint64{f.number}, w.files...)
		w.flushed = raftlog.Batch(f.first) - 1
	}
	if w.stream == 0 {
		w.stream = sched.Real().Uint64()
	}
	if len(w.files) == 0 {
		return w, nil
	}
	_, err = wal.Recover(wal.RecoverOptions{FS: r.fs, Dir: r.walDir, Stream: w.stream, Files: w.files, Flushed: w.flushed}, w)
	if err != nil {
		return nil, fmt.Errorf("engine: repair: %w", err)
	}
	return w, nil
}

// usedFile looks into a file. The newest sound header decides on the stream, when no manifest did. A file
// without frames of its own is left to the pool.
func (r *repairer) usedFile(name string, number uint64, stream *uint64) (usedFile, error) {
	none := usedFile{number: number}
	h, err := readFileHeader(r.fs, name)
	switch {
	case errors.Is(err, frame.ErrVersion):
		return none, fmt.Errorf("engine: repair: %s: %w", name, err)
	case errors.Is(err, frame.ErrCorrupt), errors.Is(err, frame.ErrMagic):
	case errors.Is(err, fs.ErrNotExist):
		return none, nil
	case err != nil:
		r.warn("%s cannot be read: %v", relative(r.dir, name), err)
		return none, nil
	case h.Kind != frame.WALFile || h.Number != number:
		return none, nil
	case *stream == 0:
		*stream = h.Stream
	case h.Stream != *stream:
		r.warn("%s belongs to another engine", relative(r.dir, name))
		return none, nil
	}
	if *stream == 0 {
		return none, nil
	}
	w := &walFiles{FS: r.fs, dir: r.walDir, files: make(map[string]*walFile)}
	defer w.close()
	f, err := w.file(number)
	if err != nil {
		return none, fmt.Errorf("engine: repair: %w", err)
	}
	content, err := f.load(r.fs)
	if err != nil {
		r.warn("%s cannot be read: %v", relative(r.dir, name), err)
		return none, nil
	}
	defer content.free()
	frames := frame.Scan(content.bytes, frame.NewIdentity(*stream, number))
	if len(frames) == 0 {
		return none, nil
	}
	used := usedFile{number: number, first: frames[0].FirstBatch}
	for i := range frames {
		if b := frames[i].Batch; b < math.MaxUint64 {
			used.last = max(used.last, b)
		}
	}
	return used, nil
}

func (w *walTraces) log(id raftlog.LogID, uid UID) *walTrace {
	t := w.logs[id]
	if t == nil {
		t = &walTrace{id: id}
		w.logs[id] = t
	}
	if uid != "" {
		t.uid = uid
	}
	return t
}

// Record implements wal.Visitor.
func (w *walTraces) Record(r *wal.Record) error {
	t := w.log(r.ID, r.UID)
	if !r.Tail && t.at == 0 {
		w.touched = append(w.touched, t)
		t.at = len(w.touched)
	}
	id := EntryID{Term: r.Term, Index: r.Index}
	switch r.Kind {
	case wal.KindCreate:
		t.created = true
		if uid := UID(r.Payload); uid.Validate() == nil {
			t.uid = uid
		}
	case wal.KindDelete:
		t.deleted = true
	case wal.KindEntry:
		if !t.seen {
			t.follows = r.Prev
		}
		t.now.last = id
	case wal.KindTruncate:
		if id.Index < t.now.last.Index || !t.seen {
			t.now.last = id
		}
	case wal.KindSnapshot:
		if c, err := decodeSnapshot(r); err == nil && c.Kind == KindSnapshot && id.Index > t.now.last.Index {
			t.now.last = id // an installed one: the log goes on behind it
		}
		return nil
	case wal.KindSlot:
		return nil
	case wal.KindRelease:
		if id.Index > t.now.released.Index {
			t.now.released = id
		}
		if id.Index > t.now.last.Index {
			t.now.last = id
		}
	case wal.KindInstall:
		t.now.released, t.now.last = id, id
		if !t.seen {
			t.follows = id.Index
		}
	case wal.KindHardState:
		t.hard = true
		t.now.hard = manifest.MergeHardState(t.now.hard, HardState{Term: r.Term, Vote: string(r.Payload)})
		return nil
	case wal.KindApplied:
		t.now.applied = max(t.now.applied, r.Index)
		return nil
	}
	t.seen = true
	return nil
}

// Lost implements wal.Visitor. What is lost shows when the next Open replays the files.
func (w *walTraces) Lost(l wal.Loss) error {
	if l.ID != 0 && l.UID != "" {
		w.log(l.ID, l.UID)
	}
	return nil
}

// FileDone implements wal.Visitor.
func (w *walTraces) FileDone(_ uint64, _, last raftlog.Batch) error {
	for _, t := range w.touched {
		t.now.batch = last
		t.ends = append(t.ends, t.now)
		t.at = 0
	}
	w.touched = nil
	return nil
}
