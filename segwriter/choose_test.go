package segwriter_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/segwriter"
)

// randomUses describes a list, much of it released.
func randomUses(rng *rand.Rand) []segwriter.SegmentUse {
	uses := make([]segwriter.SegmentUse, rng.IntN(12))
	for i := range uses {
		entries := 1 + rng.IntN(60)
		live := rng.IntN(entries + 1)
		bytes := int64(32 * entries)
		for range rng.IntN(3) {
			bytes += rng.Int64N(20 << 10)
		}
		file := 2*segment.BlockSize + (bytes+128)/segment.BlockSize*segment.BlockSize
		uses[i] = segwriter.SegmentUse{
			Segment: raftlog.Segment{Number: uint64(i + 1), Entries: uint32(entries), Bytes: file,
				Range: raftlog.Range{First: raftlog.Index(100*i + 1), Last: raftlog.Index(100*i + entries)}},
			LiveEntries: uint32(live), LiveBytes: int64(32*live) + rng.Int64N(bytes-int64(32*entries)+1)*int64(live)/int64(entries),
			Bytes: file - segment.BlockSize,
		}
	}
	return uses
}

func halfDead(u segwriter.SegmentUse) bool {
	return float64(u.LiveEntries) < float64(u.Segment.Entries)/2 || float64(u.LiveBytes) < float64(u.Bytes)/2
}

// oneChunk is the length of a file of one chunk.
func oneChunk(bytes int64) int64 { return segment.BlockSize + int64(segment.ChunkSize(0, int(bytes))) }

// Every choice is held against what the rules say of every stretch of the list.
func TestChooseByTheRules(t *testing.T) {
	limits := segwriter.Limits{MaxEntries: 64, MaxBytes: 40 << 10} // one chunk of 1 MiB always suffices
	sizes := map[int]int{}
	for seed := range uint64(5000) {
		rng := rand.New(rand.NewPCG(seed, 5))
		uses := randomUses(rng)
		groups := segwriter.Choose(uses, limits)
		chosen := make([]int, len(uses)) // the group of each segment, 0 for none
		at := 0
		for g, group := range groups {
			from := slices.IndexFunc(uses, func(u segwriter.SegmentUse) bool { return u.Segment == group[0] })
			if from < at {
				t.Fatalf("seed %d: group %d out of order", seed, g)
			}
			at = from + len(group)
			sizes[len(group)]++
			for i := range group {
				if uses[from+i].Segment != group[i] {
					t.Fatalf("seed %d: group %d is not adjacent", seed, g)
				}
				chosen[from+i] = g + 1
			}
		}
		// sum adds up a stretch; fits says that the limits let it be one file.
		fits := func(from, to int) (fits bool, file int64) {
			var entries uint32
			var bytes int64
			for _, u := range uses[from:to] {
				entries += u.LiveEntries
				bytes += u.LiveBytes
			}
			return entries <= limits.MaxEntries && oneChunk(bytes) <= limits.MaxBytes, oneChunk(bytes)
		}
		for i, u := range uses {
			start := i // of the stretch that ends with i
			for start > 0 && chosen[i] != 0 && chosen[start-1] == chosen[i] {
				start--
			}
			ok, file := fits(start, i+1)
			switch {
			case i == len(uses)-1 || !halfDead(u):
				if chosen[i] != 0 {
					t.Fatalf("seed %d: segment %d must not be chosen", seed, i)
				}
			case chosen[i] == 0: // no neighbour takes it, and it would not shrink
				if u.LiveEntries == 0 || oneChunk(u.LiveBytes) < u.Segment.Bytes {
					t.Fatalf("seed %d: segment %d is left though it would shrink", seed, i)
				}
			case start == i && (i+1 == len(uses) || chosen[i+1] != chosen[i]): // alone
				if u.LiveEntries > 0 && file >= u.Segment.Bytes {
					t.Fatalf("seed %d: segment %d would not shrink", seed, i)
				}
			case start < i && !ok:
				t.Fatalf("seed %d: group %v exceeds the limits", seed, groups[chosen[i]-1])
			}
			if i > 0 && i < len(uses)-1 && halfDead(u) && halfDead(uses[i-1]) && (chosen[i] == 0 || chosen[i] != chosen[i-1]) {
				begin := i - 1
				for begin > 0 && chosen[i-1] != 0 && chosen[begin-1] == chosen[i-1] {
					begin--
				}
				if ok, _ := fits(begin, i+1); ok {
					t.Fatalf("seed %d: segment %d fits in the group before it", seed, i)
				}
			}
		}
	}
	if sizes[1] == 0 || sizes[2] == 0 || sizes[4] == 0 {
		t.Errorf("groups by size: %v", sizes)
	}
}

