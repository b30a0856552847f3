package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rawl-db/rawl/engine"
)

// capture is a state that was announced: what it covers, and what its bytes are computed from.
type capture struct {
	op       uint64
	kind     engine.SnapshotKind
	at       engine.EntryID
	size     int
	live     engine.Seq
	promoted bool // a promotion was announced
	fresh    bool // it succeeded in this run
}

// state is what the capture writes.
func (c *capture) state(uid engine.UID) []byte {
	b := make([]byte, c.size)
	fillPayload(b, uid, c.op, c.at.Index)
	return b
}

// context is what is kept beside it.
func (c *capture) context() []byte { return strconv.AppendUint(nil, c.op, 10) }

// pendingSnapshot is one that was announced and may be published: it is written beside later
// operations, so that its place among them is not known. All that it needs came before.
type pendingSnapshot struct {
	op   uint64
	at   engine.EntryID
	live map[engine.Index]modelEntry
}

// announce makes a snapshot pending. It is false when a live entry is not there.
func (s *logState) announce(op uint64, c *capture) bool {
	p := &pendingSnapshot{op: op, at: c.at, live: make(map[engine.Index]modelEntry)}
	for i := range c.live.All() {
		e, ok := s.find(i)
		if !ok {
			return false
		}
		p.live[i] = e
	}
	s.pending = p
	return true
}

// find returns the entry at an index that can be read.
func (s *logState) find(i engine.Index) (e modelEntry, ok bool) {
	if i > s.released.Index && i <= s.last().Index {
		return s.at(i), true
	}
	e, ok = s.live[i]
	return e, ok
}

// publish makes the pending snapshot count, and returns s.
func (s *logState) publish() *logState {
	p := s.pending
	s.snapshot, s.live, s.pending = p.at, p.live, nil
	if p.at.Index <= s.last().Index {
		s.release(p.at.Index)
	}
	return s
}

// seqWord lists a set as ranges.
func seqWord(s engine.Seq) string {
	var b strings.Builder
	for r := range s.Ranges() {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%d-%d", r.First, r.Last)
	}
	if b.Len() == 0 {
		return "-"
	}
	return b.String()
}

// maxLive bounds a range of live entries that a journal names.
const maxLive = 1 << 20

func (f *fields) seq() (s engine.Seq) {
	w := f.word()
	if w == "-" {
		return s
	}
	for part := range strings.SplitSeq(w, ",") {
		first, last, _ := strings.Cut(part, "-")
		a, err1 := strconv.ParseUint(first, 10, 64)
		b, err2 := strconv.ParseUint(last, 10, 64)
		if err := errors.Join(err1, err2); err != nil || a == 0 || b < a || b-a > maxLive {
			f.err = fmt.Errorf("live entries %q: %w", part, err)
			return s
		}
		s.AddRange(engine.Range{First: engine.Index(a), Last: engine.Index(b)})
	}
	return s
}

func (f *fields) kind() engine.SnapshotKind {
	n := f.number()
	k := engine.SnapshotKind(n)
	if f.err == nil && (n > 255 || !k.Valid()) {
		f.err = fmt.Errorf("kind of capture %d", n)
	}
	return k
}

// maxEntry bounds the entries that a journal names, bytes.
const maxEntry = 64 << 20

// maxState bounds the states that a journal names, bytes.
const maxState = 1 << 30

func (f *fields) size() int {
	n := f.number()
	if n > maxState {
		f.err = fmt.Errorf("size %d", n)
		return 0
	}
	return int(n)
}
