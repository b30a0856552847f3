package tcp

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft/transport"
)

// stranger speaks the protocol by hand.
type stranger struct {
	t          testing.TB
	main, bulk net.Conn
	framer     framer
}

// reach opens a TCP connection to a node.
func (h *house) reach(id NodeID) net.Conn {
	h.t.Helper()
	addr, _ := h.Resolve(h.t.Context(), id)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		h.t.Fatal(err)
	}
	return c
}

// goodHello is what node "z" would say to "a".
func goodHello(t *Transport[letter]) hello {
	return hello{cookie: t.cookie, nonce: 1, from: "z", to: "a", incarnation: 1}
}

// say sends a hello and returns the welcome.
func say(t testing.TB, c net.Conn, h hello) welcome {
	t.Helper()
	if err := writeShake(c, h.appendTo(nil)); err != nil {
		t.Fatal(err)
	}
	b, err := readShake(c)
	if err != nil {
		t.Fatal(err)
	}
	w, err := parseWelcome(b)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// enter takes part as node "z", until the connection stands.
func (h *house) enter() *stranger {
	h.t.Helper()
	s := h.knock(0)
	h.until("the connection", func() bool {
		return h.sinks["a"].events("z", transport.Connected) > h.sinks["a"].events("z", transport.Disconnected)
	})
	return s
}

// knock takes part as node "z", which knows of an epoch, as far as that depends on it.
func (h *house) knock(epoch uint64) *stranger {
	h.t.Helper()
	s := &stranger{t: h.t, main: h.reach("a"), bulk: h.reach("a")}
	first := goodHello(h.ends["a"])
	first.epoch = epoch
	w := say(h.t, s.main, first)
	second := first
	second.part, second.token = bulkPart, w.token
	b := say(h.t, s.bulk, second)
	s.framer.seed, _ = seeds(first.nonce, w.nonce)
	for _, x := range []struct {
		c net.Conn
		n uint64
	}{{s.bulk, b.nonce}, {s.main, w.nonce}} {
		if err := writeShake(x.c, binary.LittleEndian.AppendUint64(nil, x.n)); err != nil {
			h.t.Fatal(err)
		}
	}
	h.until("the connection", func() bool {
		return h.sinks["a"].events("z", transport.Connected) > h.sinks["a"].events("z", transport.Disconnected)
	})
	return s
}

func (s *stranger) frame(class transport.Class, m string) []byte {
	b := append(s.framer.begin(nil), m...)
	s.framer.finish(b, 0, class)
	return b
}

func (s *stranger) write(b []byte) { _, _ = s.main.Write(b) }

// wantEnd wants the other side to end the connection.
func wantEnd(t testing.TB, c net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the connection is still there: %v", err)
	}
}