func TestChooseLimits(t *testing.T) {
	if got := segwriter.Choose(nil, segwriter.Limits{}); got != nil {
		t.Errorf("chose %v of nothing", got)
	}
	use := func(n uint64, entries, live uint32, bytes int64) segwriter.SegmentUse {
		return segwriter.SegmentUse{Segment: raftlog.Segment{Number: n, Entries: entries, Bytes: bytes + segment.BlockSize},
			LiveEntries: live, LiveBytes: bytes / int64(entries) * int64(live), Bytes: bytes}
	}
	const mib = 1 << 20
	for name, c := range map[string]struct {
		uses []segwriter.SegmentUse
		want []int
	}{
		"the newest alone":       {[]segwriter.SegmentUse{use(1, 100, 0, mib)}, nil},
		"all merge":              {[]segwriter.SegmentUse{use(1, 4096, 1000, mib), use(2, 4096, 1000, mib), use(3, 4096, 1000, mib), use(4, 1, 1, mib)}, []int{3}},
		"entries end a group":    {[]segwriter.SegmentUse{use(1, 4096, 2000, mib), use(2, 4096, 2000, mib), use(3, 4096, 2000, mib), use(4, 1, 1, mib)}, []int{2, 1}},
		"bytes end a group":      {[]segwriter.SegmentUse{use(1, 100, 40, 64*mib), use(2, 100, 40, 64*mib), use(3, 100, 40, 64*mib), use(4, 1, 1, mib)}, []int{2, 1}},
		"a full one ends":        {[]segwriter.SegmentUse{use(1, 100, 40, mib), use(2, 100, 90, mib), use(3, 100, 40, mib), use(4, 1, 1, mib)}, []int{1, 1}},
		"too long but shrinks":   {[]segwriter.SegmentUse{use(1, 10, 4, 400*mib), use(2, 10, 9, mib)}, []int{1}},
		"hostile counts":         {[]segwriter.SegmentUse{use(1, 1<<32-1, 1<<31-1, 1<<42), use(2, 1<<32-1, 1<<31-1, 1<<42), use(3, 1, 1, mib)}, []int{1, 1}},
		"counts that say less":   {[]segwriter.SegmentUse{{LiveEntries: 1<<32 - 1, LiveBytes: 1 << 62, Bytes: -1}, use(2, 1, 1, mib)}, nil},
		"nothing of two":         {[]segwriter.SegmentUse{use(1, 100, 0, mib), use(2, 100, 0, mib), use(3, 1, 1, mib)}, []int{2}},
		"a small one is as is":   {[]segwriter.SegmentUse{{Segment: raftlog.Segment{Entries: 1, Bytes: 8 << 10}, LiveEntries: 1, LiveBytes: 132, Bytes: 4 << 10}, use(2, 1, 1, mib)}, nil},
		"two small ones are not": {[]segwriter.SegmentUse{use(1, 100, 1, 4<<10), use(2, 100, 1, 4<<10), use(3, 1, 1, mib)}, []int{2}},
	} {
		var got []int
		for _, g := range segwriter.Choose(c.uses, segwriter.Limits{}) {
			got = append(got, len(g))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: groups of %v, want %v", name, got, c.want)
		}
	}
}

// Choosing and compacting until nothing is chosen comes to an end, and ends compact.
func TestCompactingComesToAnEnd(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 6))
		fsys := newFS(t)
		w := writer(t, fsys, nil)
		limits := segwriter.Limits{MaxEntries: 64, MaxBytes: 64 << 10, ChunkBytes: 8 << 10}
		l, floor, live := grown(t, fsys, w, rng)
		l.segs = segwriter.Prune(l.segs, floor, live)
		before := len(l.segs)
		for round := 0; ; round++ {
			groups := segwriter.Choose(l.uses(t, fsys, floor, live), limits)
			if len(groups) == 0 {
				break
			}
			if round > 2*before {
				t.Fatalf("seed %d: still %v after %d rounds", seed, groups, round)
			}
			for _, g := range groups {
				s := &shrink{l: l, group: g, floor: floor, live: live, o: &opener{fs: fsys, id: l.id, root: dir}}
				c, err := s.run(t, w, 0)
				if err != nil {
					t.Fatal(err)
				}
				m := c.Result().Segment
				s.check(t, fsys, c.Result())
				if len(g) == 1 && m.Bytes >= g[0].Bytes {
					t.Fatalf("seed %d: %+v became %+v", seed, g[0], m)
				}
				if len(g) > 1 && (m.Bytes > limits.MaxBytes || m.Entries > limits.MaxEntries) {
					t.Fatalf("seed %d: %+v exceeds the limits", seed, m)
				}
				s.publish(t, c.Result())
			}
		}
		l.release(floor, live)
		l.checkWanted(t, fsys.Crash(crashLost))
	}
}

// uses measures all segments, and counts once more to be sure.
func (l *log) uses(t *testing.T, fsys *memfs.FS, floor raftlog.Index, live raftlog.Seq) []segwriter.SegmentUse {
	t.Helper()
	var uses []segwriter.SegmentUse
	for _, s := range l.segs {
		r, err := segment.Open(fsys, segwriter.Path(dir, l.id, s.Number), l.id, s, segment.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		u, err := segwriter.Measure(s, r, floor, live)
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		var entries uint32
		var bytes int64
		for i, e := range l.want {
			if s.Range.Contains(i) && (i >= floor || live.Contains(i)) {
				entries++
				bytes += 32 + int64(len(e.Data))
			}
		}
		if u.Segment != s || u.LiveEntries != entries || u.LiveBytes != bytes || u.Bytes != s.Bytes-segment.BlockSize {
			t.Fatalf("measured %+v, want %d entries of %d bytes", u, entries, bytes)
		}
		uses = append(uses, u)
	}
	return uses
}
