package raft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// applyQueue is the ordered work of a server's machine: entries up to an index, and between them changes of role,
// queries, captures. It holds indexes, no copies. A goroutine runs it while there is something.
type applyQueue struct {
	server *server

	mu      sync.Mutex
	running bool // or in the run queue
	closed  bool
	held    bool // until the end of a turn of the mailbox
	wanted  bool // something came meanwhile
	moved   bool // target is behind all items
	unread  bool // the machine has yet to read the state that it begins with; owned by whoever runs the queue
	items   []applyItem
	waits   []applyWait // ascending by index
	target  Index       // the newest index that is asked for

	// Owned by whoever runs the queue.
	applier      atomic.Pointer[Applier] // changed by whoever runs the queue
	applied      Index
	config       core.Configuration // in effect at applied
	configIndex  Index
	effects      realiser
	blockedAt    error // the machine's code is too old for the next entry
	appliedSaved Index
	savedAt      int64
	replayTo     Index // what was committed before the start
	ticking      tickState
}

// applyItem is entries up to an index and then something to do.
type applyItem struct {
	upTo Index
	then func() error // nil for nothing; an error stops the server
	lost func()       // called instead when the server stops before; may be nil
}

// applyWait is what waits for an index to be applied: a query, or else something to run that belongs to a call.
type applyWait struct {
	index Index
	query *opQuery
	call  *ticket
	run   func()
}

// fail answers who waits: it will not be done.
func (w *applyWait) fail(err error) {
	if w.query != nil {
		w.query.done(failed(err, NotApplied, true, ServerID{}))
		return
	}
	w.call.fail(err, NotApplied, true)
}

// machine is the Applier in force.
func (q *applyQueue) machine() *Applier { return q.applier.Load() }

// recover applies again what was committed before the start, the state that the machine begins with before it. The server does
// not wait for that.
func (q *applyQueue) recover() {
	q.effects.server = q.server
	q.add(applyItem{upTo: q.replayTo, then: func() error {
		effects, err := q.machine().EnterState(StateRecovered)
		if err == nil {
			q.effects.carry(effects)
		}
		return err
	}})
	q.server.mail.put(core.Recovered{})
}

// commit adds entries.
func (q *applyQueue) commit(upTo Index) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if upTo <= q.target || q.closed {
		return
	}
	q.target, q.moved = upTo, true
	q.wakeLocked()
}

// marker adds a change of role behind the entries that belong before it.
func (q *applyQueue) marker(m core.Marker) {
	state, ok := stateOf(m.Role)
	if !ok {
		return
	}
	q.add(applyItem{upTo: m.After, then: func() error {
		effects, err := q.machine().EnterState(state)
		if err == nil {
			q.effects.entered(state, m.Term)
			q.effects.carry(effects)
		}
		return err
	}})
}

// do adds something behind the entries that were added so far. It returns false when the server is stopped.
func (q *applyQueue) do(f func() error) bool { return q.ask(f, nil) }

// ask is do for something that somebody waits for: lost hears that it will not be done any more.
func (q *applyQueue) ask(f func() error, lost func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.addLocked(applyItem{upTo: q.target, then: f, lost: lost})
	return true
}

// when runs a query as soon as the entry at index is applied.
func (q *applyQueue) when(index Index, op *opQuery) { q.wait(applyWait{index: index, query: op}) }

// whenAll is when for many.
func (q *applyQueue) whenAll(index Index, list []*opQuery) {
	if len(list) == 0 {
		return
	}
	waits := make([]applyWait, len(list))
	for i, op := range list {
		waits[i] = applyWait{index: index, query: op}
	}
	q.wait(waits...)
}

// wait adds what waits for the same index, behind what waits for it already.
func (q *applyQueue) wait(list ...applyWait) {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		for i := range list {
			list[i].fail(q.server.stopError())
		}
		return
	}
	k, _ := slices.BinarySearchFunc(q.waits, list[0].index, func(w applyWait, i Index) int {
		if w.index <= i {
			return -1
		}
		return 1
	})
	if len(q.waits) == 0 && len(list) > 1 {
		q.waits = list
	} else {
		q.waits = slices.Insert(q.waits, k, list...)
	}
	q.wakeLocked()
	q.mu.Unlock()
}

// withdraw takes back a query that waits.
func (q *applyQueue) withdraw(op *opQuery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waits = slices.DeleteFunc(q.waits, func(w applyWait) bool { return w.query == op })
}

