package main

import "time"

const spinFor = 2 * time.Microsecond

// spin computes for a moment, as a neighbour in the same process would. What it returns depends
// on all it computed, so that none of it can be left out; it is never 0 unless x is.
func spin(x uint64) uint64 {
	for began := time.Now(); time.Since(began) < spinFor; {
		for range 64 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
	}
	return x
}
