package transport

import (
	"errors"
	"strconv"
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
	sorted, last := true, 0
	for _, line := range w.history {
		if f := strings.Fields(line); f[3] == "snapshot" {
			number, err := strconv.Atoi(f[5][1:])
			if err != nil {
				t.Fatal(err)
			}
			sorted = sorted && number > last
			last = number
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
	for _, r := range []Rule{{Loss: -0.1}, {Duplicate: 1.1}, {Reorder: 2}, {DelayMin: -1}, {DelayMin: 2, DelayMax: 1}, {BytesPerSecond: -1}} {
		if w.net.SetRule("a", "b", r) == nil || w.net.SetRules(r) == nil {
			t.Errorf("accepted %+v", r)
		}
	}
	if w.net.Flap([]NodeID{"a"}, []NodeID{"b"}, 0, 1) == nil {
		t.Error("accepted flapping that is never up")
	}
}

// TestReorderAtOnce overtakes where no delay tells messages apart.
func TestReorderAtOnce(t *testing.T) {
	w := newWorld(t, 1, 2, 1024)
	w.relaxed = true
	if err := w.net.SetRule("a", "b", Rule{Reorder: 1}); err != nil {
		t.Fatal(err)
	}
	w.must("a", "b", 3)
	w.run(0)
	if got := w.got("b", "a"); got != 1 {
		t.Fatalf("the last of three to arrive is %d", got)
	}
}

// TestBytesPerSecond sends over a link that takes one byte a millisecond: letters come one after the other, whatever their class, but for
// those of Control, which wait for nobody and hold up the others. The outbox is full meanwhile, and has room later.
func TestBytesPerSecond(t *testing.T) {
	w := newWorld(t, 1, 2, 1024)
	if err := w.net.SetRules(Rule{BytesPerSecond: 1000, DelayMin: time.Millisecond, DelayMax: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	w.must("a", "b", 102) // of ten bytes
	if err := w.send("a", "b", Log, 10); !errors.Is(err, ErrFull) {
		t.Fatalf("the outbox takes 1030 bytes: %v", err)
	}
	w.run(100 * ms)
	if got := w.got("b", "a"); got != 9 { // the last byte of the tenth is on its way
		t.Fatalf("%d have come in 100 ms", got)
	}
	for _, class := range []Class{Control, Snapshot} {
		if err := w.send("a", "b", class, 20); err != nil {
			t.Fatal(class, err)
		}
	}
	has := func(log, control, snapshot int) {
		t.Helper()
		if got := w.host("b").peers["a"].last; got != [Classes]int{Log: log, Control: control, Snapshot: snapshot} {
			t.Fatalf("after %d ms it has %v", (w.now-1e9)/ms, got)
		}
	}
	w.run(20 * ms)
	has(11, 0, 0)
	w.run(ms)
	has(12, 1, 0)
	w.run(939 * ms) // Log has taken 1020 ms of the wire, Control 20
	has(102, 1, 0)
	w.run(ms)
	has(102, 1, 1)
	if err := w.send("a", "b", Log, 10); err != nil {
		t.Fatal(err)
	}
}

// TestGapEndsTheEpoch cuts a link while one message arrives and heals it before the next one does.
func TestGapEndsTheEpoch(t *testing.T) {
	w := newWorld(t, 1, 2, 1024)
	for i := range 3 {
		d := time.Duration(i) * time.Millisecond
		if err := w.net.SetRule("a", "b", Rule{DelayMin: d, DelayMax: d}); err != nil {
			t.Fatal(err)
		}
		w.must("a", "b", 1)
	}
	w.run(ms / 2)
	w.cut("a", "b")
	w.run(ms)
	w.heal()
	w.run(ms)
	if got := w.got("b", "a"); got != 1 {
		t.Fatalf("%d arrived, 2 was lost", got)
	}
	w.must("a", "b", 1)
	w.run(3 * ms)
	if e, _ := w.epoch("b", "a"); e != 2 || w.got("b", "a") != 4 {
		t.Fatalf("epoch %d, got %d", e, w.got("b", "a"))
	}
}

// TestEpochsDoNotWaitForEachOther has a slow message of one epoch and a quick one of the next.
func TestEpochsDoNotWaitForEachOther(t *testing.T) {
	w := newWorld(t, 1, 2, 1024)
	if err := w.net.SetRules(Rule{DelayMin: time.Second, DelayMax: time.Second}); err != nil {
		t.Fatal(err)
	}
	w.must("a", "b", 1)
	if err := w.net.SetRules(Rule{}); err != nil {
		t.Fatal(err)
	}
	_ = w.net.Reset("a", "b")
	w.must("a", "b", 1)
	w.run(0)
	if w.got("b", "a") != 2 {
		t.Fatal("the second epoch waits for the first")
	}
	w.run(2000 * ms)
	if w.got("b", "a") != 2 {
		t.Fatal("a message of the first epoch has arrived after one of the second")
	}
}

// TestSeedDrawsWhoIsNext has many that are due at the same time.
func TestSeedDrawsWhoIsNext(t *testing.T) {
	seen := map[uint64]bool{}
	for seed := range uint64(10) {
		w := newWorld(t, seed, 5, 1024)
		for _, h := range w.hosts[1:] {
			w.must(h.id, "a", 2)
		}
		w.run(0)
		seen[w.hash()] = true
	}
	if len(seen) < 8 {
		t.Fatalf("10 seeds, %d histories", len(seen))
	}
}

func TestQueueStaysSmall(t *testing.T) {
	var q queue[*letter]
	for i := range 10000 {
		q.push(item[*letter]{at: int64(i)}, false)
		if i >= 10 {
			if it := q.pop(); it.at != int64(i-10) {
				t.Fatalf("popped %d after %d", it.at, i-11)
			}
		}
		if cap(q.items) > 64 {
			t.Fatalf("room for %d items, 10 of them held", cap(q.items))
		}
	}
}