func (q *applyQueue) add(i applyItem) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.addLocked(i)
}

func (q *applyQueue) addLocked(i applyItem) {
	if q.closed {
		return
	}
	if q.moved {
		i.upTo, q.moved = max(i.upTo, q.target), false
	}
	q.target = max(q.target, i.upTo)
	q.items = append(q.items, i)
	q.wakeLocked()
}

func (q *applyQueue) wakeLocked() {
	switch {
	case q.running || q.closed:
	case q.held:
		q.wanted = true
	default:
		q.running = true
		q.server.node.queue.push(q)
	}
}

// hold lets nothing begin until letGo.
func (q *applyQueue) hold() {
	q.mu.Lock()
	q.held = true
	q.mu.Unlock()
}

// letGo ends a hold, and reports whether there is something for the caller to run.
func (q *applyQueue) letGo() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	wanted := q.wanted && !q.running && !q.closed
	q.held, q.wanted, q.running = false, false, q.running || wanted
	return wanted
}

func (q *applyQueue) close() {
	q.mu.Lock()
	q.closed = true
	items, waits := q.items, q.waits
	q.items, q.waits = nil, nil
	idle := !q.running
	q.mu.Unlock()
	for i := range waits {
		waits[i].fail(q.server.stopError())
	}
	dropItems(items)
	if idle {
		q.server.appliesEnded()
	}
}

// dropItems tells who waits for them that they will not be done.
func dropItems(items []applyItem) {
	for _, i := range items {
		if i.lost != nil {
			i.lost()
		}
	}
}

// run works until nothing is left.
func (q *applyQueue) run() {
	if q.unread && !q.restoreInTurn() {
		return
	}
	for {
		q.mu.Lock()
		items, moved, last := q.items, q.moved, applyItem{upTo: q.target}
		q.items, q.moved = nil, false
		ready := q.readyLocked()
		closed := q.closed
		if len(items) == 0 && !moved && len(ready) == 0 || closed {
			q.machine().Rest()
			q.running = false
			q.mu.Unlock()
			if closed {
				q.server.appliesEnded()
			}
			return
		}
		q.mu.Unlock()
		for i := range ready {
			if w := &ready[i]; w.query != nil {
				q.server.runQuery(w.query)
			} else {
				w.run()
			}
		}
		if !q.workAll(items) || moved && !q.workAll([]applyItem{last}) {
			continue // stopped
		}
		q.effects.retryCaptures()
		q.watchTicks()
		q.save()
	}
}

// workAll works items off. It returns false when the server is stopped, by one of them too.
func (q *applyQueue) workAll(items []applyItem) bool {
	for k, i := range items {
		err := q.server.stopError()
		if err == nil {
			if err = q.work(i); err != nil {
				q.server.stop(fmt.Errorf("raft: server %v: %w", q.server.id, err))
				k++
			}
		}
		if err != nil {
			dropItems(items[k:])
			return false
		}
	}
	return true
}

// readyLocked takes out the queries whose entries are applied.
func (q *applyQueue) readyLocked() []applyWait {
	n := 0
	for n < len(q.waits) && q.waits[n].index <= q.applied {
		n++
	}
	if n == len(q.waits) {
		ready := q.waits
		q.waits = nil
		return ready
	}
	ready := slices.Clone(q.waits[:n])
	q.waits = slices.Delete(q.waits, 0, n)
	return ready
}

func (q *applyQueue) work(i applyItem) error {
	if i.upTo > q.applied && q.blockedAt == nil {
		if err := q.apply(i.upTo); err != nil {
			return err
		}
	}
	if i.then != nil {
		return i.then()
	}
	return nil
}

// apply applies entries up to an index. A machine whose code is too old stops there and goes on replicating.
func (q *applyQueue) apply(upTo Index) error {
	q.server.node.figures.applyEntries.Record(uint64(upTo - min(q.applied, upTo)))
	log := q.server.log
	buffer := applyBuffers.Get().(*[applyBatch]engine.Entry)
	defer applyBuffers.Put(buffer)
	for q.applied < upTo && q.blockedAt == nil {
		list := log.ReadMemory(buffer[:0], q.applied+1, min(upTo, q.applied+applyBatch), math.MaxInt)
		if len(list) == 0 {
			if err := q.applyOld(upTo); err != nil {
				return err
			}
			continue
		}
		err := q.applyAll(list)
		clear(list)
		if err != nil {
			return err
		}
	}
	effects, err := q.aux(AuxEvent{Kind: AuxEval})
	if err == nil {
		q.effects.carry(effects)
	}
	return err
}

