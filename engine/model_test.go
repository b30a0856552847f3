package engine_test

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rawl-db/rawl/engine"
)

// recKind names one record of a log as the write-ahead log will hold it.
type recKind uint8

const (
	recCreate recKind = iota
	recEntry
	recTruncate
	recRelease
	recHard
	recApplied
	recDelete
	recSnapshot
	recCheckpoint
	recInstall // over a log that does not hold the snapshot's entry
	recSlotCreate
	recSlotAck
	recSlotDrop
	recSlotGiveUp
)

// rec is one fact that a log was asked to keep. seq numbers the control records of a handle; it
// is 0 for entries.
type rec struct {
	kind recKind
	life int
	seq  uint64
	id   engine.EntryID
	hard engine.HardState
	live engine.Seq
	// terms are those of the live entries, of install.
	terms map[engine.Index]engine.Term
	slot  string
}

func (r rec) String() string {
	names := [...]string{"create", "entry", "truncate", "release", "hard", "applied", "delete", "snapshot", "checkpoint", "install",
		"create slot", "ack slot", "drop slot", "give up slot"}
	return fmt.Sprintf("%s life %d seq %d %v %v %s", names[r.kind], r.life, r.seq, r.id, r.hard, r.slot)
}

// state is all that can be observed of a UID.
type state struct {
	exists   bool
	life     int // 0 when nothing tells it
	released engine.EntryID
	terms    []engine.Term // of the entries behind released
	hard     engine.HardState
	applied  engine.Index
	snapshot engine.EntryID               // the newest
	live     map[engine.Index]engine.Term // entries up to released that are still there
	slots    map[string]slotPlace
	held     map[engine.Index]engine.Term // entries up to released that slots keep
}

func (s *state) last() engine.EntryID {
	if n := len(s.terms); n > 0 {
		return engine.EntryID{Term: s.terms[n-1], Index: s.released.Index + engine.Index(n)}
	}
	return s.released
}

// at returns the identity of the entry at i, which is in the log or the last released one.
func (s *state) at(i engine.Index) engine.EntryID {
	if i == s.released.Index {
		return s.released
	}
	return engine.EntryID{Term: s.terms[i-s.released.Index-1], Index: i}
}

func (s *state) clone() state {
	c := *s
	c.terms, c.live = slices.Clone(s.terms), maps.Clone(s.live)
	c.slots, c.held = maps.Clone(s.slots), maps.Clone(s.held)
	return c
}

func (s *state) apply(r rec) {
	switch r.kind {
	case recCreate:
		*s = state{exists: true, life: r.life}
	case recEntry:
		s.terms = append(s.terms, r.id.Term)
	case recTruncate:
		s.terms = s.terms[:r.id.Index-s.released.Index]
	case recRelease:
		s.release(r.id)
	case recSnapshot:
		live := make(map[engine.Index]engine.Term)
		for i := range r.live.All() {
			if i > s.released.Index {
				live[i] = s.at(i).Term
			} else {
				live[i] = s.live[i]
			}
		}
		s.release(r.id)
		s.live, s.snapshot = live, r.id
	case recInstall:
		s.released, s.snapshot, s.terms, s.live = r.id, r.id, nil, maps.Clone(r.terms)
		s.passSlots()
	case recHard:
		s.hard = r.hard
	case recApplied:
		s.applied = r.id.Index
	case recDelete:
		*s = state{}
	case recSlotCreate, recSlotAck, recSlotDrop, recSlotGiveUp:
		s.applySlot(r)
	}
}

func (s *state) release(id engine.EntryID) {
	if id.Index > s.released.Index {
		s.hold(id.Index)
		defer s.pruneHeld()
		s.terms = s.terms[id.Index-s.released.Index:]
		s.released = id
	}
}

// equal compares with what was observed, where an empty log does not tell its life.
func (s *state) equal(got *state) bool {
	if !s.exists || !got.exists {
		return s.exists == got.exists
	}
	return s.released == got.released && s.hard == got.hard && s.applied == got.applied &&
		s.snapshot == got.snapshot && maps.Equal(s.live, got.live) && maps.Equal(s.slots, got.slots) && maps.Equal(s.held, got.held) && slices.Equal(s.terms, got.terms) && (got.life == 0 || got.life == s.life)
}

func (s state) String() string {
	if !s.exists {
		return "none"
	}
	return fmt.Sprintf("life %d after %v to %v hard %v applied %d snapshot %v live %v slots %v held %v terms %v",
		s.life, s.released, s.last(), s.hard, s.applied, s.snapshot, s.live, s.slots, s.held, s.terms)
}

