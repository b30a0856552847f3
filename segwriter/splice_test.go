package segwriter_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/segwriter"
)

// Whatever befell the list meanwhile, the spliced one promises the same indexes in the same
// order, of the group those that were copied, and nothing that was cut or pruned.
func TestSplice(t *testing.T) {
	refused, dropped := 0, 0
	for seed := range uint64(5000) {
		rng := rand.New(rand.NewPCG(seed, 7))
		list := randomList(rng, 60)
		from := rng.IntN(len(list) - 1)
		to := from + 1 + rng.IntN(len(list)-1-from)
		group := slices.Clone(list[from:to])
		made := raftlog.Segment{Number: 1000, Bytes: 8192, Entries: 3}
		if rng.IntN(4) > 0 { // what is kept of the group lies within
			first := group[0].Range.First + raftlog.Index(rng.IntN(4))
			made.Range = raftlog.Range{First: first, Last: max(first, group[len(group)-1].Range.Last-raftlog.Index(rng.IntN(4)))}
		}
		now := slices.Clone(list)
		if rng.IntN(2) == 0 {
			now = now[rng.IntN(len(now)):] // pruned
		}
		if rng.IntN(2) == 0 { // cut
			cut := raftlog.Index(rng.IntN(70))
			now = slices.DeleteFunc(now, func(s raftlog.Segment) bool { return s.Range.First > cut })
			if n := len(now); n > 0 {
				now[n-1].Range.Last = min(now[n-1].Range.Last, cut)
			}
		}
		grew := -1
		if n := len(now); n > 0 && rng.IntN(3) == 0 { // appended to
			now[n-1].Bytes += 4096
			now[n-1].Range.Last++
			grew = int(now[n-1].Number)
		}
		if rng.IntN(2) == 0 && len(now) > 0 {
			last := now[len(now)-1].Range.Last
			now = append(now, raftlog.Segment{Number: 1001, Range: raftlog.Range{First: last + 1, Last: last + 9}})
		}
		before := slices.Clone(now)
		got, ok := segwriter.Splice(now, group, made)
		if !slices.Equal(now, before) {
			t.Fatalf("seed %d: the list given was changed", seed)
		}
		inGroup := func(s raftlog.Segment) bool {
			return slices.ContainsFunc(group, func(g raftlog.Segment) bool { return g.Number == s.Number })
		}
		fits := slices.ContainsFunc(now, inGroup) && !inGroup(raftlog.Segment{Number: uint64(grew)})
		if ok != fits {
			t.Fatalf("seed %d: ok is %t; group %v of %v", seed, ok, group, now)
		}
		if !ok {
			refused++
			if !slices.Equal(got, now) {
				t.Fatalf("seed %d: refused, and changed %v to %v", seed, now, got)
			}
			continue
		}
		want := map[raftlog.Index]uint64{}
		for _, s := range now {
			for i := s.Range.First; i <= s.Range.Last; i++ {
				if !inGroup(s) {
					want[i] = s.Number
				} else if made.Range.Contains(i) {
					want[i] = made.Number
				}
			}
		}
		prev, lacks := raftlog.Index(0), len(want)
		for _, s := range got {
			if s.Range.Empty() || s.Range.First <= prev || inGroup(s) {
				t.Fatalf("seed %d: %v became %v", seed, now, got)
			}
			prev = s.Range.Last
			for i := s.Range.First; i <= s.Range.Last; i++ {
				if n, ok := want[i]; ok {
					lacks--
					if n != s.Number {
						t.Fatalf("seed %d: index %d is in %d, want %d", seed, i, s.Number, n)
					}
				}
			}
		}
		if lacks != 0 {
			t.Fatalf("seed %d: %d indexes are gone: %v became %v", seed, lacks, now, got)
		}
		if !slices.ContainsFunc(got, func(s raftlog.Segment) bool { return s.Number == made.Number }) {
			dropped++
		}
	}
	if refused == 0 || dropped == 0 {
		t.Errorf("%d refused, %d without a segment", refused, dropped)
	}
}
