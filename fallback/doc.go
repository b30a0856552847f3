// Package fallback is the I/O contract (package vfs) over ordinary blocking system calls
// and a small pool of goroutines. It needs nothing but the file system, so it runs where
// io_uring does not exist or is refused. It imports vfs and vfs/osfs, and is imported by
// the engine alone. It writes no bytes of its own.
//
// It has two personalities, chosen with Options.Direct:
//
//	            fallback                  direct (Linux only)
//	files       buffered                  buffered or O_DIRECT, as each file asks
//	Op.DSync    pwrite, then Datasync     one pwritev2 with RWF_DSYNC
//
// Package vfs/osfs says which call each system has for the rest.
//
// # Queue
//
// Goroutines exist only while there is work for more than one. The goroutine that waits
// in Reap runs operations itself until it has as many completions as it asked for; others
// are started for what remains, Options.Workers in all, and end when nothing is left to
// begin. So a lone operation, or a lone chain of linked ones, runs on its caller's
// goroutine: the commit path of the write-ahead log has no hand-off and no allocation.
//
// A chain of linked operations runs in order on one goroutine. It ends at the first
// operation without Link, or with the Reap after its last Submit: operations submitted
// after that Reap belong to a new chain. A transfer that has begun is never interrupted;
// Close waits for it and cancels the rest of its chain.
package fallback
