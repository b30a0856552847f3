package detector

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rawl-db/rawl/internal/sched"
)

func TestLateLoopForgives(t *testing.T) {
	for _, pause := range []time.Duration{400 * time.Millisecond, 900 * time.Millisecond, 5 * time.Second, time.Minute} {
		w := newWorld(t, 1, "a", "b")
		w.watchAll()
		w.run(3 * time.Second)
		a, at := w.node("a"), w.now
		w.freeze(a, pause)
		w.run(pause + 3*time.Second)
		if found := a.since(at, "b"); len(found) > 0 {
			t.Fatalf("a, paused %v, suspects b: %+v", pause, found)
		}
		if s := a.Stats(); s.Late == 0 || s.LateTime < int64(pause)-100*ms || s.LateTime > int64(pause)+100*ms {
			t.Fatalf("pause of %v: %+v", pause, s)
		}
		if rtt, ok := a.RTT("b"); !ok || rtt > 3*ms {
			t.Fatalf("the pause of %v counts as round trip: %d", pause, rtt)
		}
		if pause > time.Second {
			if found := w.node("b").since(at, "a"); len(found) != 2 || found[0].State != Down || found[1].State != Up {
				t.Fatalf("b on a, paused %v: %+v", pause, found)
			}
		}
		// Forgiving is no blindness: a death after the pause is found in time.
		w.node("b").dead = true
		w.run(1100 * time.Millisecond)
		w.expect("a", "b", Down)
	}
}

// TestPeerThatDiesInThePause has the allowance that it had before the pause, no more.
func TestPeerThatDiesInThePause(t *testing.T) {
	w := newWorld(t, 1, "a", "b")
	w.watchAll()
	w.run(3 * time.Second)
	a := w.node("a")
	w.freeze(a, 10*time.Second)
	w.node("b").dead = true
	w.run(10 * time.Second)
	w.run(1001 * time.Millisecond)
	w.expect("a", "b", Down)
}

func TestNothingWatchedNothingDue(t *testing.T) {
	w := newWorld(t, 1, "a", "b")
	a, b := w.node("a"), w.node("b")
	if a.Next() != Never || a.Step(w.now) != Never {
		t.Fatal("an idle detector wants to be called")
	}
	for range 10000 {
		a.Watch(w.now, "b")
	}
	w.run(3 * time.Second)
	if len(a.changes) != 1 || b.Stats().Active != 1 || len(b.changes) != 0 {
		t.Fatalf("10,000 watchers: %d callbacks; b answers %d, and reports %v", len(a.changes), b.Stats().Active, b.changes)
	}
	if per := float64(a.Stats().Sent) / 30; per > 1.2 {
		t.Fatalf("%v heartbeats in an interval", per)
	}
	for range 10000 {
		if !a.Unwatch(w.now, "b") {
			t.Fatal("Unwatch counts wrongly")
		}
	}
	if a.Unwatch(w.now, "b") || a.Unwatch(w.now, "never seen") {
		t.Fatal("Unwatch of what is not watched")
	}
	w.run(3 * time.Second)
	if a.Next() != Never || b.Next() != Never || a.Stats().Active+b.Stats().Active != 0 {
		t.Fatalf("due at %d and %d: %+v %+v", a.Next(), b.Next(), a.Stats(), b.Stats())
	}
	if v := a.Watch(w.now, "b"); v.State != Unknown || v.Incarnation != 1 {
		t.Fatalf("view %+v", v)
	}
	w.run(20 * time.Millisecond)
	w.expect("a", "b", Up)
}

func TestOwnNode(t *testing.T) {
	w := newWorld(t, 1, "a")
	a := w.node("a")
	v := a.Watch(w.now, "a")
	if v.State != Up || v.Incarnation != 1 || v.Contact != w.now || a.Peer(w.now, "a").State != Up || !a.Unwatch(w.now, "a") {
		t.Fatalf("view %+v", v)
	}
	if a.Next() != Never || !errors.Is(a.Notify(w.now, "a", nil), ErrSelf) {
		t.Fatal("a node talks to itself")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := New(Options{Interval: 1, Bound: time.Hour, Missed: 2, NoticeBytes: 1, OutboxBytes: -1})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"Node", "Incarnation", "Interval", "Bound", "Missed", "NoticeBytes", "OutboxBytes", "Send", "Changed", "Notice is"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is missing in %v", name, err)
		}
	}
	if _, err := New(Options{Interval: time.Second}); err == nil || !strings.Contains(err.Error(), "Missed 5 ×") {
		t.Errorf("Bound below Missed intervals: %v", err)
	}
}

func TestSeedsRepeat(t *testing.T) {
	run := func(seed uint64) uint64 {
		w := newWorld(t, seed, "a", "b", "c", "d")
		w.ordinal = link{max: 300 * ms, loss: 0.3, dup: 0.2}
		w.watchAll()
		for i := range 40 {
			w.run(time.Duration(w.rand.Int64N(1e9)))
			n := w.nodes[w.rand.IntN(len(w.nodes))]
			switch w.rand.IntN(3) {
			case 0:
				for _, to := range w.nodes {
					if to != n {
						_ = n.Notify(w.now, to.id, fmt.Appendf(nil, "%d", i))
					}
				}
			case 1:
				w.freeze(n, time.Duration(w.rand.Int64N(2e9)))
			case 2:
				next := w.start(n.id, n.life+1, nil)
				for _, to := range w.nodes {
					if to != next {
						next.Watch(w.now, to.id)
					}
				}
			}
		}
		return w.hash()
	}
	for seed := range seeds(20) {
		if a, b := run(seed), run(seed); a != b {
			t.Fatalf("seed %d: histories %x and %x", seed, a, b)
		}
	}
	if run(1) == run(2) {
		t.Fatal("two seeds, one history")
	}
}

// TestRun has two loops in real goroutines on a fake clock.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := sched.Real()
		now := world.Now
		ends := map[NodeID]*Detector{}
		ups := make(chan Change, 10)
		for _, id := range []NodeID{"a", "b"} {
			d, err := New(Options{Node: id, Incarnation: 1, Send: func(h *Heartbeat) { ends[h.To].Receive(now(), h) },
				Changed: func(c Change) { ups <- c }, Notice: func(NodeID, uint64, []byte) {}})
			if err != nil {
				t.Fatal(err)
			}
			ends[id] = d
		}
		stopA, stopB := make(chan struct{}), make(chan struct{})
		go ends["a"].Run(world, stopA)
		go ends["b"].Run(world, stopB)
		ends["a"].Watch(now(), "b")
		if c := <-ups; c.Peer != "b" || c.State != Up {
			t.Fatalf("reported %+v", c)
		}
		time.Sleep(10 * time.Second)
		close(stopB)
		at := now()
		if c := <-ups; c.State != Down || now()-at > 1000*ms {
			t.Fatalf("reported %+v after %d", c, now()-at)
		}
		close(stopA)
		synctest.Wait()
	})
}
