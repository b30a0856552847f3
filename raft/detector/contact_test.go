package detector

import (
	"testing"
	"time"
)

func TestContactIsMadeAtOnce(t *testing.T) {
	w := newWorld(t, 1, "a", "b")
	w.watchAll()
	w.run(10 * time.Millisecond)
	w.expect("a", "b", Up)
	w.expect("b", "a", Up)
	v := w.node("a").Peer(w.now, "b")
	if v.Incarnation != 1 || v.Contact == 0 || v.Contact > w.now {
		t.Fatalf("view %+v", v)
	}
	if rtt, ok := w.node("a").RTT("b"); !ok || rtt < ms || rtt > 2*ms {
		t.Fatalf("round trip %d of links of 0.5 to 1 ms", rtt)
	}
}

// TestDeathIsFoundInTime lets nodes die at drawn moments of drawn histories.
func TestDeathIsFoundInTime(t *testing.T) {
	for seed := range seeds(2000) {
		w := newWorld(t, seed, "a", "b")
		w.ordinal = link{min: 0, max: 1 + w.rand.Int64N(150*ms), loss: 0.1 * w.rand.Float64()}
		w.watchAll()
		w.run(2*time.Second + time.Duration(w.rand.Int64N(3e9)))
		b := w.node("b")
		b.dead = true
		died := w.now
		last := w.node("a").mu.peers["b"].heard.at
		w.run(1400 * time.Millisecond)
		w.expect("a", "b", Down)
		found := w.node("a").since(died, "b")
		down := found[len(found)-1]
		if down.State != Down || down.at > max(died+w.ordinal.max, last)+1000*ms {
			t.Fatalf("seed %d: dead since %d, last heard at %d, reported %+v", seed, died, last, found)
		}
		if down.at < down.Contact+500*ms || down.at < last+250*ms {
			t.Fatalf("seed %d: suspected %d ns after it was heard: %+v", seed, down.at-last, down)
		}
		if v := w.node("a").Peer(w.now, "b"); v.Contact > died {
			t.Fatalf("seed %d: contact at %d after the death at %d", seed, v.Contact, died)
		}
	}
}

// TestJitterIsNoDeath lets no age reach Missed intervals: an echo is at most two intervals and a round trip old.
func TestJitterIsNoDeath(t *testing.T) {
	for seed := range seeds(50) {
		w := newWorld(t, seed, "a", "b", "c")
		w.ordinal = link{max: 145 * ms}
		w.watchAll()
		w.run(60 * time.Second)
		for _, n := range w.nodes {
			if s := n.Stats(); s.Suspected+s.FoundOneWay > 0 {
				t.Fatalf("seed %d: %s: %+v\n%v", seed, n.id, s, w.history)
			}
		}
	}
}

// TestLongLinksAreNoDeath has round trips of up to 400 ms: echoes are older than Missed intervals as a rule.
func TestLongLinksAreNoDeath(t *testing.T) {
	for seed := range seeds(30) {
		w := newWorld(t, seed, "a", "b")
		w.ordinal = link{min: 150 * ms, max: 200 * ms}
		w.watchAll()
		w.run(60 * time.Second)
		if a, b := w.node("a").Stats(), w.node("b").Stats(); a.Suspected+a.FoundOneWay+b.Suspected+b.FoundOneWay > 0 {
			t.Fatalf("seed %d: %v", seed, w.history)
		}
		if rtt, ok := w.node("a").RTT("b"); !ok || rtt < 300*ms || rtt > 400*ms {
			t.Fatalf("seed %d: round trip %d", seed, rtt)
		}
	}
}

// TestLinkThatStallsIsLearned proves that a stall below Bound, seen again and again, is no reason to suspect.
func TestLinkThatStallsIsLearned(t *testing.T) {
	w := newWorld(t, 3, "a", "b")
	w.watchAll()
	suspected := func() uint64 { return w.node("a").Stats().Suspected + w.node("b").Stats().Suspected }
	for range 20 {
		w.run(2 * time.Second)
		w.rule("a", "b", link{cut: true})
		w.rule("b", "a", link{cut: true})
		w.run(600 * time.Millisecond)
		w.links = map[[2]NodeID]*link{}
		if suspected() > 2 {
			t.Fatal("the same stall is taken for a death twice")
		}
	}
	if suspected() == 0 {
		t.Fatal("a stall of 600 ms on a calm link was not noticed")
	}
}

func TestOneWayCutEndsContactOnBothSides(t *testing.T) {
	for seed := range seeds(100) {
		w := newWorld(t, seed, "a", "b")
		w.watchAll()
		w.run(3*time.Second + time.Duration(w.rand.Int64N(1e9)))
		w.rule("a", "b", link{cut: true})
		cut := w.now
		w.run(1010 * time.Millisecond)
		w.expect("a", "b", OneWay)
		w.expect("b", "a", Down)
		if v := w.node("a").Peer(w.now, "b"); v.Contact > cut {
			t.Fatalf("contact at %d after the cut at %d", v.Contact, cut)
		}
		w.run(5 * time.Second)
		w.expect("a", "b", OneWay)
		w.expect("b", "a", Down)
		delete(w.links, [2]NodeID{"a", "b"})
		w.run(250 * time.Millisecond)
		w.expect("a", "b", Up)
		w.expect("b", "a", Up)
		if a, b := w.node("a").since(cut, "b"), w.node("b").since(cut, "a"); len(a) != 2 || len(b) != 2 {
			t.Fatalf("more than an end and a beginning: %+v %+v", a, b)
		}
	}
}

