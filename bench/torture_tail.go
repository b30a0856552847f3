package main

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"github.com/rawl-db/rawl/engine"
)

// tail is a reader of one log that writes down what it gets. Its log's owner opens it, again and
// again; its goroutine, of which tortured.readers waits for the end, reads until the log's life, the
// engine or its own patience ends.
type tail struct {
	t    *tortured
	uid  engine.UID
	name string
	life uint64

	slotted  bool        // it goes on at the slot of its name
	slot     uint64      // the operation that created that; of whoever the tail belongs to
	lazy     bool        // it acknowledges seldom; likewise
	dropping atomic.Bool // the owner drops the slot, or has
	lost     atomic.Bool // the reader heard that the slot is given up
	// Of whoever the tail belongs to: the goroutine while over is false, else the owner.
	reader *engine.Reader
	rng    *rand.Rand
	over   atomic.Bool

	durable atomic.Pointer[durableCursor] // written by the goroutine, and by the owner before it
}

// durableCursor is the place behind which a reader goes on at the latest; text is empty when no
// cursor names it.
type durableCursor struct {
	at   engine.Index
	text string
}

func (t *tail) cursor() string { return t.durable.Load().text }

// passed is how far all readers have durable cursors.
func (l *tortureLog) passed() engine.Index {
	least := l.state.last().Index
	for _, t := range l.tails {
		if t.life != l.state.life {
			return 0
		}
		least = min(least, t.durable.Load().at)
	}
	return least
}

// attach opens a reader that has ended, or has not begun.
func (o *owner) attach(l *tortureLog) error {
	for _, t := range l.tails {
		if !t.over.Load() {
			continue
		}
		if t.life != l.state.life {
			t.life = l.state.life
			t.durable.Store(&durableCursor{})
		}
		if err := o.refuseOld(l); err != nil {
			return err
		}
		if err := t.open(o.rng.Uint64()); err != nil {
			return fmt.Errorf("reader %s: %w", t.name, err)
		}
	}
	for _, t := range l.slots {
		if !t.over.Load() {
			continue
		}
		if err := o.attachSlot(l, t); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

// refuseOld makes sure that a cursor of another life is refused.
func (o *owner) refuseOld(l *tortureLog) error {
	if l.lastLife == "" {
		return nil
	}
	c, err := engine.ParseCursor(l.lastLife)
	if err != nil {
		return err
	}
	r, err := o.t.e.OpenReader(l.uid, engine.AtCursor(c), engine.ReaderOptions{})
	if err == nil {
		r.Close()
	}
	if !errors.Is(err, engine.ErrIncarnation) {
		return fmt.Errorf("cursor %v of another life: %w", c, err)
	}
	l.lastLife = ""
	return nil
}

// open begins behind the durable cursor, or where the log begins when that was released. The owner
// calls it, so that the log's life cannot end meanwhile.
func (t *tail) open(seed uint64) (err error) {
	from, err := t.from()
	if err != nil {
		return err
	}
	t.rng = rand.New(rand.NewPCG(seed, 3))
	o := engine.ReaderOptions{Name: t.name, MaxBatchEntries: 1 + t.rng.IntN(64)}
	var gap *engine.GapError
	for t.reader, err = t.t.e.OpenReader(t.uid, from, o); errors.As(err, &gap); {
		t.durable.Store(&durableCursor{at: gap.First - 1})
		t.reader, err = t.t.e.OpenReader(t.uid, engine.AtIndex(gap.First), o)
	}
	if err != nil {
		return err
	}
	at := t.reader.Cursor().At.Index
	if at != t.durable.Load().at {
		return fmt.Errorf("opened behind %d instead of %d", at, t.durable.Load().at)
	}
	t.t.journal.reading("o", t.uid, t.life, t.name, at)
	t.over.Store(false)
	t.t.readers.Go(t.run)
	return nil
}

func (t *tail) from() (engine.From, error) {
	d := t.durable.Load()
	if d.text == "" {
		return engine.AtIndex(d.at + 1), nil
	}
	c, err := engine.ParseCursor(d.text)
	return engine.AtCursor(c), err
}

// run reads until there is nothing more to be had, or enough: one in some hundred batches is the last.
func (t *tail) run() {
	defer t.over.Store(true)
	defer t.reader.Close()
	err := t.batches()
	var gap *engine.GapError
	switch {
	case err == nil, !t.slotted && errors.As(err, &gap), t.slotEnded(err), errors.Is(err, engine.ErrDeleted), errors.Is(err, engine.ErrClosed):
	case errors.Is(err, context.Canceled) && t.t.ended.Err() != nil:
	default:
		t.t.fail(fmt.Errorf("log %s: reader %s: %w", t.uid, t.name, err))
	}
}

func (t *tail) batches() error {
	if t.rng.IntN(4) == 0 {
		for e, err := range t.reader.Tail(t.t.ended) {
			if err != nil {
				return err
			}
			if !t.got([]engine.Entry{e}) {
				return nil
			}
		}
		return nil
	}
	for b, err := range t.reader.TailBatches(t.t.ended) {
		if err != nil {
			return err
		}
		if b.First != b.Entries[0].ID() || b.Last != b.Entries[len(b.Entries)-1].ID() {
			return fmt.Errorf("batch of [%v,%v] covers [%v,%v]", b.Entries[0].ID(), b.Entries[len(b.Entries)-1].ID(), b.First, b.Last)
		}
		if !t.got(b.Entries) {
			return nil
		}
	}
	return nil
}

// got writes entries down, and now and then a durable cursor. It is false when that is enough.
func (t *tail) got(entries []engine.Entry) bool {
	var b strings.Builder
	for k := range entries {
		if k > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%d:%x", entries[k].Term, crc32.Checksum(entries[k].Data, payloadCRC))
	}
	t.t.journal.reading("v", t.uid, t.life, t.name, entries[0].Index, b.String())
	if t.slotted {
		return t.acknowledge() && t.rng.IntN(200) > 0
	}
	if t.rng.IntN(3) == 0 {
		c := t.reader.Cursor()
		t.t.journal.reading("k", t.uid, t.life, t.name, c)
		t.durable.Store(&durableCursor{at: c.At.Index, text: c.String()})
	}
	return t.rng.IntN(200) > 0
}
