package wal

import (
	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// Source is where queued entries are read from when their batch is encoded, and by who takes over
// a sealed file; memtables satisfy it. Values are compared with ==.
type Source interface {
	// Get returns the entry at i and the Checksum of its payload. Data may alias memory of
	// the source; it does not change. The WAL does not call it.
	Get(i raftlog.Index) (e raftlog.Entry, crc uint32, ok bool)
	// Peek is Get for an entry that is not durable yet: Data does not change until it is. Called
	// by the committer, also more than once.
	Peek(i raftlog.Index) (e raftlog.Entry, crc uint32, ok bool)
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

	queued uint64 // control records queued so far; guarded by WAL.mu

	// Owned by the committer.
	cur      op       // the operation being served; valid when busy
	ops      fifo[op] // those behind it
	file     uint64   // the file that slot is valid for
	batch    uint64   // the encoding that touch is valid for
	controls uint64   // Control records that are durable
	fragment int32    // bytes of cur's first entry that were put as fragments
	deficit  int32    // bytes the log may still put into this round; below 0 it has overdrawn
	slot     uint32   // place among the file's logs; the file-local number is slot+1
	touch    uint32   // place among the encoding's touches
	busy     bool
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
	// payload is that of a control record, or of the only entry when single is set: then term,
	// crc and typ are that entry's too, and src need not be asked. In a batch, term is that of
	// the last entry.
	payload []byte
	term    raftlog.Term
	crc     uint32
	kind    frame.Kind
	typ     uint8
	lazy    bool
	single  bool
}

// get returns the entry at i, which lies in first..last, as Source.Peek does.
func (o *op) get(i raftlog.Index) (e raftlog.Entry, crc uint32, ok bool) {
	if o.single {
		return raftlog.Entry{Index: i, Term: o.term, Type: o.typ, Data: o.payload}, o.crc, true
	}
	return o.src.Peek(i)
}

// join takes n, which was queued after o, into o, and reports whether they continue each other.
func (o *op) join(n *op) bool {
	return n.src != nil && n.first == n.prev+1 && o.extend(n.src, n.prev, n.last)
}

// extend is join for the entries of src that follow prev, up to last.
func (o *op) extend(src Source, prev, last raftlog.Index) bool {
	if o.src != src || o.last != prev {
		return false
	}
	o.last = last
	o.single, o.payload = false, nil
	return true
}

// keptOps is the number of operations for which an idle log keeps memory.
const keptOps = 4

// take adds an operation to what the log has to write. Committer only.
func (l *Log) take(o *op) {
	switch t := l.ops.tail(); {
	case t != nil:
		if !t.join(o) {
			l.ops.push(*o)
		}
	case !l.busy:
		l.cur, l.busy = *o, true
	case !l.cur.join(o):
		l.ops.push(*o)
	}
}

// pop makes the oldest queued operation the current one, when there is none. It returns false
// when nothing is queued. Committer only.
func (l *Log) pop() bool {
	if l.busy {
		return true
	}
	if l.ops.len() == 0 {
		return false
	}
	l.cur, l.busy = l.ops.pop(), true
	if l.ops.len() == 0 && cap(l.ops.items) > keptOps {
		l.ops = fifo[op]{}
	}
	return true
}

// finish ends the current operation.
func (l *Log) finish() { l.cur, l.busy = op{}, false }
