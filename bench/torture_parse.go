package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/rawl-db/rawl/engine"
)

// world is all that a journal proves and allows.
type world struct {
	logs   map[engine.UID]*logModel
	lastOp uint64
	// Counted for the summary.
	opens, acks, delivered int
	slots                  slotCounts

	found map[engine.UID]found // while the S lines are read
}

func newWorld() *world { return &world{logs: make(map[engine.UID]*logModel)} }

func (w *world) log(uid engine.UID) *logModel {
	m := w.logs[uid]
	if m == nil {
		m = newLogModel()
		w.logs[uid] = m
	}
	return m
}

// readWorld replays a journal. One that does not exist is empty.
func readWorld(name string) (*world, error) {
	w := newWorld()
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return w, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return w, w.read(f)
}

func (w *world) read(r io.Reader) error {
	in := bufio.NewReaderSize(r, 1<<20)
	for n := 1; ; n++ {
		line, err := in.ReadString('\n')
		if text, whole := strings.CutSuffix(strings.TrimSuffix(line, "\n"), " ."); whole {
			if err := w.line(text); err != nil {
				return fmt.Errorf("journal line %d: %q: %w", n, line, err)
			}
		} // else it was cut by the kill: what it announced was not begun, what it answered is unknown
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// words reads the fields of a line; the first error sticks.
type fields struct {
	rest []string
	err  error
}

func (f *fields) word() string {
	if len(f.rest) == 0 {
		f.err = errors.New("too few words")
		return ""
	}
	w := f.rest[0]
	f.rest = f.rest[1:]
	return w
}

func (f *fields) number() uint64 {
	n, err := strconv.ParseUint(f.word(), 10, 64)
	if err != nil && f.err == nil {
		f.err = err
	}
	return n
}

func (f *fields) index() engine.Index { return engine.Index(f.number()) }
func (f *fields) term() engine.Term   { return engine.Term(f.number()) }
func (f *fields) uid() engine.UID     { return engine.UID(f.word()) }

func (f *fields) id() engine.EntryID { return engine.EntryID{Term: f.term(), Index: f.index()} }

func (f *fields) hard() engine.HardState {
	return engine.HardState{Term: f.term(), Vote: wordVote(f.word())}
}

func (w *world) line(text string) error {
	f := &fields{rest: strings.Fields(text)}
	var err error
	switch kind := f.word(); kind {
	case "O":
		w.opens++
		w.found = make(map[engine.UID]found)
	case "S", "T", "R":
		err = w.opening(kind, f)
	case "A", "D", "F":
		err = w.answer(kind, f.number(), f.uid())
	case "W":
		err = w.written(f)
	case "m", "o", "v", "k", "z", "q", "u", "g":
		err = w.reading(kind, f)
	default:
		err = w.intent(kind, f)
	}
	switch {
	case f.err != nil:
		return f.err
	case err == nil && len(f.rest) > 0:
		return errors.New("too many words")
	}
	return err
}

// opening takes a line about what an opening found.
func (w *world) opening(kind string, f *fields) (err error) {
	if w.found == nil {
		return errors.New("not behind an opening")
	}
	switch kind {
	case "S":
		w.found[f.uid()] = found{exists: true, released: f.id(), last: f.id(), hard: f.hard(), snapshot: f.id(), slots: make(map[string]foundSlot)}
	case "T":
		slots := w.found[f.uid()].slots
		if slots == nil {
			return errors.New("not behind its log")
		}
		slots[f.word()] = foundSlot{at: f.index(), givenUp: f.number() == 1}
	case "R":
		err = w.resolve(w.found)
		w.found = nil
	}
	return err
}

// resolve settles every log on what was found of it.
func (w *world) resolve(logs map[engine.UID]found) error {
	for uid := range logs {
		if w.logs[uid] == nil {
			return fmt.Errorf("log %s was never made", uid)
		}
	}
	for uid, m := range w.logs {
		s, err := m.resolve(logs[uid])
		if err != nil {
			return fmt.Errorf("log %s: %w", uid, err)
		}
		if c := m.committed(s.life); s.exists && c > s.last().Index {
			return fmt.Errorf("log %s: found %v, and it was committed up to %d", uid, s, c)
		}
		m.settle(s)
	}
	return nil
}

func (w *world) answer(how string, op uint64, uid engine.UID) error {
	m := w.log(uid)
	switch how {
	case "A":
		w.acks++
		err := m.acknowledge(func(p *step) bool { return p.op == op })
		if p := m.sure.pending; p != nil && p.op == op {
			m.sure.publish()
		}
		return err
	case "F":
		m.refused(op)
	}
	return nil
}

// written acknowledges what a Written event names. Entries have other terms after every cut,
// and terms rise over all lives of a name, so that nothing else has the same identity.
func (w *world) written(f *fields) error {
	m, index, term, hard := w.log(f.uid()), f.index(), f.term(), f.hard()
	w.acks++
	err := m.acknowledge(func(p *step) bool {
		return p.kind == stepEntry && p.index == index && p.entry.term == term
	})
	if err != nil || hard == (engine.HardState{}) || hard == m.sure.hard {
		return err
	}
	// One that is set again says nothing new: the event may speak of the first.
	for i := range m.tail {
		if p := &m.tail[i]; p.kind == stepHard && p.hard == hard {
			return m.advance(i + 1)
		}
	}
	return nil
}

func (w *world) intent(kind string, f *fields) error {
	op, uid := f.number(), f.uid()
	w.lastOp = max(w.lastOp, op)
	m := w.log(uid)
	add := func(p step) {
		p.op = op
		m.tail = append(m.tail, p)
	}
	switch kind {
	case "c":
		m.begin(op)
		add(step{kind: stepCreate})
	case "d":
		add(step{kind: stepDelete})
	case "t":
		add(step{kind: stepTruncate, index: f.index()})
	case "r":
		i := f.index()
		m.gone(i)
		add(step{kind: stepRelease, index: i})
	case "h":
		add(step{kind: stepHard, hard: f.hard()})
	case "a":
		return m.append(op, f)
	case "n":
		w.slots.created++
		add(m.createSlot(op, f))
	case "x":
		w.slots.dropped++
		add(step{kind: stepSlotDrop, name: f.word()})
	case "s":
		c := &capture{op: op, kind: f.kind(), at: engine.EntryID{Index: f.index(), Term: f.term()}, size: f.size(), live: f.seq()}
		m.captures[op] = c
		if c.kind == engine.KindSnapshot {
			m.gone(c.at.Index)
			add(step{kind: stepSnapshot, state: c})
		}
	case "p":
		c := m.captures[f.number()]
		if c == nil {
			return errors.New("promotion of what was not captured")
		}
		c.promoted = true
		m.gone(c.at.Index)
		add(step{kind: stepSnapshot, state: c})
	default:
		return errors.New("unknown kind of line")
	}
	return nil
}

// append reads the rest of an announced append.
func (m *logModel) append(op uint64, f *fields) error {
	cut, prev, term := f.number(), f.index(), f.term()
	if cut == 1 {
		m.tail = append(m.tail, step{kind: stepTruncate, op: op, index: prev})
	}
	for i, size := range strings.Split(f.word(), ",") {
		n, err := strconv.ParseUint(size, 10, 32)
		if err != nil || n > maxEntry {
			return fmt.Errorf("size %q: %w", size, err)
		}
		e := modelEntry{term: term, size: int(n), op: op}
		id := engine.EntryID{Term: term, Index: prev + 1 + engine.Index(i)}
		m.appended[id] = e
		m.tail = append(m.tail, step{kind: stepEntry, op: op, index: id.Index, entry: e})
	}
	return nil
}
