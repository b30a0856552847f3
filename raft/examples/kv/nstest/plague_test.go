//go:build linux

package nstest

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// tally is how often a nemesis was there, and how often it had an effect: one of two at once suffices.
type tally struct{ acts, effects int }

// lockedSource lets nemeses that act at the same time draw numbers.
type lockedSource struct {
	mu     sync.Mutex
	source rand.Source
}

// Uint64 implements rand.Source.
func (s *lockedSource) Uint64() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.source.Uint64()
}

// plague lets nemeses act in turn, in an order that changes from round to round, and both time and one round must have passed.
func (w *world) plague(length time.Duration) {
	began := time.Now()
	for round := 0; round == 0 || time.Since(began) < length; round++ {
		for _, i := range w.rand.Perm(len(nemeses) + 1) {
			if round > 0 && time.Since(began) >= length {
				return
			}
			if i < len(nemeses) {
				w.act(nemeses[i].name, nemeses[i])
				continue
			}
			w.act(combined, w.two()...)
		}
	}
}

// two draws nemeses of two kinds. What is done to a process comes last: the other one may ask the node for its figures before.
func (w *world) two() []nemesis {
	p := w.rand.Perm(len(nemeses))
	first, second := nemeses[p[0]], nemeses[p[slices.IndexFunc(p, func(i int) bool { return nemeses[i].kind != nemeses[p[0]].kind })]]
	if first.kind == process {
		first, second = second, first
	}
	return []nemesis{first, second}
}

// act lets nemeses act at the same time, and then waits until the cluster is well again.
func (w *world) act(name string, all ...nemesis) {
	began := w.since()
	var strikes []strike
	var names []string
	hold := time.Duration(0)
	for _, n := range all {
		s := n.do(w)
		strikes, names, hold = append(strikes, s), append(names, n.name), max(hold, s.hold)
	}
	until := time.After(hold)
	var going sync.WaitGroup
	for _, s := range strikes {
		if s.goOn != nil {
			going.Go(s.goOn)
		}
	}
	if check := strikes[0].check; check != nil && len(strikes) == 1 {
		check()
	}
	going.Wait()
	<-until
	for _, s := range strikes {
		s.heal()
	}
	effect := slices.ContainsFunc(strikes, func(s strike) bool { return s.effect() })
	x := w.tally[name]
	if x == nil {
		x = &tally{}
		w.tally[name] = x
	}
	x.acts++
	if effect {
		x.effects++
	}
	healed := w.since()
	what := strings.Join(names, " and ")
	w.recovered(what)
	w.slowest = max(w.slowest, w.since()-healed)
	w.t.Logf("%8s  %-55s %6s, well again after %5s; %d answers", began, what, healed-began, w.since()-healed, w.record.acked.Load())
}

// verdict judges what clients and watches have seen, and prints what there was.
func (w *world) verdict() {
	found, unseen, wrong := audit(w.record, w.chronicle, w.watchers)
	for _, x := range wrong[:min(len(wrong), 50)] {
		w.t.Error(x)
	}
	undecided := w.judge()
	for _, n := range append(slices.Clone(nemeses), nemesis{name: combined}) {
		x := w.tally[n.name]
		if x == nil || x.effects == 0 {
			w.t.Errorf("nemesis %q had no effect", n.name)
			continue
		}
		w.t.Logf("%-35s %3d times, with effect %3d", n.name, x.acts, x.effects)
	}
	keys := len(w.record.keys)
	if undecided*100 > keys {
		w.t.Errorf("%d of %d keys are undecided", undecided, keys)
	}
	gaps := 0
	for _, x := range w.watchers {
		gaps += len(x.gaps)
	}
	w.t.Logf("%d operations acknowledged, %d without an answer, %d writes refused; %d keys, undecided %d",
		w.record.acked.Load(), w.record.lost, len(w.record.refused), keys, undecided)
	w.t.Logf("watches: %d events, %d acknowledged writes found, %d where no watch was, %d gaps", w.chronicle.events, found, unseen, gaps)
	if found == 0 || unseen > found/10 {
		w.t.Errorf("watches have seen too little: %d writes, not %d", found, unseen)
	}
	w.t.Logf("slowest recovery %s, one-way cuts seen by both sides after %s", w.slowest, fmt.Sprint(w.detections))
}

// judge has porcupine judge each key, and returns how many it leaves undecided.
func (w *world) judge() (undecided int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	room := make(chan struct{}, runtime.GOMAXPROCS(0))
	for key, list := range w.record.keys {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			result := judgeKey(list, 20*time.Second)
			mu.Lock()
			defer mu.Unlock()
			switch result {
			case porcupine.Illegal:
				w.t.Errorf("%s: no order explains this history:\n%s", key, describe(list))
			case porcupine.Unknown:
				undecided++
			}
		})
	}
	all.Wait()
	return undecided
}