// applyBatch is how many entries are taken from memory at once.
const applyBatch = 256

// applyBuffers hold entries while they are applied.
var applyBuffers = sync.Pool{New: func() any { return new([applyBatch]engine.Entry) }}

// applyOld applies entries that are not in memory any more, and what follows.
func (q *applyQueue) applyOld(upTo Index) error {
	for list, err := range q.server.log.ReadBatches(q.applied+1, upTo) {
		if err != nil {
			return fmt.Errorf("apply: %w", err)
		}
		q.server.count(CounterColdEntries, len(list))
		if err := q.applyAll(list); err != nil || q.blockedAt != nil {
			return err
		}
	}
	return nil
}

// applyAll applies entries, up to one for which the machine is too old.
func (q *applyQueue) applyAll(list []engine.Entry) error {
	for k := range list {
		err := q.one(&list[k])
		if errors.Is(err, ErrMachineVersion) {
			q.blockedAt = err
			q.server.node.opts.Logger.Error("a machine is too old and applies nothing any more", "server", q.server.id.String(), "err", err)
			return nil
		}
		if err != nil {
			return err
		}
		q.server.landed(&list[k])
	}
	return nil
}

// aux has the machine's companion handle an event, if it has one.
func (q *applyQueue) aux(ev AuxEvent) ([]Effect, error) {
	_, effects, err := q.machine().Aux(ev)
	if errors.Is(err, ErrMachine) {
		return nil, err
	}
	return effects, nil // what the handler itself refuses is nobody's to hear
}

func (q *applyQueue) one(e *engine.Entry) error {
	effects, err := q.machine().Apply(*e)
	if err != nil {
		return err
	}
	if e.Type == core.KindConfiguration {
		c, err := core.UnmarshalConfiguration(e.Data)
		if err != nil {
			return err
		}
		q.config, q.configIndex = c, e.Index
	}
	q.applied = e.Index
	q.effects.carry(effects)
	return nil
}

// save records lazily how far the machine is.
func (q *applyQueue) save() {
	q.server.figures.applied.Store(uint64(q.applied))
	if q.applied == q.appliedSaved {
		return
	}
	now := q.server.node.now()
	if q.applied-q.appliedSaved >= saveEntries || now-q.savedAt >= int64(saveTime) {
		q.savedAt = now
		q.saveApplied()
	}
	_ = q.server.log.SetCommitted(q.applied)
}

// How far the machine is, is recorded once in so many entries or in so long, and when the server stops: each record costs
// about as much as an entry.
const (
	saveEntries = 64
	saveTime    = time.Second
)

func (q *applyQueue) saveApplied() {
	if at := min(q.applied, q.server.log.LastWritten().Index); at > q.appliedSaved {
		q.appliedSaved = at
		_ = q.server.log.SetApplied(at) // a hint; a log that fails is found elsewhere
	}
}

// stateOf is what the machine hears of a role.
func stateOf(r core.Role) (ServerState, bool) {
	switch r {
	case core.RoleFollower:
		return StateFollower, true
	case core.RolePreVote:
		return StatePreVote, true
	case core.RoleCandidate:
		return StateCandidate, true
	case core.RoleLeader:
		return StateLeader, true
	case core.RoleAwaitCondition:
		return StateAwaitCondition, true
	case core.RoleReceiveSnapshot:
		return StateReceiveSnapshot, true
	}
	return 0, false
}

// The context of a captured state: which configuration was in effect, then what the Applier keeps.
//
//	uvarint  index of the configuration
//	uvarint  its length, and the configuration
//	         the Applier's context, to the end
func sealContext(c core.Configuration, at Index, applier []byte) []byte {
	conf := c.Marshal()
	b := binary.AppendUvarint(nil, uint64(at))
	b = binary.AppendUvarint(b, uint64(len(conf)))
	return append(append(b, conf...), applier...)
}

// openContext is the reverse. The meta lacks the state's position.
func openContext(b []byte) (m core.SnapshotMeta, applier []byte, err error) {
	d := commandDecoder{in: b}
	m.ConfigurationIndex = Index(d.uvarint())
	conf := d.take(d.uvarint())
	if d.bad {
		return m, nil, malformed("snapshot context")
	}
	if m.Configuration, err = core.UnmarshalConfiguration(conf); err != nil {
		return m, nil, err
	}
	m.Machine, err = contextMachine(d.in)
	return m, d.in, err
}