// What a peer that was let in sends badly ends its connection, is counted, and costs nobody else anything.
func TestBadFrames(t *testing.T) {
	h := newHouse(t, nil, "a", "b")
	h.meet("a", "b")
	for _, x := range []struct {
		name  string
		send  func(s *stranger)
		count func(Stats) uint64
	}{
		{"flipped", func(s *stranger) { b := s.frame(transport.Log, "x"); b[len(b)-1] ^= 1; s.write(b) }, func(s Stats) uint64 { return s.Damaged }},
		{"oversized", func(s *stranger) {
			b := s.frame(transport.Log, "x")
			binary.LittleEndian.PutUint32(b, 1<<31)
			s.write(b)
		}, func(s Stats) uint64 { return s.TooLong }},
		{"replayed", func(s *stranger) { b := s.frame(transport.Log, "good"); s.write(b); s.write(b) }, func(s Stats) uint64 { return s.OutOfTurn }},
		{"out of order", func(s *stranger) {
			first := s.frame(transport.Log, "1")
			s.write(s.frame(transport.Log, "2"))
			s.write(first)
		}, func(s Stats) uint64 { return s.OutOfTurn }},
		{"of another connection", func(s *stranger) { s.framer.seed++; s.write(s.frame(transport.Log, "x")) }, func(s Stats) uint64 { return s.Damaged }},
		{"of a class that travels elsewhere", func(s *stranger) { s.write(s.frame(transport.Snapshot, "x")) }, func(s Stats) uint64 { return s.WrongClass }},
		{"of no class", func(s *stranger) { s.write(s.frame(transport.Class(200), "x")) }, func(s Stats) uint64 { return s.WrongClass }},
		{"without a message", func(s *stranger) { s.write(s.frame(transport.Control, "?")) }, func(s Stats) uint64 { return s.Undecoded }},
		{"cut", func(s *stranger) { b := s.frame(transport.Log, "long enough"); s.write(b[:15]); _ = s.main.Close() },
			func(s Stats) uint64 { return s.Cut }},
	} {
		t.Run(x.name, func(t *testing.T) {
			before, ends := x.count(h.ends["a"].Stats()), h.sinks["a"].events("z", transport.Disconnected)
			s := h.enter()
			x.send(s)
			h.until("the end of the connection", func() bool { return h.sinks["a"].events("z", transport.Disconnected) > ends })
			wantEnd(t, s.bulk)
			if after := x.count(h.ends["a"].Stats()); after <= before {
				t.Errorf("it is not counted: %+v", h.ends["a"].Stats())
			}
		})
	}
	for _, m := range h.sinks["a"].letters("z", transport.Log) {
		if m != "good" {
			t.Errorf("%q was believed", m)
		}
	}
	h.stillFriends()
}

