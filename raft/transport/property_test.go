package transport

import (
	"errors"
	"testing"
	"time"
)

var classes = []Class{Control, Log, Snapshot}

// trouble does one drawn thing to the network.
func (w *world) trouble(rules bool) {
	a := w.hosts[w.random.IntN(len(w.hosts))]
	b := w.hosts[w.random.IntN(len(w.hosts))]
	switch w.random.IntN(12) {
	case 0, 1:
		if a != b {
			w.cut(a.id, b.id)
		}
	case 2, 3:
		w.heal()
	case 4:
		if a != b && w.net.Reset(a.id, b.id) != nil {
			w.fail("no reset")
		}
	case 5:
		w.leave(a, true)
	case 6:
		w.leave(a, false)
	case 7, 8:
		for _, h := range w.hosts {
			if h.end == nil {
				h.join()
			}
		}
	case 9:
		_ = w.net.Pause(a.id)
	case 10:
		for _, h := range w.hosts {
			_ = w.net.Resume(h.id)
		}
	case 11:
		if rules && a != b {
			r := Rule{DelayMin: time.Duration(w.random.Int64N(ms)), Loss: 0.2, Duplicate: 0.2, Reorder: 0.3}
			r.DelayMax = r.DelayMin + time.Duration(w.random.Int64N(20*ms))
			if err := w.net.SetRule(a.id, b.id, r, classes[w.random.IntN(3)]); err != nil {
				w.fail("%v", err)
			}
		}
	}
}

func (w *world) leave(h *host, tell bool) {
	end := h.end
	if end == nil {
		return
	}
	h.end = nil
	if tell {
		_ = end.Close()
	} else {
		end.Abandon()
	}
	if err := end.Send("a", Log, &letter{}); !errors.Is(err, ErrClosed) {
		w.fail("a closed endpoint sends: %v", err)
	}
}

// history runs a drawn workload under drawn troubles, then heals all.
func history(t *testing.T, seed uint64, rules bool) *world {
	w := newWorld(t, seed, 4, 2000)
	w.relaxed = rules
	if err := w.net.SetRules(Rule{DelayMin: time.Duration(w.random.Int64N(ms)), DelayMax: time.Duration(ms + w.random.Int64N(5*ms))}); err != nil {
		t.Fatal(err)
	}
	for range 600 {
		if w.random.IntN(10) == 0 {
			w.trouble(rules)
		}
		from, to := w.hosts[w.random.IntN(4)], w.hosts[w.random.IntN(4)]
		if from != to && from.end != nil {
			for range 1 + w.random.IntN(5) {
				_ = w.send(from.id, to.id, classes[w.random.IntN(3)], w.random.IntN(2200)) // each error is met
			}
		}
		if w.random.IntN(2) == 0 {
			w.run(w.random.Int64N(4 * ms))
		}
	}
	w.heal()
	for _, h := range w.hosts {
		_ = w.net.Resume(h.id)
		if h.end == nil {
			h.join()
		}
	}
	if err := w.net.SetRules(Rule{}); err != nil {
		t.Fatal(err)
	}
	w.run(1000 * ms)
	return w
}

// settle proves that after all is healed everybody reaches everybody, and that nothing is lost from the books.
func (w *world) settle(t *testing.T) Stats {
	for _, from := range w.hosts {
		for _, to := range w.hosts {
			if from == to {
				continue
			}
			if err := w.send(from.id, to.id, Log, 1); err != nil {
				t.Fatal(err)
			}
			w.run(ms)
			if s := to.peers[from.id]; s == nil || !s.up || s.last[Log] != w.numbers[from.id+to.id+"log"] {
				w.fail("%s does not reach %s: %+v", from.id, to.id, s)
			}
		}
	}
	for _, h := range w.hosts {
		if len(h.wants) > 0 {
			w.fail("%s was refused %v and never told that it may go on", h.id, h.wants)
		}
	}
	s := w.net.Stats()
	if s.Waiting != 0 || s.WaitingBytes != 0 || s.Sent+s.Duplicated != s.Delivered+s.Lost+s.Cut+s.Stale {
		w.fail("books do not balance: %+v", s)
	}
	return s
}

func TestPromisesHoldInTrouble(t *testing.T) {
	var sum Stats
	for seed := range seeds(1000) {
		w := history(t, seed, false)
		s := w.settle(t)
		sum.add(&s)
	}
	if sum.Refused == 0 || sum.Cut == 0 || sum.Stale == 0 || sum.Delivered < sum.Sent/10 || sum.Lost+sum.Duplicated != 0 {
		t.Fatalf("the troubles were none: %+v", sum)
	}
}

func TestEpochsHoldUnderRules(t *testing.T) {
	var sum Stats
	for seed := range seeds(300) {
		w := history(t, seed, true)
		s := w.settle(t)
		sum.add(&s)
	}
	if sum.Lost == 0 || sum.Duplicated == 0 {
		t.Fatalf("the rules did nothing: %+v", sum)
	}
}

func TestSeedsRepeat(t *testing.T) {
	for seed := range seeds(20) {
		if a, b := history(t, seed, true).hash(), history(t, seed, true).hash(); a != b {
			t.Fatalf("seed %d: histories %x and %x", seed, a, b)
		}
	}
	if history(t, 1, true).hash() == history(t, 2, true).hash() {
		t.Fatal("two seeds, one history")
	}
}

// seeds is how many a test tries, fewer under -short.
func seeds(count uint64) uint64 {
	if testing.Short() {
		return max(count/10, 10)
	}
	return count
}
