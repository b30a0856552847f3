package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/engine"
)

const (
	tortureLive = 1 << 20 // payload that a log keeps, bytes, before it is released
	tortureOpen = 64      // operations without an acknowledgement before one that waits
)

// tortureLog is one name. Its owner alone uses what is not atomic.
type tortureLog struct {
	uid   engine.UID
	log   *engine.Log // nil when there is none
	state logState    // as if all that was done were durable
	term  engine.Term // of the next entries; rises after every cut, and over all lives
	after int         // operations since the last that waited
	open  atomic.Bool // whether Written events say something new
	ready chan struct{}

	committed engine.Index
	capture   *ownCapture // running, nil when none is
	captures  map[uint64]*capture
	tails     []*tail
	slots     []*tail // the same at slots
	lastLife  string  // a cursor of an earlier life; empty for none
}

// cuttable is the lowest index that the log may be cut to.
func (l *tortureLog) cuttable() engine.Index { return max(l.state.released.Index, l.committed) }

// owner works on its logs, one operation at a time.
type owner struct {
	t    *tortured
	rng  *rand.Rand
	logs []*tortureLog
	buf  []byte
	late []*latePlan
}

func (o *owner) run() {
	defer o.dropPlans()
	for !o.t.stop.Load() {
		l := o.logs[o.rng.IntN(len(o.logs))]
		if err := o.step(l); err != nil {
			o.t.fail(fmt.Errorf("log %s: %w", l.uid, err))
		}
	}
}

// step draws an operation and carries it out.
func (o *owner) step(l *tortureLog) error {
	if !l.state.exists {
		return o.create(l)
	}
	o.concluded(l)
	if err := o.attach(l); err != nil {
		return err
	}
	first, last := l.state.released.Index, l.state.last().Index
	some := o.between(first, last) // released or present
	if n := l.state.bytes(); n > tortureLive && o.rng.IntN(2) == 0 {
		if err := o.commit(l); err != nil {
			return err
		}
		return o.release(l, max(some, first+(last-first)/2), n > 2*tortureLive)
	}
	switch n := o.rng.IntN(100); {
	case n < 30:
		return o.append(l, last, 1+o.rng.IntN(4), 8<<10)
	case n < 46:
		return o.append(l, last, 1+o.rng.IntN(64), 1<<10)
	case n < 48:
		return o.append(l, last, 1, o.t.maxSize)
	case n < 53:
		return o.append(l, o.between(l.cuttable(), last), 1+o.rng.IntN(4), 8<<10)
	case n < 57:
		return o.truncate(l, o.between(l.cuttable(), last))
	case n < 62:
		return o.release(l, some, o.rng.IntN(8) == 0)
	case n < 68:
		return o.hardState(l)
	case n < 69:
		return o.delete(l)
	}
	return o.stepOutside(l)
}

// stepOutside draws an operation of those that do not write entries.
func (o *owner) stepOutside(l *tortureLog) error {
	switch n := o.rng.IntN(34); {
	case n < 12:
		return o.commit(l)
	case n < 17:
		return o.captureState(l)
	case n < 19:
		return o.promote(l)
	case n < 22:
		return o.plan(l)
	case n < 25:
		return o.executePlan()
	case n < 26:
		return o.compact(l)
	case n < 29:
		return o.observeSlots(l)
	}
	return o.read(l)
}

// between draws an index of [first, last].
func (o *owner) between(first, last engine.Index) engine.Index {
	return first + engine.Index(o.rng.Uint64N(uint64(last-first)+1))
}

// waits draws whether an operation waits for durability.
func (o *owner) waits(l *tortureLog) bool { return l.after >= tortureOpen || o.rng.IntN(2) == 0 }

// done writes the answer, and moves the owner's own state along.
func (o *owner) done(l *tortureLog, op uint64, waited bool, err error, steps ...step) error {
	j := o.t.journal
	switch {
	case err == nil && waited:
		j.answer("A", op, l.uid)
		l.after = 0
		l.open.Store(false)
	case err == nil, errors.Is(err, context.DeadlineExceeded):
		j.answer("D", op, l.uid)
		l.after++
		err = nil
	default:
		j.answer("F", op, l.uid)
		return o.refused(l, err)
	}
	for i := range steps {
		if err := l.state.apply(&steps[i]); err != nil {
			return err
		}
	}
	return errors.Join(err, j.failed())
}

// refused forgives what may happen, and waits for room after ErrBusy.
func (o *owner) refused(l *tortureLog, err error) error {
	if !errors.Is(err, engine.ErrBusy) {
		return err
	}
	limit := time.NewTimer(5 * time.Millisecond)
	defer limit.Stop()
	select {
	case <-l.ready:
	case <-limit.C:
	}
	o.concluded(l)
	if l.after > 0 || l.state.last().Index > l.state.released.Index {
		return o.release(l, l.state.last().Index, true)
	}
	return nil
}

// patience is the context of a wait: mostly endless, now and then hardly any.
func (o *owner) patience() (context.Context, context.CancelFunc) {
	if o.rng.IntN(16) > 0 {
		return context.Background(), func() {}
	}
	return context.WithTimeout(context.Background(), time.Duration(1+o.rng.IntN(200))*time.Microsecond)
}

