// Package readplan is for reading many entries from segment files: the Cache of open segment
// readers, and the plans that are executed through it. Only the engine makes these parts. The
// package writes no bytes.
//
// # Cache
//
// The Cache bounds how many files are open and keeps a file open for as long as somebody reads it.
// A reader promises what one manifest entry of its segment says (raftlog.Segment). Segments
// grow, and truncations cut what counts of them, so the cache compares promises: a reader is
// shared among those that ask for the same committed length and the same last index. One that
// is asked for something newer is replaced; one that is asked for something older is left
// alone, and the older promise gets a reader of its own. A Pin keeps a file from being removed
// without opening it.
//
// # Plan
//
// A Plan says, unchangeably, where each of the requested entries was when the plan was made: in
// memory, which the plan itself keeps alive; in a segment, whose file it pins; or nowhere, with
// the reason. Making one costs no disk. Anyone may execute it, on any goroutine, at any time, any
// number of times and several at once, whatever becomes of the log meanwhile. Each index gives
// its entry, verified against the checksum computed when it was appended, or its own error; never
// other bytes, and never silence.
//
// What a plan pins is given back by Close. A plan that is forgotten gives it back when the garbage
// collector finds it, which is counted (Stats.Reclaimed).
//
// # Execution
//
// An execution takes the plan in groups of at most 8 MiB. It locates a group's entries by the
// segments' indexes, stretch by stretch, joins neighbours into pieces, and has up to Options.Depth pieces in flight
// on a queue that it has to itself, while the group before is handed to the consumer. Pieces lie in
// huge pages outside the Go heap, where the system has them: what was handed out must not be touched
// behind its time, for the memory may be gone then. Queues are
// made on first use; a few are kept for the next execution. Entries of a piece that cannot be read
// are read one by one, so that a bad sector costs the entries on it only. Where no queue can
// be had, or one fails, pieces are read one after the other. There are no goroutines but the
// queue's own: reads run while the consumer asks for entries, and leaving an iteration waits for
// those in flight.
package readplan
