package sim

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
)

var (
	seeds = flag.Int("seeds", 20, "how many worlds to go through")
	from  = flag.Uint64("from", 1, "the seed of the first of them")
	show  = flag.Bool("trace", false, "print the whole trace of every world")
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

// TestSeeds goes through the worlds that the flags name.
func TestSeeds(t *testing.T) {
	seen := make(map[string]int)
	for seed := *from; seed < *from+uint64(*seeds); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := live(t, seed)
			for what, n := range w.seen {
				seen[what] += n
			}
			t.Logf("%d nodes, %d clusters, %d steps, %.1f s, %d proposals, %d faults, hash %016x",
				len(w.nodes), len(w.clusters), w.steps, float64(w.now)/1e9, w.acked, w.faults, w.hash)
		})
	}
	for _, what := range slices.Sorted(maps.Keys(seen)) {
		t.Logf("%6d %s", seen[what], what)
	}
}

// TestReplay has the same seeds give the same histories, event by event.
func TestReplay(t *testing.T) {
	count := 20
	if testing.Short() {
		count = 4
	}
	for seed := range uint64(count) {
		if a, b := live(t, seed), live(t, seed); a.hash != b.hash || a.steps != b.steps {
			t.Errorf("seed %d: %d steps, hash %x, and then %d, %x", seed, a.steps, a.hash, b.steps, b.hash)
		}
	}
}
