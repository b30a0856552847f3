// Package errorfs wraps a file system (package vfs) and makes chosen operations fail. It
// writes nothing of its own and is for tests:
//
//	for k, tripped := 1, true; tripped; k++ {
//		fs := errorfs.FailAt(memfs.New(seed), k, errorfs.EIO)
//		runWorkload(fs)
//		...
//		tripped = fs.Tripped() // false once the workload needs fewer than k operations
//	}
//
// Every call that touches the file system counts as one operation, queued ones when they
// are submitted; Alloc, NewQueue, Reap, Name and Direct do not. A Plan counts only the
// operations that its fault can hit and that its Match accepts, so each k up to the last
// trips. Used by one goroutine, the same workload fails at the same place.
//
// A failed operation returns an *io/fs.PathError with the file's name and the system's
// error; but a read that is made short reports io.EOF, as the contract says.
//
// Over package memfs a failed sync has the after-effects of a real one: see Fault. Over
// other file systems it merely does not happen.
package errorfs