// A peer that connects anew while its last connection still stands here takes that one's place: nothing of the new one is told before
// the end of the old one, although a letter of it is still being read.
func TestReplaced(t *testing.T) {
	h := newHouse(t, nil, "a")
	a := h.sinks["a"]
	sealed = make(chan struct{})
	s := h.enter()
	s.write(s.frame(transport.Log, "old"))
	s.write(s.frame(transport.Log, "~sealed"))
	h.until("the first letter", func() bool { return len(a.letters("z", transport.Log)) == 1 })
	p, err := h.ends["a"].peer("z")
	if err != nil {
		t.Fatal(err)
	}
	newest := func() uint64 {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.epoch
	}
	first := newest()
	second := h.knock(first)
	h.until("the second connection", func() bool { return newest() > first })
	wantEnd(t, s.main)
	second.write(second.frame(transport.Log, "new"))
	close(sealed)
	h.until("the second connection's letter", func() bool { return len(a.letters("z", transport.Log)) == 2 })
	want := []heard{
		{from: "z", epoch: first, event: transport.Connected}, {from: "z", epoch: first, class: transport.Log, m: "old"},
		{from: "z", epoch: first, event: transport.Disconnected}, {from: "z", epoch: newest(), event: transport.Connected},
		{from: "z", epoch: newest(), class: transport.Log, m: "new"},
	}
	if got := a.all(); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// stillFriends wants the connection of a and b to be the first one, and to work.
func (h *house) stillFriends() {
	h.t.Helper()
	h.send("b", "a", transport.Log, "still here")
	h.until("a letter", func() bool { return slices.Contains(h.sinks["a"].letters("b", transport.Log), "still here") })
	if n := h.sinks["a"].events("b", transport.Connected); n != 1 || h.sinks["a"].events("b", transport.Disconnected) != 0 {
		h.t.Errorf("the friend's connection is its %dth", n)
	}
}

// Who says hello badly is refused and counted.
func TestBadHellos(t *testing.T) {
	h := newHouse(t, func(_ NodeID, o *Options) { o.HandshakeTimeout = 300 * time.Millisecond }, "a", "b")
	h.meet("a", "b")
	h.enter() // so that z has a life that is known
	a := h.ends["a"]
	for _, x := range []struct {
		name   string
		change func(*hello)
		count  func(Stats) uint64
	}{
		{"of another service", func(x *hello) { x.cookie[0]++ }, func(s Stats) uint64 { return s.Cookie }},
		{"to another node", func(x *hello) { x.to = "b" }, func(s Stats) uint64 { return s.Receiver }},
		{"by this node's name", func(x *hello) { x.from = "a" }, func(s Stats) uint64 { return s.Identity }},
		{"of an earlier life", func(x *hello) { x.incarnation = 0 }, func(s Stats) uint64 { return s.Outdated }},
		{"of nobody", func(x *hello) { x.from = "" }, func(s Stats) uint64 { return s.Malformed }},
		{"with an endless name", func(x *hello) { x.from = strings.Repeat("z", MaxName+1) }, func(s Stats) uint64 { return s.Malformed }},
		{"with an epoch beyond the last", func(x *hello) { x.epoch = maxEpoch + 1 }, func(s Stats) uint64 { return s.Malformed }},
		{"of a third part", func(x *hello) { x.part = 2 }, func(s Stats) uint64 { return s.Malformed }},
		{"of a bulk connection alone", func(x *hello) { x.part = bulkPart }, func(s Stats) uint64 { return s.Malformed }},
	} {
		t.Run(x.name, func(t *testing.T) {
			before, c, hi := x.count(a.Stats()), h.reach("a"), goodHello(a)
			x.change(&hi)
			if w := say(t, c, hi); w.status != statusRefused {
				t.Errorf("status %d", w.status)
			}
			wantEnd(t, c)
			h.until("the count", func() bool { return x.count(a.Stats()) == before+1 })
		})
	}
	newer := goodHello(a)
	bytes := newer.appendTo(nil)
	bytes[4]++
	for _, x := range []struct {
		name  string
		bytes []byte
		count func(Stats) uint64
	}{
		{"of a newer version", framed(bytes), func(s Stats) uint64 { return s.Version }},
		{"with a flipped byte", func() []byte { b := framed(newer.appendTo(nil)); b[len(b)-1] ^= 1; return b }(), func(s Stats) uint64 { return s.Malformed }},
		{"without end", append([]byte{255, 255, 255, 127}, make([]byte, 100)...), func(s Stats) uint64 { return s.Malformed }},
		{"of another protocol", []byte("GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n"), func(s Stats) uint64 { return s.Malformed }},
		{"by a slow one", framed(newer.appendTo(nil))[:5], func(s Stats) uint64 { return s.TimedOut }},
		{"by one that says nothing", nil, func(s Stats) uint64 { return s.TimedOut }},
	} {
		t.Run(x.name, func(t *testing.T) {
			before, c := x.count(a.Stats()), h.reach("a")
			if _, err := c.Write(x.bytes); err != nil {
				t.Fatal(err)
			}
			wantEnd(t, c)
			h.until("the count", func() bool { return x.count(a.Stats()) == before+1 })
		})
	}
	h.stillFriends()
}

func framed(payload []byte) []byte {
	var b strings.Builder
	_ = writeShake(&b, payload)
	return []byte(b.String())
}

// Connections that never say who they are take the places of handshakes, and no more: a connection that stands goes on, and new
// ones are made when their time is over.
func TestManyHalfOpen(t *testing.T) {
	h := newHouse(t, func(_ NodeID, o *Options) {
		o.MaxHandshakes, o.MaxHandshakesPerAddress, o.HandshakeTimeout = 32, 16, 500*time.Millisecond
	}, "a", "b")
	h.meet("a", "b")
	many := 2000
	if testing.Short() {
		many = 200
	}
	for range many {
		h.reach("a")
		if h.ends["a"].gate.taken() > 32 {
			t.Fatal("more handshakes than places")
		}
	}
	h.until("refusals", func() bool { return h.ends["a"].Stats().Crowded > 0 })
	h.stillFriends()
	h.until("a new connection", func() bool { // of a node that was not there before
		if h.ends["c"] == nil {
			h.join("c")
		}
		_ = h.ends["c"].Send("a", transport.Control, "at last")
		return slices.Contains(h.sinks["a"].letters("c", transport.Control), "at last")
	})
}
