package tcp

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft/transport"
)

// Letters of all classes arrive in their order, both ways, between Connected and Disconnected, in an epoch that both name.
func TestLetters(t *testing.T) {
	h := newHouse(t, nil, "a", "b")
	const each = 500
	for i := range each {
		for c := range transport.Class(transport.Classes) {
			m := letter(fmt.Sprint(i))
			if i == 100 {
				m = letter(strings.Repeat("x", 3<<20)) // beyond what is written at once
			}
			h.send("a", "b", c, m)
			h.send("b", "a", c, m)
		}
	}
	for _, way := range [][2]NodeID{{"a", "b"}, {"b", "a"}} {
		for c := range transport.Class(transport.Classes) {
			h.until("the letters", func() bool { return len(h.sinks[way[1]].letters(way[0], c)) >= each })
			for i, m := range h.sinks[way[1]].letters(way[0], c) {
				if i != 100 && m != letter(fmt.Sprint(i)) || i == 100 && len(m) != 3<<20 {
					t.Fatalf("%v to %v, %v: letter %d is %.20q", way[0], way[1], c, i, m)
				}
			}
		}
	}
	epochs := make(map[uint64]bool)
	for _, id := range []NodeID{"a", "b"} {
		for i, x := range h.sinks[id].all() {
			epochs[x.epoch] = true
			if (i == 0) != (x.event == transport.Connected) {
				t.Fatalf("%v heard %+v as %d", id, x.event, i)
			}
		}
	}
	if len(epochs) != 1 {
		t.Errorf("epochs %v", epochs)
	}
	if s := h.ends["a"].Stats(); s.Connections != 1 || s.Lost != 0 || s.Delivered != 3*each {
		t.Errorf("%+v", s)
	}
}

// What a node sends to one that is away is refused after a while, and the pair is found again when it is back, under a new epoch
// and another address.
func TestAway(t *testing.T) {
	h := newHouse(t, nil, "a", "b")
	h.meet("a", "b")
	old := h.sinks["a"].all()[0].epoch
	if err := h.ends["b"].Close(); err != nil {
		t.Fatal(err)
	}
	h.until("the end of the connection", func() bool { return h.sinks["a"].events("b", transport.Disconnected) == 1 })
	h.until("a refusal", func() bool { return errors.Is(h.ends["a"].Send("b", transport.Log, "lost"), transport.ErrUnreachable) })
	h.join("b")
	h.send("a", "b", transport.Log, "again")
	h.until("the letter", func() bool { return slices.Contains(h.sinks["b"].letters("a", transport.Log), "again") })
	if now := h.sinks["b"].all()[0].epoch; now <= old {
		t.Errorf("epoch %d after %d", now, old)
	}
	if err := h.ends["a"].Send("nobody", transport.Log, "x"); err != nil { // it is not known yet
		t.Fatal(err)
	}
	h.until("a refusal", func() bool {
		return errors.Is(h.ends["a"].Send("nobody", transport.Log, "x"), transport.ErrUnreachable)
	})
	for _, id := range []NodeID{"", "a", strings.Repeat("n", MaxName+1)} {
		if err := h.ends["a"].Send(id, transport.Log, "x"); !errors.Is(err, transport.ErrUnreachable) {
			t.Errorf("to %q: %v", id, err)
		}
	}
	if err := h.ends["a"].Send("b", transport.Classes, "x"); !errors.Is(err, transport.ErrClass) {
		t.Error(err)
	}
}

// Both begin at the same time, again and again: one connection comes of it, and what either sends arrives.
func TestBothDial(t *testing.T) {
	h := newHouse(t, nil, "a", "b")
	for i := range 50 {
		m := letter(fmt.Sprint(i))
		var both sync.WaitGroup
		for _, way := range [][2]NodeID{{"a", "b"}, {"b", "a"}} {
			both.Go(func() {
				h.until("the letter", func() bool {
					_ = h.ends[way[0]].Send(way[1], transport.Control, m)
					return slices.Contains(h.sinks[way[1]].letters(way[0], transport.Control), m)
				})
			})
		}
		both.Wait()
		ends := h.sinks["a"].events("b", transport.Disconnected)
		h.cut("a", "b")
		h.until("the end", func() bool { return h.sinks["a"].events("b", transport.Disconnected) > ends })
	}
}

