package main

// deviceCounters are those of a whole disk: what others write counts too.
type deviceCounters struct {
	sectors uint64 // of 512 bytes, written
	flushes uint64 // cache flushes completed
}
