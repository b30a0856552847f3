//go:build race

package engine_test

// slowness is how many times less is tried where the race detector makes everything slow: what
// is stepped on one goroutine has nothing to show it.
const slowness = 64
