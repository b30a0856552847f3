// Package readplan is for reading many entries from segment files. It holds the Cache of open
// segment readers, which bounds how many files are open and keeps a file open for as long as
// somebody reads it. Read plans, immutable descriptions of where entries are that anyone may
// run later, stand on top of it. Only the engine makes a Cache.
//
// A reader promises what one manifest entry of its segment says (raftlog.Segment). Segments
// grow, and truncations cut what counts of them, so the cache compares promises: a reader is
// shared among those that ask for the same committed length and the same last index. One that
// is asked for something newer is replaced; one that is asked for something older is left
// alone, and the older promise gets a reader of its own.
//
// The package writes no bytes.
package readplan
