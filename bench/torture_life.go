package main

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/rawl-db/rawl/engine"
)

var payloadCRC = crc32.MakeTable(crc32.Castagnoli)

// facts are what was announced under one name in all its lives.
type facts struct {
	appended map[engine.EntryID]modelEntry
	captures map[uint64]*capture
	lives    map[uint64]*life
	slots    map[uint64]*slotFacts // by the operations that created them
	newest   *life
	buf      []byte
}

func newFacts() facts {
	return facts{appended: make(map[engine.EntryID]modelEntry), captures: make(map[uint64]*capture), lives: make(map[uint64]*life), slots: make(map[uint64]*slotFacts)}
}

// life is one life of a log as its readers saw it.
type life struct {
	committed engine.Index // announced
	released  engine.Index // announced, by releases and snapshots; what readers may miss
	delivered map[engine.Index]delivery
	readers   map[string]*readerModel
	id        engine.LogID // as cursors say; 0 until one did
}

type delivery struct {
	term engine.Term
	crc  uint32
}

// readerModel is one tail reader of a life.
type readerModel struct {
	at      engine.Index // what it got last, or was opened behind
	durable engine.Index // behind which it goes on at the latest
	cursor  string       // of durable; empty for a place that no cursor names
	slotted bool         // goes on at a slot, not at a cursor
}

// begin notes a life that an operation creates.
func (x *facts) begin(op uint64) {
	x.newest = &life{delivered: make(map[engine.Index]delivery), readers: make(map[string]*readerModel)}
	x.lives[op] = x.newest
}

// gone notes that entries up to an index of the newest life may be released.
func (x *facts) gone(i engine.Index) {
	if x.newest != nil {
		x.newest.released = max(x.newest.released, i)
	}
}

// committed is the announced commit index of a life.
func (x *facts) committed(op uint64) engine.Index {
	if y := x.lives[op]; y != nil {
		return y.committed
	}
	return 0
}

// reading takes a line about commits or readers.
func (w *world) reading(kind string, f *fields) error {
	uid := f.uid()
	m := w.log(uid)
	y := m.lives[f.number()]
	if y == nil {
		return errors.New("a life that was never begun")
	}
	if kind == "m" {
		y.committed = max(y.committed, f.index())
		return nil
	}
	if kind == "q" || kind == "u" || kind == "g" {
		w.slots.count(kind)
		return m.slot(kind, f)
	}
	name := f.word()
	r := y.readers[name]
	switch {
	case kind == "o":
		return y.open(name, f.index())
	case kind == "z":
		return m.openSlot(y, name, f)
	case r == nil:
		return fmt.Errorf("reader %s was never opened", name)
	case kind == "v":
		n, err := m.deliver(y, r, uid, f.index(), f.word())
		w.delivered += n
		return err
	}
	return y.cursor(r, uid, f.word())
}

// open checks where a reader goes on: behind its durable cursor, or behind what was released
// meanwhile.
func (y *life) open(name string, at engine.Index) error {
	r := y.readers[name]
	if r == nil {
		r = &readerModel{}
		y.readers[name] = r
	}
	if at != r.durable && (at < r.durable || at > y.released) {
		return fmt.Errorf("opened behind %d; its durable cursor is %d, released is %d at most", at, r.durable, y.released)
	}
	if at != r.durable {
		r.durable, r.cursor = at, ""
	}
	r.at = at
	return nil
}

// deliver checks entries that a reader got: the next ones, committed, with the bytes that were
// appended, the same as any reader of this life got at that index.
func (x *facts) deliver(y *life, r *readerModel, uid engine.UID, first engine.Index, list string) (n int, err error) {
	if first != r.at+1 {
		return 0, fmt.Errorf("got %d where %d was due", first, r.at+1)
	}
	for part := range strings.SplitSeq(list, ",") {
		term, crc, ok := strings.Cut(part, ":")
		t, err1 := strconv.ParseUint(term, 10, 64)
		c, err2 := strconv.ParseUint(crc, 16, 32)
		if err := errors.Join(err1, err2); err != nil || !ok {
			return n, fmt.Errorf("entry %q: %w", part, err)
		}
		id, got := engine.EntryID{Term: engine.Term(t), Index: r.at + 1}, delivery{term: engine.Term(t), crc: uint32(c)}
		if err := x.check(y, uid, id, got); err != nil {
			return n, err
		}
		r.at++
		n++
	}
	return n, nil
}

func (x *facts) check(y *life, uid engine.UID, id engine.EntryID, got delivery) error {
	if id.Index > y.committed {
		return fmt.Errorf("got %v, committed up to %d", id, y.committed)
	}
	if before, ok := y.delivered[id.Index]; ok {
		if before != got {
			return fmt.Errorf("got %v with CRC %x, earlier term %d with CRC %x", id, got.crc, before.term, before.crc)
		}
		return nil
	}
	e, ok := x.appended[id]
	if !ok {
		return fmt.Errorf("got %v, which was never appended", id)
	}
	x.buf = append(x.buf[:0], make([]byte, e.size)...)
	fillPayload(x.buf, uid, e.op, id.Index)
	if crc := crc32.Checksum(x.buf, payloadCRC); crc != got.crc {
		return fmt.Errorf("got %v with CRC %x, want %x", id, got.crc, crc)
	}
	y.delivered[id.Index] = got
	return nil
}

// cursor takes a durable cursor, which stands behind what the reader got last.
func (y *life) cursor(r *readerModel, uid engine.UID, text string) error {
	c, err := engine.ParseCursor(text)
	if err != nil {
		return err
	}
	if y.id == 0 {
		y.id = c.Incarnation
	}
	d := y.delivered[r.at]
	if c.UID != uid || c.Incarnation != y.id || c.At != (engine.EntryID{Term: d.term, Index: r.at}) {
		return fmt.Errorf("the reader of life %d stands behind %d/%d", y.id, d.term, r.at)
	}
	r.durable, r.cursor = r.at, text
	return nil
}