// plain hides that its connections are of TCP: no option of the kernel's can be set.
type plain struct{ net.Listener }

func (l plain) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

// A peer that takes nothing costs the outbox, and then the connection, by the kernel's timeout as by the transport's own; the
// sender never waits. When its outbox has refused something it hears when there is room again.
func TestPeerThatTakesNothing(t *testing.T) {
	for name, listener := range map[string]func(net.Listener) net.Listener{
		"kernel": func(l net.Listener) net.Listener { return l }, "transport": func(l net.Listener) net.Listener { return plain{l} },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, func(id NodeID, o *Options) {
				o.Outbox[transport.Log] = 1 << 20
				o.WriteTimeout = 200 * time.Millisecond
				l, err := net.Listen("tcp", o.Listen)
				if err != nil {
					t.Fatal(err)
				}
				o.Listener = listener(l)
			}, "a", "b")
			h.meet("b", "a") // b dials, and a's end is the listener's
			held := h.sinks["b"].halt()
			release := sync.OnceFunc(func() { close(held) })
			defer release() // b is not closed before
			big := letter(strings.Repeat("x", 100<<10))
			h.until("a full outbox", func() bool { return errors.Is(h.ends["a"].Send("b", transport.Log, big), transport.ErrFull) })
			if err := h.ends["a"].Send("b", transport.Log, letter(strings.Repeat("x", 2<<20))); !errors.Is(err, transport.ErrTooLarge) {
				t.Error(err)
			}
			h.until("the end of the connection", func() bool {
				_ = h.ends["a"].Send("b", transport.Log, big) // the outbox may have been full because its writer had no processor
				return h.sinks["a"].events("b", transport.Disconnected) > 0 && h.sinks["a"].events("b", transport.Ready) > 0
			})
			if s := h.ends["a"].Stats(); s.TimedOut == 0 || s.Refused == 0 || s.Lost == 0 {
				t.Errorf("%+v", s)
			}
			release()
			h.send("a", "b", transport.Log, "small")
			h.until("a letter", func() bool { return slices.Contains(h.sinks["b"].letters("a", transport.Log), "small") })
		})
	}
}

// What has no bytes is dropped, what exceeds a frame is refused, and what stands beside it arrives.
func TestUnsendable(t *testing.T) {
	h := newHouse(t, func(_ NodeID, o *Options) { o.MaxFrameBytes = 1 << 20 }, "a", "b")
	for _, m := range []letter{"1", "!", "2", "+", "3"} {
		h.send("a", "b", transport.Log, m)
	}
	if err := h.ends["a"].Send("b", transport.Log, letter(strings.Repeat("x", 1<<20+1))); !errors.Is(err, transport.ErrTooLarge) {
		t.Error(err)
	}
	h.until("the letters", func() bool { return slices.Equal(h.sinks["b"].letters("a", transport.Log), []letter{"1", "2", "3"}) })
	if s := h.ends["a"].Stats(); s.Unsendable != 2 || s.Connections != 1 {
		t.Errorf("%+v", s)
	}
}

// Nothing is heard behind Close, nothing can be sent, and it can be called twice.
func TestClose(t *testing.T) {
	h := newHouse(t, nil, "a", "b")
	h.meet("a", "b")
	stop := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = h.ends["a"].Send("b", transport.Log, "x")
			}
		}
	})
	h.until("letters", func() bool { return len(h.sinks["b"].letters("a", transport.Log)) > 100 })
	if err := errors.Join(h.ends["b"].Close(), h.ends["b"].Close()); err != nil {
		t.Fatal(err)
	}
	n := len(h.sinks["b"].all())
	h.until("the end", func() bool { return h.sinks["a"].events("b", transport.Disconnected) > 0 })
	close(stop)
	sender.Wait()
	if got := len(h.sinks["b"].all()); got != n {
		t.Errorf("%d calls behind Close", got-n)
	}
	if err := h.ends["b"].Send("a", transport.Log, "x"); !errors.Is(err, transport.ErrClosed) {
		t.Error(err)
	}
}
