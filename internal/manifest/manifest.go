package manifest

import (
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
)

var (
	// ErrBadEdit is wrapped by Apply for an edit that breaks a rule of Edit or Log. Nothing
	// was written.
	ErrBadEdit = errors.New("bad manifest edit")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("manifest closed")
)

// Log is all that the manifest knows of one log.
type Log struct {
	ID        raftlog.LogID // not 0
	UID       raftlog.UID
	HardState raftlog.HardState
	Applied   raftlog.Index
	// Released is the last entry that is no longer needed; its index is 0 when all are.
	Released raftlog.EntryID
	// Last is the last entry as of AsOf. It stays when all entries are released.
	Last raftlog.EntryID
	// AsOf is the WAL batch up to which every fact of this log is contained here.
	AsOf raftlog.Batch
	// NextSegment is the number of the log's next segment file, above all in Segments.
	NextSegment uint64
	// Segments have ascending ranges that are not empty and do not overlap. The slice is
	// never modified once it was put, neither by the manifest nor by who gets it.
	Segments []raftlog.Segment
	// Snapshots are captured states, ascending by index, and Slots claims of readers, ascending by
	// name. The slices are never modified once they were put.
	Snapshots []raftlog.Snapshot
	Slots     []raftlog.Slot
	// SlotsAsOf is the batch up to which Slots is true, which may be above AsOf; 0 without slots.
	SlotsAsOf raftlog.Batch
	// Quarantine is nil for a sound log. It is never modified once it was put.
	Quarantine *Quarantine
}

// MaxReasonLen bounds what is kept of Quarantine.Reason, in bytes.
const MaxReasonLen = 512

// Quarantine says that acknowledged bytes of a log are damaged outside the manifest, and
// which indexes cannot be trusted; Lost.Last is 0 when the end is not known.
type Quarantine struct {
	Lost   raftlog.Range
	Reason string
}

// Damaged is a log whose value cannot be trusted. It stays damaged, across reopening, until
// it is put or deleted.
type Damaged struct {
	ID raftlog.LogID
	// Known says that Last holds the last value that verified; newer facts may be lost.
	Known bool
	Last  Log
}

// Manifest is the engine's image in memory and the file behind it. All methods may be
// called by any goroutine. Those that write hold one lock across their I/O; those that
// read wait for no I/O.
type Manifest struct {
	fs     vfs.FS
	dir    string
	room   int64 // least room for edits in a file, in bytes
	stream uint64

	writer writer // ordered before mu

	mu struct {
		sync.RWMutex
		image image
	}
}

// Stream returns the engine's random stream id.
func (m *Manifest) Stream() uint64 { return m.stream }

// NextFile returns the number of the next WAL file.
func (m *Manifest) NextFile() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.image.nextFile
}

// ReservedIDs returns the highest log id that may have been handed out.
func (m *Manifest) ReservedIDs() raftlog.LogID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.image.reserved
}

// Flushed returns the WAL batch up to which the manifest and the segments hold the truth of
// every log.
func (m *Manifest) Flushed() raftlog.Batch {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.image.flushed
}

// WALFiles returns the numbers of the WAL files in service or prepared, ascending. The
// caller owns the slice.
func (m *Manifest) WALFiles() []uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Clone(m.mu.image.wal)
}

// Unnamed reports whether logs may be missing whose ids are not known: see Report.Unnamed.
func (m *Manifest) Unnamed() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.image.unnamed
}

// Len returns the number of logs, damaged ones excluded.
func (m *Manifest) Len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.mu.image.logs)
}

// Log returns the log's value; false when there is none or it is damaged.
func (m *Manifest) Log(id raftlog.LogID) (Log, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	l, ok := m.mu.image.logs[id]
	if !ok {
		return Log{}, false
	}
	return *l, true
}

// Logs yields the logs in ascending order of id, damaged ones excluded. Edits applied
// meanwhile may or may not be seen; the loop may call any method.
func (m *Manifest) Logs() iter.Seq[Log] {
	return func(yield func(Log) bool) {
		m.mu.RLock()
		ids := slices.Sorted(maps.Keys(m.mu.image.logs))
		m.mu.RUnlock()
		for _, id := range ids {
			if l, ok := m.Log(id); ok && !yield(l) {
				return
			}
		}
	}
}

// Damaged returns the damaged logs in ascending order of id. The caller owns the slice.
func (m *Manifest) Damaged() []Damaged {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.image.damagedList()
}