// TestHealedHalfway cuts both directions and heals one.
func TestHealedHalfway(t *testing.T) {
	w := newWorld(t, 1, "a", "b")
	w.watchAll()
	w.run(time.Second)
	w.rule("a", "b", link{cut: true})
	w.rule("b", "a", link{cut: true})
	w.run(3 * time.Second)
	w.expect("a", "b", Down)
	w.expect("b", "a", Down)
	delete(w.links, [2]NodeID{"b", "a"})
	w.run(900 * time.Millisecond)
	w.expect("a", "b", Down)
	w.run(300 * time.Millisecond)
	w.expect("a", "b", OneWay)
	w.expect("b", "a", Down)
}

func TestNewPeerThatNeverAnswers(t *testing.T) {
	w := newWorld(t, 1, "a")
	a := w.node("a")
	if v := a.Watch(w.now, "b"); v.State != Unknown {
		t.Fatalf("state %v before anything is known", v.State)
	}
	w.run(time.Second - 1)
	w.expect("a", "b", Unknown)
	w.run(1)
	w.expect("a", "b", Down)
	if c := a.changes; len(c) != 1 || c[0].Contact != 0 || c[0].Was != Unknown {
		t.Fatalf("reported %+v", c)
	}
}

func TestRestartIsSeen(t *testing.T) {
	w := newWorld(t, 1, "a", "b")
	w.watchAll()
	w.run(time.Second)
	w.start("b", 2, nil).Watch(w.now, "a")
	at := w.now
	w.run(20 * time.Millisecond)
	found := w.node("a").since(at, "b")
	if len(found) != 2 || !found[0].Restarted || found[0].Previous != 1 || found[0].Incarnation != 2 ||
		found[0].Was != Up || found[0].State != Unknown || found[0].Contact == 0 ||
		found[1].State != Up || found[1].Incarnation != 2 || found[1].Restarted {
		t.Fatalf("reported %+v", found)
	}
	if found[0].Version >= found[1].Version {
		t.Fatal("versions do not rise")
	}
}

// TestOldLifeIsIgnored brings a heartbeat of the life before, and one that was overtaken.
func TestOldLifeIsIgnored(t *testing.T) {
	w := newWorld(t, 1, "a", "b")
	w.watchAll()
	w.run(1050 * time.Millisecond)
	a := w.node("a")
	before, stats := a.Peer(w.now, "b"), a.Stats()
	a.Receive(w.now, &Heartbeat{From: "b", To: "a", Incarnation: 1, Seq: 1, Answer: true})
	w.start("b", 5, nil).Watch(w.now, "a")
	w.run(time.Second)
	a.Receive(w.now, &Heartbeat{From: "b", To: "a", Incarnation: 4, Seq: 1 << 40, Answer: true})
	a.Receive(w.now, &Heartbeat{From: "b", To: "c", Incarnation: 9, Seq: 1, Answer: true})
	a.Receive(w.now, &Heartbeat{To: "a", Incarnation: 9, Seq: 1, Answer: true})
	a.Receive(w.now, &Heartbeat{From: "a", To: "a", Incarnation: 9, Seq: 1, Answer: true})
	a.Receive(w.now, &Heartbeat{From: "b", To: "a", Seq: 1, Answer: true})
	if v := a.Peer(w.now, "b"); v.State != Up || v.Incarnation != 5 || before.Incarnation != 1 {
		t.Fatalf("view %+v", v)
	}
	if s := a.Stats(); s.Stale != stats.Stale+2 || s.Misaddressed != 4 || s.Restarts != 1 {
		t.Fatalf("stats %+v", s)
	}
}

// TestForgedEchoIsNoContact brings echoes of what was never sent, and of another life of this node.
func TestForgedEchoIsNoContact(t *testing.T) {
	w := newWorld(t, 1, "a")
	a := w.node("a")
	a.Watch(w.now, "b")
	w.run(300 * time.Millisecond)
	sent := a.mu.peers["b"].seq
	for i, h := range []Heartbeat{
		{PeerIncarnation: 1, Echo: sent + 1, EchoStamp: w.now},
		{PeerIncarnation: 1, Echo: sent, EchoStamp: w.now + 1},
		{PeerIncarnation: 2, Echo: sent, EchoStamp: w.now},
		{PeerIncarnation: 1},
		{PeerIncarnation: 1, Echo: sent, EchoStamp: w.now - 1000*ms},
	} {
		h.From, h.To, h.Incarnation, h.Seq = "b", "a", 1, uint64(i+1)
		a.Receive(w.now, &h)
		if s := w.state("a", "b"); s != Unknown {
			t.Fatalf("%v after %+v", s, h)
		}
	}
	a.Receive(w.now, &Heartbeat{From: "b", To: "a", Incarnation: 1, Seq: 9, PeerIncarnation: 1, Echo: sent, EchoStamp: w.now})
	if s := w.state("a", "b"); s != Unknown {
		t.Fatal("the same echo proves twice")
	}
	a.Step(w.now)
	w.run(200 * time.Millisecond)
	sent = a.mu.peers["b"].seq
	a.Receive(w.now, &Heartbeat{From: "b", To: "a", Incarnation: 1, Seq: 10, PeerIncarnation: 1, Echo: sent, EchoStamp: w.now})
	if s := w.state("a", "b"); s != Up {
		t.Fatalf("%v after a true echo", s)
	}
}
