package transport

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func (w *world) got(at, from NodeID) int {
	if s := w.host(at).peers[from]; s != nil {
		return s.last[Log]
	}
	return 0
}

func (w *world) epoch(at, from NodeID) (uint64, bool) {
	if s := w.host(at).peers[from]; s != nil {
		return s.epoch, s.up
	}
	return 0, false
}

func TestFirstMessageConnects(t *testing.T) {
	w := newWorld(t, 1, 2, 1024)
	w.must("a", "b", 1)
	w.run(ms)
	for _, end := range []NodeID{"ab", "ba"} {
		if e, up := w.epoch(end[:1], end[1:]); e != 1 || !up {
			t.Fatalf("%s: epoch %d, up %v", end, e, up)
		}
	}
	if _, ok := w.net.Next(); ok || w.net.Step() {
		t.Fatal("an idle network is due")
	}
}

func TestResetBeginsAnEpoch(t *testing.T) {
	w := newWorld(t, 1, 2, 1024)
	w.must("a", "b", 3)
	w.run(ms)
	if err := w.net.Reset("b", "a"); err != nil {
		t.Fatal(err)
	}
	w.run(ms)
	if _, up := w.epoch("a", "b"); up {
		t.Fatal("a was not told of the end")
	}
	w.must("a", "b", 1)
	w.run(ms)
	if e, up := w.epoch("b", "a"); e != 2 || !up || w.got("b", "a") != 4 {
		t.Fatalf("epoch %d, up %v, got %d", e, up, w.got("b", "a"))
	}
}

// TestCutOneWay loses one direction, keeps the other, and ends the connection once it is healed.
func TestCutOneWay(t *testing.T) {
	w := newWorld(t, 1, 2, 1024)
	w.must("a", "b", 1)
	w.run(ms)
	w.cut("a", "b")
	w.must("a", "b", 5)
	w.must("b", "a", 2)
	w.run(ms)
	if w.got("b", "a") != 1 || w.got("a", "b") != 2 {
		t.Fatalf("got %d and %d", w.got("b", "a"), w.got("a", "b"))
	}
	w.heal()
	w.must("b", "a", 1)
	w.run(ms)
	if e, _ := w.epoch("a", "b"); e != 1 {
		t.Fatal("the direction that lost nothing ends the connection")
	}
	w.must("a", "b", 1)
	w.run(ms)
	if e, _ := w.epoch("b", "a"); e != 2 || w.got("b", "a") != 7 {
		t.Fatalf("epoch %d, got %d", e, w.got("b", "a"))
	}
}

// TestShortCutThatLosesNothing keeps the connection.
func TestShortCutThatLosesNothing(t *testing.T) {
	w := newWorld(t, 1, 2, 1024)
	w.must("a", "b", 1)
	w.run(ms)
	w.cut("a", "b")
	w.run(ms)
	w.heal()
	w.must("a", "b", 1)
	w.run(ms)
	if e, _ := w.epoch("b", "a"); e != 1 {
		t.Fatalf("epoch %d", e)
	}
}

func TestNoConnectionAcrossACut(t *testing.T) {
	w := newWorld(t, 1, 2, 1024)
	w.cut("b", "a")
	if err := w.send("a", "b", Log, 1); !errors.Is(err, ErrUnreachable) {
		t.Fatalf("connected though answers cannot come: %v", err)
	}
	w.heal()
	w.must("a", "b", 1)
}

// TestBridge has c between {a, b} and {d, e}.
func TestBridge(t *testing.T) {
	w := newWorld(t, 1, 5, 1024)
	if err := w.net.Partition([]NodeID{"a", "b"}, []NodeID{"d", "e"}); err != nil {
		t.Fatal(err)
	}
	side := map[NodeID]int{"a": 1, "b": 1, "d": 2, "e": 2}
	for _, from := range w.hosts {
		for _, to := range w.hosts {
			if from == to {
				continue
			}
			err := w.send(from.id, to.id, Log, 1)
			if apart := side[from.id]+side[to.id] == 3 && from.id != "c" && to.id != "c"; apart != (err != nil) {
				t.Fatalf("%s to %s: %v", from.id, to.id, err)
			}
		}
	}
	w.run(ms)
	if s := w.net.Stats(); s.Delivered != 12 || s.Refused != 8 {
		t.Fatalf("%+v", s)
	}
}

func TestFlapping(t *testing.T) {
	w := newWorld(t, 1, 2, 1024)
	start := w.now
	if err := w.net.Flap([]NodeID{"a"}, []NodeID{"b"}, 3*time.Millisecond, 2*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		down := (w.now-start)%(5*ms) >= 3*ms
		got := w.got("b", "a")
		_ = w.send("a", "b", Log, 1)
		w.run(0)
		if arrived := w.got("b", "a") > got; arrived == down {
			t.Fatalf("after %d ns: arrived %v", w.now-start, arrived)
		}
		w.run(ms / 2)
	}
}

