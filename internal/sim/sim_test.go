package sim

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	seeds = flag.Int("seeds", 0, "how many worlds to go through, 0 for 20, or 4 with -short")
	from  = flag.Uint64("from", 1, "the seed of the first of them")
	show  = flag.Bool("trace", false, "print the whole trace of every world")
	first = flag.Bool("first", false, "begin no other world once one has failed")
)

// live goes through the world of a seed and fails the test with the trace if something went wrong.
func live(t testing.TB, seed uint64) *world {
	t.Helper()
	w := newWorld(seed)
	if *show {
		w.watch = func(line string) { fmt.Println(line) }
	}
	w.run()
	if w.failure != "" {
		t.Fatal(w.report(w.failure))
	}
	judge(t, w)
	return w
}

// report is a failure with what led to it.
func (w *world) report(failure string) string {
	return fmt.Sprintf("%s\nseed %d: %s\nreplay: go test ./internal/sim -run TestSeeds -seeds 1 -from %d", w.trace(), w.seed, failure, w.seed)
}

// TestSeeds goes through the worlds that the flags name, and counts what happened in them.
func TestSeeds(t *testing.T) {
	var mu sync.Mutex
	var failed atomic.Bool
	seen := make(map[string]int)
	t.Run("worlds", func(t *testing.T) {
		for k := range worlds() {
			seed := *from + uint64(k)
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel() // a world knows nothing of the others
				if *first && failed.Load() {
					return
				}
				defer func() { failed.Store(failed.Load() || t.Failed()) }()
				w := live(t, seed)
				if worlds() <= few {
					t.Logf("%d nodes, %d clusters, %d steps, %.1f s, %d proposals, %d faults, hash %016x",
						len(w.nodes), len(w.clusters), w.steps, float64(w.now)/1e9, w.acked, w.faults, w.hash)
				}
				mu.Lock()
				defer mu.Unlock()
				for what, n := range w.seen {
					seen[what] += n
				}
			})
		}
	})
	for _, what := range slices.Sorted(maps.Keys(seen)) {
		t.Logf("%6d %s", seen[what], what)
	}
	if never := missing(seen); len(never) > 0 && worlds() >= enoughSeeds && !t.Failed() {
		t.Errorf("in %d worlds nobody has seen: %v", worlds(), never)
	}
}

// worlds is how many to go through: what the flag says, else some, and fewer where they are slow.
func worlds() int {
	switch {
	case *seeds > 0:
		return *seeds
	case testing.Short():
		return 4
	}
	return 20
}

// TestReplay has the same seeds give the same histories, event by event.
func TestReplay(t *testing.T) {
	count := 20
	if testing.Short() {
		count = 4
	}
	all := uint64(0)
	for seed := range uint64(count) {
		a, b := live(t, seed), live(t, seed)
		if a.hash != b.hash || a.steps != b.steps {
			t.Errorf("seed %d: %d steps, hash %x, and then %d, %x", seed, a.steps, a.hash, b.steps, b.hash)
		}
		all = all*31 + a.hash
	}
	t.Logf("%d histories: %016x", count, all) // .ci/run compares it with that under the race detector
}

// expected is what has to happen in some of a few hundred worlds, or they would show nothing of it.
var expected = []string{
	"ambush: receives", "ambush: votes", "ambush: stands", "ambush: leads", "ambush: cuts", "ambush: changes",
	"commit failed", "conflict truncation", "damage found by recovery", "damage: write-ahead log", "damage: segment", "damage: snapshot",
	"election by request", "healed damage", "install", "interrupted install", "machine version",
	"member added", "member removed", "overwritten configuration", "pipeline", "power cut on a copy", "recovery", "second recovery", "session",
	"transfer",
	"state recovered", "state follower", "state pre-vote", "state candidate", "state leader", "state waiting",
	"state receiving a snapshot",
}

// few is up to how many worlds each has a line of its own.
const few = 100

// enoughSeeds is from how many worlds on everything that is expected has happened in one. The rarest, an
// ambush of one that cuts its log, happens twice in a hundred.
const enoughSeeds = 800

// missing returns what is expected and has not happened.
func missing(seen map[string]int) (list []string) {
	for _, f := range faults {
		if seen[f.name] == 0 {
			list = append(list, f.name)
		}
	}
	for _, what := range expected {
		if seen[what] == 0 {
			list = append(list, what)
		}
	}
	return list
}
