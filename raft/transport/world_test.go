package transport

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"
)

const ms = int64(1e6)

// letter is the message of the tests.
type letter struct {
	from, to NodeID
	class    Class
	number   int // of those that Send took from one node to another in one class; the first is 1
	bytes    int
}

func (l *letter) Size() int { return l.bytes }

// world drives a stepped network and checks what every transport promises at each call of a receiver.
type world struct {
	t       *testing.T
	net     *Network[*letter]
	random  *rand.Rand
	now     int64
	hosts   []*host
	cuts    map[[2]NodeID]bool
	history []string
	relaxed bool // rules break order and completeness
	numbers map[string]int
}

// host is a node with its receiver.
type host struct {
	w    *world
	id   NodeID
	life int
	end  *Endpoint[*letter]

	peers map[NodeID]*peerSide
	wants map[string]bool // classes to peers that were refused and have no Ready yet
}

type peerSide struct {
	epoch uint64
	up    bool
	last  [Classes]int // number of the newest letter of this epoch, 0 for none
}

func newWorld(t *testing.T, seed uint64, nodes int, outbox int) *world {
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 77)), now: 1e9, cuts: map[[2]NodeID]bool{}, numbers: map[string]int{}}
	n, err := New[*letter](Options{Seed: seed, Stepped: true, Now: func() int64 { return w.now },
		Outbox: [Classes]int{outbox, outbox, outbox}})
	if err != nil {
		t.Fatal(err)
	}
	w.net = n
	for i := range nodes {
		h := &host{w: w, id: string(rune('a' + i))}
		w.hosts = append(w.hosts, h)
		h.join()
	}
	return w
}

func (h *host) join() {
	h.life++
	h.peers, h.wants = map[NodeID]*peerSide{}, map[string]bool{}
	end, err := h.w.net.Join(h.id, &face{h, h.life})
	if err != nil {
		h.w.t.Fatal(err)
	}
	h.end = end
}

// face is the receiver of one life of a host.
type face struct {
	h    *host
	life int
}

func (f *face) side(id NodeID) *peerSide {
	if f.life != f.h.life || f.h.end == nil {
		f.h.w.t.Fatalf("life %d of %s is called, which has ended\n%v", f.life, f.h.id, f.h.w.history)
	}
	if f.h.peers[id] == nil {
		f.h.peers[id] = &peerSide{}
	}
	return f.h.peers[id]
}

func (f *face) Receive(from NodeID, class Class, epoch uint64, m *letter) {
	h, w, s := f.h, f.h.w, f.side(from)
	w.note("%d %s: %s %v %d #%d", w.now, h.id, from, class, epoch, m.number)
	switch {
	case m.from != from || m.to != h.id || m.class != class:
		w.fail("misdelivered: %+v", *m)
	case !s.up || epoch != s.epoch:
		w.fail("a message of epoch %d, while %d is up: %v", epoch, s.epoch, s.up)
	case w.cuts[[2]NodeID{from, h.id}]:
		w.fail("a message across a cut")
	case w.relaxed:
	case m.number <= s.last[class]:
		w.fail("message %d after %d", m.number, s.last[class])
	case s.last[class] != 0 && m.number != s.last[class]+1:
		w.fail("message %d follows %d in one epoch", m.number, s.last[class])
	}
	s.last[class] = m.number
}

func (f *face) Event(e Event) {
	h, w, s := f.h, f.h.w, f.side(e.Peer)
	w.note("%d %s: %+v", w.now, h.id, e)
	switch e.Kind {
	case Connected:
		if s.up || e.Epoch <= s.epoch {
			w.fail("connected %d after %d, up %v", e.Epoch, s.epoch, s.up)
		}
		*s = peerSide{epoch: e.Epoch, up: true}
	case Disconnected:
		if !s.up || e.Epoch != s.epoch {
			w.fail("disconnected %d while %d is up: %v", e.Epoch, s.epoch, s.up)
		}
		s.up = false
	case Ready:
		key := e.Peer + e.Class.String()
		if !h.wants[key] {
			w.fail("ready without a refusal")
		}
		if l := w.net.link(h.end.node, e.Peer); l.lanes[e.Class].bytes > w.net.opts.Outbox[e.Class]/2 {
			w.fail("ready with %d bytes in the outbox", l.lanes[e.Class].bytes)
		}
		delete(h.wants, key)
	}
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	for _, line := range w.history[max(0, len(w.history)-40):] {
		w.t.Log(line)
	}
	w.t.Fatalf(format, args...)
}

func (w *world) note(format string, args ...any) {
	w.history = append(w.history, fmt.Sprintf(format, args...))
}

func (w *world) hash() uint64 {
	h := fnv.New64a()
	for _, line := range w.history {
		h.Write([]byte(line + "\n"))
	}
	return h.Sum64()
}

// send sends one letter and returns Send's error.
func (w *world) send(from, to NodeID, class Class, bytes int) error {
	h := w.host(from)
	key := from + to + class.String()
	m := &letter{from: from, to: to, class: class, number: w.numbers[key] + 1, bytes: bytes}
	err := h.end.Send(to, class, m)
	switch {
	case err == nil:
		w.numbers[key]++
	case errors.Is(err, ErrFull):
		h.wants[to+class.String()] = true
	}
	w.checkBytes()
	return err
}

// must sends letters that have to be taken.
func (w *world) must(from, to NodeID, count int) {
	w.t.Helper()
	for range count {
		if err := w.send(from, to, Log, 10); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) host(id NodeID) *host { return w.hosts[id[0]-'a'] }

// checkBytes compares what the outboxes count with what they hold, and with their bounds.
func (w *world) checkBytes() {
	for _, p := range w.net.mu.pairs {
		for _, l := range p.ends {
			for c := range l.lanes {
				a, sum := &l.lanes[c], 0
				for _, it := range a.queue.items[a.queue.head:] {
					if it.epoch == p.epoch && p.open {
						sum += it.size
					}
				}
				if a.bytes != sum || sum > w.net.opts.Outbox[c] {
					w.fail("outbox of %d bytes counts %d, holds %d", w.net.opts.Outbox[c], a.bytes, sum)
				}
			}
		}
	}
}

// run lets the time pass.
func (w *world) run(d int64) {
	end := w.now + d
	for {
		at, ok := w.net.Next()
		if !ok || at > end {
			w.now = end
			return
		}
		w.now = max(w.now, at)
		if !w.net.Step() {
			w.fail("nothing to step at %d, though due at %d", w.now, at)
		}
	}
}

func (w *world) cut(from, to NodeID) {
	w.cuts[[2]NodeID{from, to}] = true
	if err := w.net.Cut([]NodeID{from}, []NodeID{to}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) heal() {
	clear(w.cuts)
	w.net.HealAll()
}
