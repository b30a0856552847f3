package raft

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/raft/core"
)

// directoryUID is the log of an engine that says which servers it has.
const directoryUID core.UID = "_servers"

const (
	entryServer uint8 = 1
	// directorySlack is how many records beyond four for each server are kept before they are captured.
	directorySlack = 1024
	maxRecord      = 1 << 20
)

// DirectoryError says that a system's list of its servers, a log of its engine, is damaged. Nothing was changed: the logs of the servers
// are as they were. Which servers the system has, and in which of their lives, cannot be known any more, and one that is forgotten
// must not come back as the voter that it was. So the node does not open with that system; package raft's doc says what to do.
type DirectoryError struct {
	// System and Dir are the name of the system and its directory, Log is the log that is damaged.
	System, Dir string
	Log         core.UID
	// Err is what is damaged: engine.ErrQuarantined, engine.ErrCorrupt or ErrMalformed.
	Err error
}

// Error implements error.
func (e *DirectoryError) Error() string {
	return fmt.Sprintf("raft: the list of servers of system %q, log %s in %s, is damaged: open the node with another directory, "+
		"as one that has lost this disk: %v", e.System, e.Log, e.Dir, e.Err)
}

// Unwrap returns Err.
func (e *DirectoryError) Unwrap() error { return e.Err }

// directory is the durable list of the servers of one engine: a log of records, the newest of a name counts. So
// a new server costs a record in the shared stream, and no file and no sync of its own.
type directory struct {
	log    *engine.Log
	world  *sched.World
	closed <-chan struct{} // the node's

	mu      sync.Mutex               // held over appends, never over waiting
	records map[string]*serverRecord // never changed, only replaced
	behind  int                      // entries since the last capture
	// durable is the end of the log as the device has it; moved is closed when it moves.
	durable Index
	moved   chan struct{}
}

// Written implements engine.Handler.
func (d *directory) Written(w engine.Written) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.durable = w.Last.Index
	close(d.moved)
	d.moved = make(chan struct{})
}

// Ready implements engine.Handler.
func (d *directory) Ready(*engine.Log) {}

// openDirectory reads the list; ctx is the node's life. The hard state's term is the number of the node's last life.
func openDirectory(ctx context.Context, w *sched.World, e *engine.Engine) (*directory, error) {
	l, err := e.Log(directoryUID)
	if errors.Is(err, engine.ErrNotFound) {
		l, err = e.Create(directoryUID)
	}
	if err != nil {
		return nil, fmt.Errorf("raft: directory: %w", err)
	}
	d := &directory{log: l, world: w, closed: ctx.Done(), records: make(map[string]*serverRecord), moved: make(chan struct{})}
	from := Index(1)
	snap, err := l.Restore(ctx)
	switch {
	case err == nil:
		from = snap.Info().ID.Index + 1
		err = d.restore(snap)
		err = errors.Join(err, snap.Close())
	case errors.Is(err, engine.ErrNoSnapshot):
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("raft: directory: %w", err)
	}
	for e, err := range l.ReadRange(from, l.Last().Index) {
		if err != nil {
			return nil, fmt.Errorf("raft: directory: %w", err)
		}
		r, err := unmarshalRecord(e.Data)
		if err != nil {
			return nil, fmt.Errorf("raft: directory: entry %d: %w", e.Index, err)
		}
		d.take(r)
	}
	d.durable = l.LastWritten().Index
	l.SetHandler(d)
	return d, nil
}

func (d *directory) take(r *serverRecord) {
	d.behind++
	if r.Deleted {
		delete(d.records, r.Name)
		return
	}
	d.records[r.Name] = r
}

// life begins a new life of the node, at a time in milliseconds since 1970, and returns its number, which is durable then.
func (d *directory) life(ctx context.Context, now int64) (uint64, error) {
	h := d.log.HardState()
	h.Term = Term(nextLife(uint64(h.Term), now))
	if err := d.log.SetHardStateSync(ctx, h); err != nil {
		return 0, fmt.Errorf("raft: directory: %w", err)
	}
	return uint64(h.Term), nil
}

// put appends records and waits until they are durable.
func (d *directory) put(ctx context.Context, list ...*serverRecord) error {
	last, err := d.append(list...)
	if err != nil {
		return err
	}
	return d.wait(ctx, last)
}

// wait waits until the log is durable up to an entry. Errors: ErrClosed, ctx's.
func (d *directory) wait(ctx context.Context, last Index) error {
	for {
		d.mu.Lock()
		moved, done := d.moved, d.durable >= last
		d.mu.Unlock()
		if done {
			return nil
		}
		switch _, end := sched.Wait(d.world, moved, ctx.Done(), d.closed); end {
		case sched.Stopped:
			return fmt.Errorf("raft: directory: %w", context.Cause(ctx))
		case sched.StoppedToo:
			return ErrClosed
		}
	}
}

// append adds records. Errors are those of the engine.
func (d *directory) append(list ...*serverRecord) (last Index, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	prev := d.log.Last()
	entries := make([]engine.Entry, len(list))
	for k := range list {
		entries[k] = engine.Entry{Index: prev.Index + Index(k) + 1, Term: 1, Type: entryServer, Data: list[k].marshal()}
	}
	if err := d.log.Append(prev, entries); err != nil {
		return 0, fmt.Errorf("raft: directory: %w", err)
	}
	for _, r := range list {
		d.take(r)
	}
	d.capture()
	return prev.Index + Index(len(list)), nil
}

// get returns the record of a name. It is not to be changed.
func (d *directory) get(name string) (*serverRecord, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.records[name]
	return r, ok
}

// all returns the records, in the order of their names. They are not to be changed.
func (d *directory) all() []*serverRecord {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]*serverRecord, 0, len(d.records))
	for _, name := range slices.Sorted(maps.Keys(d.records)) {
		list = append(list, d.records[name])
	}
	return list
}

// capture lets go of the log when most of it is superseded. It holds d.mu.
func (d *directory) capture() {
	at := d.log.LastWritten()
	if d.behind < 4*len(d.records)+directorySlack || at != d.log.Last() {
		return // what is not durable cannot be captured: a later put will
	}
	var state []byte
	for _, name := range slices.Sorted(maps.Keys(d.records)) {
		b := d.records[name].marshal()
		state = append(binary.AppendUvarint(state, uint64(len(b))), b...)
	}
	err := d.log.Capture(engine.Capture{Kind: engine.KindSnapshot, At: at, State: func(w io.Writer) error {
		_, err := w.Write(state)
		return err
	}})
	if err == nil {
		d.behind = 0
	}
}

func (d *directory) restore(snap *engine.SnapshotReader) error {
	r, err := snap.State()
	if err != nil {
		return err
	}
	defer r.Close()
	state, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	for len(state) > 0 {
		n, k := binary.Uvarint(state)
		if k <= 0 || n > maxRecord || uint64(len(state)-k) < n {
			return malformed("directory's snapshot")
		}
		rec, err := unmarshalRecord(state[k : k+int(n)])
		if err != nil {
			return err
		}
		d.take(rec)
		state = state[k+int(n):]
	}
	d.behind = 0
	return nil
}
