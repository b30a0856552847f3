package tcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft/transport"
)

// letter is a message of tests.
type letter string

func (l letter) Size() int { return len(l) }

// post is their codec. One that begins with "~" is decoded when the sealed channel is closed. A letter that begins with "!" has no bytes, one that begins with "+" a MiB more than it says.
type post struct{}

var errPost = errors.New("not a letter")

func (post) Append(b []byte, l letter) ([]byte, error) {
	if len(l) > 0 && l[0] == '!' {
		return nil, errPost
	}
	if len(l) > 0 && l[0] == '+' {
		b = append(b, make([]byte, 1<<20)...)
	}
	return append(b, l...), nil
}

// sealed is what letters with "~" wait for.
var sealed chan struct{}

func (post) Decode(b []byte, from, to NodeID) (letter, error) {
	if len(b) > 0 && b[0] == '~' {
		<-sealed
	}
	if len(b) > 0 && b[0] == '?' {
		return "", errPost
	}
	return letter(b), nil
}

// heard is one call of a receiver.
type heard struct {
	from  NodeID
	class transport.Class
	epoch uint64
	event transport.EventKind // 0 for a letter
	m     letter
}

// sink keeps what its node hears.
type sink struct {
	mu    sync.Mutex
	list  []heard
	busy  map[NodeID]bool
	wrong []string
	hold  chan struct{} // letters wait for it, nil for not
}

func (s *sink) note(h heard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, h)
}

func (s *sink) enter(from NodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy == nil {
		s.busy = make(map[NodeID]bool)
	}
	if s.busy[from] {
		s.wrong = append(s.wrong, "two calls at a time about "+from)
	}
	s.busy[from] = true
}

func (s *sink) leave(from NodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy[from] = false
}

func (s *sink) Receive(from NodeID, class transport.Class, epoch uint64, m letter) {
	s.enter(from)
	defer s.leave(from)
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	s.note(heard{from: from, class: class, epoch: epoch, m: m})
}

// halt has letters wait until the channel is closed.
func (s *sink) halt() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = make(chan struct{})
	return s.hold
}

func (s *sink) Event(e transport.Event) {
	s.enter(e.Peer)
	defer s.leave(e.Peer)
	s.note(heard{from: e.Peer, class: e.Class, epoch: e.Epoch, event: e.Kind})
}

func (s *sink) all() []heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]heard(nil), s.list...)
}

// letters are those from one node, of one class.
func (s *sink) letters(from NodeID, class transport.Class) (list []letter) {
	for _, h := range s.all() {
		if h.from == from && h.class == class && h.event == 0 {
			list = append(list, h.m)
		}
	}
	return list
}

func (s *sink) events(from NodeID, kind transport.EventKind) (n int) {
	for _, h := range s.all() {
		if h.from == from && h.event == kind {
			n++
		}
	}
	return n
}

// house has nodes on the loopback interface. It is its own resolver.
type house struct {
	t      testing.TB
	change func(id NodeID, o *Options)

	mu    sync.Mutex
	addrs map[NodeID]string
	lives map[NodeID]uint64
	ends  map[NodeID]*Transport[letter]
	sinks map[NodeID]*sink
}

func newHouse(t testing.TB, change func(id NodeID, o *Options), ids ...NodeID) *house {
	before := runtime.NumGoroutine()
	h := &house{t: t, change: change, addrs: make(map[NodeID]string), lives: make(map[NodeID]uint64),
		ends: make(map[NodeID]*Transport[letter]), sinks: make(map[NodeID]*sink)}
	for _, id := range ids {
		h.join(id)
	}
	t.Cleanup(func() {
		for _, e := range h.ends {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		}
		for _, s := range h.sinks {
			for _, w := range s.wrong {
				t.Error(w)
			}
		}
		h.until("the goroutines' end", func() bool { return runtime.NumGoroutine() <= before })
	})
	return h
}

// Resolve implements Resolver.
func (h *house) Resolve(_ context.Context, id NodeID) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a, ok := h.addrs[id]; ok {
		return a, nil
	}
	return "", fmt.Errorf("nobody is called %q", id)
}

func (h *house) options(id NodeID) Options {
	o := Options{Listen: "127.0.0.1:0", Resolver: h, InsecurePlaintext: true, Cookie: "house", MinPause: time.Millisecond, MaxPause: 20 * time.Millisecond}
	if h.change != nil {
		h.change(id, &o)
	}
	return o
}

// join begins a life of a node.
func (h *house) join(id NodeID) {
	h.t.Helper()
	h.lives[id]++
	s := &sink{}
	e, err := Join(h.options(id), id, h.lives[id], post{}, transport.Receiver[letter](s))
	if err != nil {
		h.t.Fatal(err)
	}
	h.ends[id], h.sinks[id] = e, s
	h.mu.Lock()
	h.addrs[id] = e.Addr().String()
	h.mu.Unlock()
}

// send sends until the outbox takes it.
func (h *house) send(from, to NodeID, class transport.Class, m letter) {
	h.t.Helper()
	h.until("room for a letter", func() bool { return h.ends[from].Send(to, class, m) == nil })
}

func (h *house) until(what string, ok func() bool) {
	h.t.Helper()
	end := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			h.t.Fatalf("waiting for %s\n%s", what, buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(time.Millisecond)
	}
}

// meet has two nodes connected.
func (h *house) meet(a, b NodeID) {
	h.t.Helper()
	h.send(a, b, transport.Control, "hello")
	h.until("a letter", func() bool { return len(h.sinks[b].letters(a, transport.Control)) > 0 })
}

// cut resets the connection of two nodes, as one of them has it.
func (h *house) cut(a, b NodeID) {
	p, err := h.ends[a].peer(b)
	if err != nil {
		h.t.Fatal(err)
	}
	p.mu.Lock()
	l := p.link
	p.mu.Unlock()
	if l == nil {
		return
	}
	for i := range l.parts {
		if c, ok := l.parts[i].conn.(*net.TCPConn); ok {
			_ = c.SetLinger(0)
		}
		_ = l.parts[i].conn.Close()
	}
}
