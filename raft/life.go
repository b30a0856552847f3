package raft

// A life of a node is numbered by the milliseconds from lifeEpoch to its beginning, or by what the node's directory says if that is
// more. So a node that has lost its disk begins above its earlier lives, which its peers remember, and they hear it; one that
// ends late, or what somebody recorded of it, stays below. Where the clock went back, a life that found its directory is numbered
// above the last one all the same. One that found none, and a clock behind the beginning of the last life, is refused as an
// earlier one until its peers are opened again, or it is, once the clock is right.

const (
	// lifeEpoch is the beginning of 2020 (UTC), in milliseconds since 1970.
	lifeEpoch = 1_577_836_800_000
	// lifeStep is how far a life is above the one before if the clock does not say so. Numbers of requests go on from
	// life<<lifeShift: a life that the clock has left behind has room for 2^34 of them.
	lifeStep = 1 << 12
	// lastLife bounds what is believed of a clock: 2^41 ms are 69 years.
	lastLife = 1 << 41
	// lifeShift leaves 2^22 numbers for each millisecond: no node asks more often.
	lifeShift = 22
)

// nextLife numbers the life that begins at a time, in milliseconds since 1970, behind the last one that is known, 0 for none.
func nextLife(last uint64, now int64) uint64 {
	clock := uint64(min(max(now, lifeEpoch), lifeEpoch+lastLife) - lifeEpoch)
	return max(last+lifeStep, clock)
}
