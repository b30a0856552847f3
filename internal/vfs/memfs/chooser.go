package memfs

import "math/rand/v2"

// chooser decides what of the unsynced state survives.
type chooser struct {
	unsynced Unsynced
	rng      *rand.Rand // of Random only
}

func newChooser(u Unsynced, seed uint64) *chooser {
	return &chooser{unsynced: u, rng: rand.New(rand.NewPCG(seed, seedCrash))}
}

// prefix returns how many of n ordered changes survive.
func (c *chooser) prefix(n int) int {
	switch c.unsynced {
	case Kept:
		return n
	case Random:
		return c.rng.IntN(n + 1)
	default:
		return 0
	}
}

// one says whether a single change survives.
func (c *chooser) one() bool { return c.prefix(1) == 1 }

// runs calls keep for each run of surviving sectors of a write of n. Half of all random
// draws are whole: a large write would else always be torn. Prefixes and suffixes come
// next, and then any subset.
func (c *chooser) runs(n int, keep func(lo, hi int)) {
	if c.unsynced != Random || c.rng.IntN(2) == 0 {
		if c.one() && n > 0 {
			keep(0, n)
		}
		return
	}
	switch cut := c.rng.IntN(n + 1); c.rng.IntN(4) {
	case 0:
		keep(0, cut)
	case 1:
		keep(cut, n)
	default:
		for i := range n {
			if c.rng.IntN(2) == 0 {
				keep(i, i+1)
			}
		}
	}
}
