//go:build !race

package engine_test

// slowness is how many times less is tried under the race detector.
const slowness = 1