// history is what one UID was asked to keep, in order, over all its lives. After a power cut
// the log must be as some prefix of it left it, and no shorter one than what was acknowledged.
type history struct {
	uid   engine.UID
	recs  []rec
	acked int // recs[:acked] were acknowledged
	lives int
	term  engine.Term // no higher one was ever used
	now   state
	// checkpoints were captured; the engine says which of them are left.
	checkpoints map[engine.EntryID]rec
	// parts are snapshots whose transfer was interrupted: the file may still be there.
	parts []engine.EntryID
}

func (h *history) clone() *history {
	c := *h
	c.recs = slices.Clip(h.recs)
	c.now, c.checkpoints = h.now.clone(), maps.Clone(h.checkpoints)
	return &c
}

func (h *history) add(r rec) {
	h.recs = append(h.recs, r)
	h.now.apply(r)
	switch {
	case r.kind == recCreate:
		h.checkpoints = map[engine.EntryID]rec{}
	case r.kind == recCheckpoint:
		h.checkpoints[r.id] = r
	}
}

// visible is the state without what a snapshot does whose record is not durable yet: it comes
// into force then.
func (h *history) visible(life int, durable uint64) state {
	var s state
	for _, r := range h.recs {
		if r.kind == recSnapshot && r.life == life && r.seq > durable {
			continue
		}
		s.apply(r)
	}
	return s
}

// written notes an acknowledgement: of a log's control records, and of entry last. Those without
// a number are what an open on a full disk has still to commit, before everything else.
func (h *history) written(life int, controls uint64, last engine.EntryID) {
	for i := len(h.recs) - 1; i >= h.acked; i-- {
		r := &h.recs[i]
		if r.life == life && (r.kind != recEntry && r.seq <= controls || r.kind == recEntry && r.id == last) {
			h.acked = i + 1
			return
		}
	}
}

// match finds the longest prefix that explains what was recovered.
func (h *history) match(got *state) (n int, ok bool) {
	var s state
	for i := 0; ; i++ {
		if i >= h.acked && s.equal(got) {
			n, ok = i, true
		}
		if i == len(h.recs) {
			return n, ok
		}
		s.apply(h.recs[i])
	}
}

// cut forgets what did not survive. With durable all that did counts as acknowledged.
func (h *history) cut(n int, durable bool) {
	h.recs = slices.Clone(h.recs[:n])
	h.now = state{}
	for i := range h.recs {
		h.now.apply(h.recs[i])
		h.recs[i].seq = 0
	}
	if durable {
		h.acked = n
	}
}

// payload is the only one that the entry of this identity may have.
func payload(uid engine.UID, life int, id engine.EntryID, largest int) []byte {
	head := fmt.Appendf(nil, "%s/%d/%d/%d|", uid, life, id.Term, id.Index)
	sum := fnv.New64a()
	sum.Write(head)
	x := sum.Sum64()
	size := len(head) + int(x>>8%200)
	switch x % 64 {
	case 0, 1, 2, 3:
		size += int(x >> 8 % 3000)
	case 4:
		size = largest - int(x>>8%100)
	case 5:
		return []byte{}
	case 6:
		size = 4096
	}
	p := make([]byte, min(size, largest))
	for n := copy(p, head); n < len(p); {
		n += copy(p[n:], p[:n])
	}
	return p
}

func entryType(id engine.EntryID) uint8 { return uint8(id.Index)*7 + uint8(id.Term) }

func makeEntry(uid engine.UID, life int, id engine.EntryID, largest int) engine.Entry {
	return engine.Entry{Index: id.Index, Term: id.Term, Type: entryType(id), Data: payload(uid, life, id, largest)}
}

// checkEntry returns the life in which the entry was appended, 0 when it does not tell.
func checkEntry(uid engine.UID, e engine.Entry, largest int) (life int, err error) {
	if e.Type != entryType(e.ID()) {
		return 0, fmt.Errorf("entry %v has type %d", e.ID(), e.Type)
	}
	if parts := strings.SplitN(string(e.Data[:min(len(e.Data), 160)]), "/", 3); len(parts) == 3 {
		life, _ = strconv.Atoi(parts[1])
	} else if len(e.Data) > 0 {
		return 0, fmt.Errorf("entry %v holds %q", e.ID(), e.Data[:min(len(e.Data), 40)])
	}
	if life > 0 && !bytes.Equal(e.Data, payload(uid, life, e.ID(), largest)) {
		return 0, fmt.Errorf("entry %v holds %d bytes %q", e.ID(), len(e.Data), e.Data[:min(len(e.Data), 40)])
	}
	return life, nil
}