func TestPauseHoldsWhatIsSent(t *testing.T) {
	w := newWorld(t, 1, 2, 1024)
	w.must("a", "b", 1)
	w.run(ms)
	if err := w.net.Pause("b"); err != nil {
		t.Fatal(err)
	}
	w.must("a", "b", 102)
	if err := w.send("a", "b", Log, 10); !errors.Is(err, ErrFull) {
		t.Fatalf("the outbox of a paused node: %v", err)
	}
	w.run(1000 * ms)
	if w.got("b", "a") != 1 {
		t.Fatal("delivered to a paused node")
	}
	// However often the connection is reset, no more than two epochs wait.
	for range 20 {
		_ = w.net.Reset("a", "b")
		w.must("a", "b", 5)
	}
	if s := w.net.Stats(); s.Waiting > 20 {
		t.Fatalf("%d items wait", s.Waiting)
	}
	if err := w.net.Resume("b"); err != nil {
		t.Fatal(err)
	}
	w.run(ms)
	if w.got("b", "a") != 203 || len(w.host("a").wants) != 0 {
		t.Fatalf("got %d, wants %v", w.got("b", "a"), w.host("a").wants)
	}
}

// TestPowerLoss abandons a node: the peer learns nothing until the node is back.
func TestPowerLoss(t *testing.T) {
	w := newWorld(t, 1, 2, 1024)
	w.must("a", "b", 1)
	w.run(ms)
	w.leave(w.host("b"), false)
	w.must("a", "b", 5)
	w.run(ms)
	if e, up := w.epoch("a", "b"); e != 1 || !up {
		t.Fatalf("a was told: epoch %d, up %v", e, up)
	}
	w.host("b").join()
	w.must("a", "b", 1)
	w.run(ms)
	if e, up := w.epoch("a", "b"); e != 2 || !up || w.got("b", "a") != 7 {
		t.Fatalf("epoch %d, up %v, got %d", e, up, w.got("b", "a"))
	}
	w.leave(w.host("b"), true)
	w.run(ms)
	if _, up := w.epoch("a", "b"); up {
		t.Fatal("a was not told of the close")
	}
}

// TestRulesApplyToTheirClass gives each class another rule.
func TestRulesApplyToTheirClass(t *testing.T) {
	w := newWorld(t, 1, 2, 1<<20)
	w.relaxed = true
	for c, r := range map[Class]Rule{Control: {Loss: 1}, Log: {Duplicate: 1},
		Snapshot: {Reorder: 1, DelayMax: 10 * time.Millisecond}} {
		if err := w.net.SetRule("a", "b", r, c); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		for _, c := range classes {
			_ = w.send("a", "b", c, 1)
		}
	}
	w.run(20 * ms)
	got := map[string]int{}
	for _, line := range w.history {
		if strings.Contains(line, " b: a ") {
			got[strings.Fields(line)[3]]++
		}
	}
	if got["control"] != 0 || got["log"] != 200 || got["snapshot"] != 100 {
		t.Fatalf("arrived %v", got)
	}
	sorted, last := true, ""
	for _, line := range w.history {
		if f := strings.Fields(line); f[3] == "snapshot" {
			sorted = sorted && len(f[5]) >= len(last) && f[5] >= last
			last = f[5]
		}
	}
	if sorted {
		t.Fatal("nothing was reordered")
	}
}

func TestBadInput(t *testing.T) {
	_, err := New[*letter](Options{Outbox: [Classes]int{1, -1, 1 << 40}})
	for _, part := range []string{"Now", "control 1 ", "log -1", "snapshot 1099511627776"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in %v", part, err)
		}
	}
	w := newWorld(t, 1, 2, 1024)
	end := w.host("a").end
	for _, c := range []struct{ got, want error }{
		{end.Send("b", 3, &letter{}), ErrClass},
		{end.Send("nobody", Log, &letter{}), ErrUnreachable},
		{end.Send("a", Log, &letter{}), ErrUnreachable},
		{end.Send("b", Log, &letter{bytes: 1025}), ErrTooLarge},
		{w.net.SetRule("a", "b", Rule{}, 3), ErrClass},
		{w.net.SetRule("a", "a", Rule{}), ErrNode},
		{w.net.Cut([]NodeID{"a"}, []NodeID{""}), ErrNode},
		{w.net.Reset("", "a"), ErrNode},
		{w.net.Pause(""), ErrNode},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%v instead of %v", c.got, c.want)
		}
	}
	if _, err := w.net.Join("a", &face{}); !errors.Is(err, ErrJoined) {
		t.Error(err)
	}
	if _, err := w.net.Join("", &face{}); !errors.Is(err, ErrNode) {
		t.Error(err)
	}
	for _, r := range []Rule{{Loss: -0.1}, {Duplicate: 1.1}, {Reorder: 2}, {DelayMin: -1}, {DelayMin: 2, DelayMax: 1}} {
		if w.net.SetRule("a", "b", r) == nil || w.net.SetRules(r) == nil {
			t.Errorf("accepted %+v", r)
		}
	}
	if w.net.Flap([]NodeID{"a"}, []NodeID{"b"}, 0, 1) == nil {
		t.Error("accepted flapping that is never up")
	}
}
