package segwriter_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/segwriter"
)

// randomList returns segments over [1, last], with holes between them.
func randomList(rng *rand.Rand, last raftlog.Index) []raftlog.Segment {
	var list []raftlog.Segment
	for at := raftlog.Index(1); at <= last; {
		at += raftlog.Index(rng.IntN(3))
		end := at + raftlog.Index(rng.IntN(8))
		list = append(list, raftlog.Segment{Number: uint64(len(list) + 1), Range: raftlog.Range{First: at, Last: end}})
		at = end + 1
	}
	return list
}

func randomSeq(rng *rand.Rand, last raftlog.Index, oneIn int) raftlog.Seq {
	var s raftlog.Seq
	for i := raftlog.Index(1); i <= last; i++ {
		if rng.IntN(oneIn) == 0 {
			s.Add(i)
		}
	}
	return s
}

func TestPruneKeepsWhatIsNeeded(t *testing.T) {
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 2))
		list := randomList(rng, 60)
		before := slices.Clone(list)
		floor, live := raftlog.Index(rng.IntN(70)), randomSeq(rng, floorOf(rng), 1+rng.IntN(30))
		var want []raftlog.Segment
		for _, s := range list {
			for i := s.Range.First; i <= s.Range.Last; i++ {
				if i >= floor || live.Contains(i) {
					want = append(want, s)
					break
				}
			}
		}
		if got := segwriter.Prune(list, floor, live); !slices.Equal(got, want) {
			t.Fatalf("seed %d: floor %d, live %v of %v: kept %v, want %v", seed, floor, live, list, got, want)
		}
		if !slices.Equal(list, before) {
			t.Fatal("the list given was changed")
		}
	}
}

func floorOf(rng *rand.Rand) raftlog.Index { return raftlog.Index(rng.IntN(70)) }

func TestPruneExtremes(t *testing.T) {
	all := raftlog.Segment{Number: 1, Range: raftlog.Range{First: 1, Last: ^raftlog.Index(0)}}
	empty := raftlog.Segment{Number: 2}
	for _, c := range []struct {
		floor raftlog.Index
		live  raftlog.Seq
		kept  int
	}{
		{0, raftlog.Seq{}, 1},
		{^raftlog.Index(0), raftlog.Seq{}, 1},
		{^raftlog.Index(0), raftlog.SeqOf(^raftlog.Index(0)), 1},
	} {
		if got := segwriter.Prune([]raftlog.Segment{all, empty}, c.floor, c.live); len(got) != c.kept {
			t.Errorf("floor %d, live %v: %v", c.floor, c.live, got)
		}
	}
	if got := segwriter.Prune(nil, 1, raftlog.Seq{}); len(got) != 0 {
		t.Errorf("made %v of nothing", got)
	}
}
