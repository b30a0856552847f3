package transport

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// sink is a receiver of production mode. It checks order per sender.
type sink struct {
	t     *testing.T
	mu    sync.Mutex
	got   map[NodeID][]*letter
	event []Event
	hold  chan struct{} // when set, Receive waits for it
}

func (s *sink) Receive(from NodeID, class Class, epoch uint64, m *letter) {
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got[from] = append(s.got[from], m)
}

func (s *sink) Event(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.event = append(s.event, e)
}

func (s *sink) count(from NodeID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got[from])
}

// events returns what was told so far and forgets it.
func (s *sink) events() (kinds []EventKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.event {
		kinds = append(kinds, e.Kind)
	}
	s.event = nil
	return kinds
}

func production(t *testing.T, change func(*Options), ids ...NodeID) (*Network[*letter], map[NodeID]*Endpoint[*letter], map[NodeID]*sink) {
	start := time.Now()
	o := Options{Now: func() int64 { return int64(time.Since(start)) }}
	if change != nil {
		change(&o)
	}
	n, err := New[*letter](o)
	if err != nil {
		t.Fatal(err)
	}
	ends, sinks := map[NodeID]*Endpoint[*letter]{}, map[NodeID]*sink{}
	for _, id := range ids {
		sinks[id] = &sink{t: t, got: map[NodeID][]*letter{}}
		if ends[id], err = n.Join(id, sinks[id]); err != nil {
			t.Fatal(err)
		}
	}
	return n, ends, sinks
}

// TestProductionUnderStress sends between all pairs at once while connections are reset and rules change.
func TestProductionUnderStress(t *testing.T) {
	ids := []NodeID{"a", "b", "c"}
	n, ends, sinks := production(t, nil, ids...)
	const each = 3000
	var wg sync.WaitGroup
	var sent atomic.Int64
	for _, from := range ids {
		for _, to := range ids {
			if from == to {
				continue
			}
			wg.Go(func() {
				for i := range each {
					if err := ends[from].Send(to, Log, &letter{number: i + 1, bytes: 100}); err != nil {
						t.Errorf("send: %v", err)
					}
					sent.Add(1)
				}
			})
		}
	}
	for i := range 50 {
		_ = n.Reset("a", "b")
		_ = n.SetRule("b", "c", Rule{DelayMin: time.Duration(i) * time.Microsecond, DelayMax: 50 * time.Microsecond})
		_ = n.Pause("c")
		runtime.Gosched()
		_ = n.Resume("c")
	}
	wg.Wait()
	for n.Stats().Waiting > 0 {
		runtime.Gosched()
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	s := n.Stats()
	if s.Sent != uint64(sent.Load()) || s.Sent != s.Delivered+s.Stale+s.Cut {
		t.Fatalf("books do not balance: %+v", s)
	}
	got := uint64(0)
	for id, k := range sinks {
		for from, letters := range k.got {
			got += uint64(len(letters))
			for i := 1; i < len(letters); i++ {
				if letters[i].number <= letters[i-1].number {
					t.Fatalf("%s to %s: %d after %d", from, id, letters[i].number, letters[i-1].number)
				}
			}
		}
	}
	if got != s.Delivered {
		t.Fatalf("%d received, %d delivered", got, s.Delivered)
	}
	if c := sinks["c"]; c.count("a") != each || c.count("b") != each {
		t.Fatalf("c received %d and %d of %d over connections that held", c.count("a"), c.count("b"), each)
	}
}

// TestProductionEndsItsGoroutines: those that deliver rest when there is nothing, and deliver again, until the network is
// closed, which leaves none: one that stays is a deadlock of the bubble.
func TestProductionEndsItsGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, ends, sinks := production(t, nil, "a", "b")
		for round := range 3 {
			for range 100 {
				if err := ends["a"].Send("b", Control, &letter{}); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			if got := sinks["b"].count("a"); got != 100*(round+1) {
				t.Fatalf("%d arrived in round %d", got, round)
			}
		}
		_ = n.Close()
	})
}

func TestProductionDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, ends, sinks := production(t, nil, "a", "b")
		if err := n.SetRule("a", "b", Rule{DelayMin: 10 * time.Millisecond, DelayMax: 10 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		if err := ends["a"].Send("b", Control, &letter{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10*time.Millisecond - time.Nanosecond)
		synctest.Wait()
		if sinks["b"].count("a") != 0 {
			t.Fatal("arrived before its time")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if sinks["b"].count("a") != 1 {
			t.Fatal("did not arrive in time")
		}
		// A timer that is set for later gives way to what is due earlier.
		if err := ends["a"].Send("b", Control, &letter{}); err != nil {
			t.Fatal(err)
		}
		if err := n.SetRule("a", "b", Rule{DelayMin: time.Millisecond, DelayMax: time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		if err := ends["a"].Send("b", Log, &letter{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if sinks["b"].count("a") != 2 {
			t.Fatal("the later one holds up the earlier one")
		}
		_ = n.Close()
		time.Sleep(time.Second)
		synctest.Wait()
		if sinks["b"].count("a") != 2 {
			t.Fatal("delivered after Close")
		}
	})
}

// TestProductionBackPressure fills the outbox of a receiver that stands still.
func TestProductionBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, ends, sinks := production(t, func(o *Options) { o.Outbox[Snapshot] = 1024 }, "a", "b")
		sinks["b"].hold = make(chan struct{})
		taken := 0
		var err error
		for ; err == nil; taken++ {
			err = ends["a"].Send("b", Snapshot, &letter{bytes: 100})
			synctest.Wait()
		}
		if !errors.Is(err, ErrFull) || taken != 12 { // the receiver holds one, the outbox ten
			t.Fatalf("%v after %d", err, taken)
		}
		if err := ends["a"].Send("b", Log, &letter{}); err != nil {
			t.Fatalf("another class: %v", err)
		}
		sinks["a"].events()
		close(sinks["b"].hold)
		synctest.Wait()
		if kinds := sinks["a"].events(); len(kinds) != 1 || kinds[0] != Ready {
			t.Fatalf("told %v", kinds)
		}
		if err := ends["a"].Send("b", Snapshot, &letter{bytes: 1025}); !errors.Is(err, ErrTooLarge) {
			t.Fatal(err)
		}
		_ = n.Close()
	})
}

// TestCloseWaitsForCalls closes a node whose receiver is in a call.
func TestCloseWaitsForCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, ends, sinks := production(t, nil, "a", "b")
		sinks["b"].hold = make(chan struct{})
		const sent = 5 * batch
		for range sent {
			if err := ends["a"].Send("b", Log, &letter{}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		var closed atomic.Bool
		go func() {
			_ = ends["b"].Close()
			closed.Store(true)
			sinks["b"].hold = nil // no call comes that would read it
		}()
		synctest.Wait()
		if closed.Load() {
			t.Fatal("Close did not wait for a call")
		}
		close(sinks["b"].hold)
		synctest.Wait()
		if !closed.Load() {
			t.Fatal("Close waits for ever")
		}
		if got := sinks["b"].count("a"); got < 1 || got > batch {
			t.Fatalf("%d calls of %d", got, sent)
		}
		if kinds := sinks["a"].events(); len(kinds) != 2 || kinds[0] != Connected || kinds[1] != Disconnected {
			t.Fatalf("told %v", kinds)
		}
		if err := ends["a"].Send("b", Log, &letter{}); !errors.Is(err, ErrUnreachable) {
			t.Fatal(err)
		}
		if ends["b"].Close() != nil || n.Close() != nil || n.Close() != nil {
			t.Fatal("a second Close fails")
		}
		if _, err := n.Join("b", sinks["b"]); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
	})
}

// TestProductionFlapping has messages that are sent before the flapping begins and meet it on their way.
func TestProductionFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, ends, sinks := production(t, nil, "a", "b")
		send := func() {
			if err := ends["a"].Send("b", Log, &letter{}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		send()
		_ = n.Pause("b")
		send()
		if err := n.Flap([]NodeID{"a"}, []NodeID{"b"}, 3*time.Millisecond, 2*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Millisecond)
		_ = n.Resume("b")
		synctest.Wait()
		if got := sinks["b"].count("a"); got != 1 {
			t.Fatalf("%d arrived; one was due while the link was down", got)
		}
		for i := range 20 {
			before := sinks["b"].count("a")
			_ = ends["a"].Send("b", Log, &letter{})
			synctest.Wait()
			if arrived := sinks["b"].count("a") > before; arrived != ((4+i)%5 < 3) {
				t.Fatalf("at %d ms: arrived %v", 4+i, arrived)
			}
			time.Sleep(time.Millisecond)
		}
		_ = n.Close()
	})
}