func (o *owner) append(l *tortureLog, prev engine.Index, n, maxSize int) error {
	cut := 0
	if prev != l.state.last().Index {
		cut = 1
		l.term++
	}
	sizes := make([]int, n)
	total := 0
	for i := range sizes {
		if sizes[i] = o.rng.IntN(maxSize + 1); n == 1 && maxSize > 64<<10 {
			sizes[i] = maxSize - o.rng.IntN(maxSize/2)
		}
		total += sizes[i]
	}
	waits := o.waits(l)
	l.open.Store(true)
	op := o.t.journal.intent("a", l.uid, cut, prev, l.term, sizeWord(sizes))
	entries, steps := o.entries(l, op, prev, sizes, total)
	if cut == 1 {
		steps = append([]step{{kind: stepTruncate, index: prev}}, steps...)
	}
	id := l.state.id(prev)
	if !waits {
		return o.done(l, op, false, l.log.Append(id, entries), steps...)
	}
	ctx, cancel := o.patience()
	defer cancel()
	err := l.log.AppendSync(ctx, id, entries)
	if errors.Is(err, context.DeadlineExceeded) && l.log.Last() != entries[n-1].ID() {
		o.t.journal.answer("F", op, l.uid) // over before the entries were taken
		return nil
	}
	return o.done(l, op, true, err, steps...)
}

// entries computes the payloads.
func (o *owner) entries(l *tortureLog, op uint64, prev engine.Index, sizes []int, total int) ([]engine.Entry, []step) {
	if cap(o.buf) < total {
		o.buf = make([]byte, total)
	}
	buf := o.buf[:total]
	entries, steps := make([]engine.Entry, len(sizes)), make([]step, len(sizes))
	for i, size := range sizes {
		at := prev + 1 + engine.Index(i)
		fillPayload(buf[:size], l.uid, op, at)
		entries[i] = engine.Entry{Index: at, Term: l.term, Type: tortureType(op), Data: buf[:size:size]}
		steps[i] = step{kind: stepEntry, index: at, entry: modelEntry{term: l.term, size: size, op: op}}
		buf = buf[size:]
	}
	return entries, steps
}

func (o *owner) create(l *tortureLog) (err error) {
	waits := o.rng.IntN(2) == 0
	l.open.Store(true)
	op := o.t.journal.intent("c", l.uid)
	if waits {
		l.log, err = o.t.e.CreateSync(context.Background(), l.uid)
	} else {
		l.log, err = o.t.e.Create(l.uid)
	}
	return o.done(l, op, waits, err, step{kind: stepCreate, op: op})
}

func (o *owner) delete(l *tortureLog) error {
	op := o.t.journal.intent("d", l.uid)
	ctx, cancel := o.patience()
	defer cancel()
	l.term += 2
	err := o.t.e.Delete(ctx, l.uid)
	if errors.Is(err, context.DeadlineExceeded) {
		if _, there := o.t.e.Log(l.uid); there == nil {
			o.t.journal.answer("F", op, l.uid) // patience ended before Delete began: nothing was done
			return o.t.journal.failed()
		}
	}
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		l.forget()
	}
	return o.done(l, op, true, err, step{kind: stepDelete})
}

func (o *owner) truncate(l *tortureLog, to engine.Index) error {
	op := o.t.journal.intent("t", l.uid, to)
	l.term++
	return o.done(l, op, false, l.log.TruncateTo(to), step{kind: stepTruncate, index: to})
}

// release gives up what the readers' durable cursors have passed, or careless of them all.
func (o *owner) release(l *tortureLog, upTo engine.Index, careless bool) error {
	if !careless {
		upTo = min(upTo, l.passed())
	}
	if upTo <= l.state.released.Index {
		return nil
	}
	if len(l.state.slots) > 0 { // their readers get what is released: it must be certain
		upTo = min(upTo, l.log.LastWritten().Index)
		if upTo <= l.state.released.Index {
			return nil
		}
		if err := o.commitTo(l, upTo); err != nil {
			return err
		}
	}
	op := o.t.journal.intent("r", l.uid, upTo)
	err := l.log.Release(upTo)
	if errors.Is(err, engine.ErrSnapshotRunning) && l.capture != nil {
		o.t.journal.answer("F", op, l.uid)
		return nil
	}
	return o.done(l, op, false, err, step{kind: stepRelease, index: upTo})
}

// hardState raises the term, or votes in the present one.
func (o *owner) hardState(l *tortureLog) error {
	h := l.state.hard
	if o.rng.IntN(2) == 0 || h.Vote != "" || h.Term == 0 {
		l.term++
		h = engine.HardState{Term: max(l.term, h.Term+1)}
		l.term = h.Term
	}
	if o.rng.IntN(2) == 0 {
		h.Vote = fmt.Sprintf("member-%d", o.rng.IntN(5))
	}
	waits := o.waits(l)
	l.open.Store(true)
	op := o.t.journal.intent("h", l.uid, h.Term, voteWord(h.Vote))
	s := step{kind: stepHard, hard: h}
	if !waits {
		return o.done(l, op, false, l.log.SetHardState(h), s)
	}
	return o.done(l, op, true, l.log.SetHardStateSync(context.Background(), h), s)
}
