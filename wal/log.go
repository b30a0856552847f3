package wal

import (
	"sync"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// Source is where queued entries are read from when their batch is encoded; memtables
// satisfy it. Values are compared with ==.
type Source interface {
	// Get returns the entry at i and the Checksum of its payload. Data may alias memory of
	// the source; it does not change. Called by the committer, also more than once.
	Get(i raftlog.Index) (e raftlog.Entry, crc uint32, ok bool)
	// SetDurable says that all queued entries up to last are durable. Called by the
	// committer once per batch that holds such an entry, with rising indexes. It must not block.
	SetDurable(last raftlog.Index)
}

// Sink hears of a log's batches.
type Sink interface {
	// Written says that a batch that holds records of the log is durable, and that the log's
	// first so many control records are. Called by the committer once per batch and log, in
	// the order of batches, after SetDurable of the sources. It must not block nor call Step.
	Written(batch raftlog.Batch, controls uint64)
}

// Control is a record that is not an entry. Payload belongs to the WAL from the call on and
// must not change any more.
type Control struct {
	Kind    frame.Kind
	Index   raftlog.Index
	Term    raftlog.Term
	Payload []byte
	// Lazy records do not make a batch: they ride in the next one, or in the idle frame.
	Lazy bool
}

// Log is the WAL's handle of one life of a log, embedded by value in its owner. Init comes
// before all else; a Log must not be copied afterwards.
type Log struct {
	id   raftlog.LogID
	uid  raftlog.UID
	sink Sink

	mu struct { // held for a few instructions; no other lock is taken under it
		sync.Mutex
		ops        fifo[op]
		controls   uint64 // Control records queued so far
		listed     bool   // on the way to the committer, or with it, by way of the active list
		lazyListed bool   // the same by way of the lazy list
	}

	// Owned by the committer.
	cur      op     // the operation being served; valid when busy
	file     uint64 // the file that slot is valid for
	batch    uint64 // the encoding that touch is valid for
	controls uint64 // Control records that are durable
	fragment int32  // bytes of cur's first entry that were put as fragments
	deficit  int32  // bytes the log may still put into this round; below 0 it has overdrawn
	slot     uint32 // place among the file's logs; the file-local number is slot+1
	touch    uint32 // place among the encoding's touches
	busy     bool
	more     bool // ops may hold more
	inRun    bool
	inLazy   bool
}

// Init prepares the log of the given id for use. sink hears of its batches.
func (l *Log) Init(id raftlog.LogID, uid raftlog.UID, sink Sink) {
	l.id, l.uid, l.sink = id, uid, sink
}

// ID returns the log's id.
func (l *Log) ID() raftlog.LogID { return l.id }

// UID returns the log's name.
func (l *Log) UID() raftlog.UID { return l.uid }

// op is one queued operation: entries first..last of src, or a control record.
type op struct {
	src Source // nil for a control record
	// prev precedes first. Of a control record, first is Index and last is Term.
	prev, first, last raftlog.Index
	payload           []byte
	kind              frame.Kind
	lazy              bool
}

// keptOps is the number of operations for which an idle log keeps memory.
const keptOps = 4

// pop makes the oldest queued operation the current one. It returns false, and the log
// is no longer listed, when there is none. Committer only.
func (l *Log) pop() bool {
	l.mu.Lock()
	q := &l.mu.ops
	l.busy = q.len() > 0
	if l.busy {
		l.cur = *q.first()
		q.drop()
	}
	l.more = q.len() > 0
	if !l.more {
		l.mu.listed, l.mu.lazyListed = false, false
		if cap(q.items) > keptOps {
			*q = fifo[op]{}
		}
	}
	l.mu.Unlock()
	return l.busy
}
