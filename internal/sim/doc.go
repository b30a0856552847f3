// Package sim goes through whole histories of clusters, each drawn by one seed: nodes with disks and clocks in a network,
// clients that use clusters on them, and whoever does them harm. It is for tests and imported by nothing else.
//
// Production are raft.Node with all that belongs to it, the core, the failure detector, the network between nodes in its
// stepped mode, and the engine with write-ahead log, memtables, flusher, segments, captures and recovery. They run
// in a sched.World of the simulator: each goroutine of theirs is a coroutine, of which one runs at a time until it
// waits, and the seed draws which one is next, or which message. Simulated are time, the disk under the engine (memfs,
// crashable, below errorfs, which makes it fail; commits take a time that is drawn, and a power cut amid one
// tears it) and chance. A seed gives one history, event by event, also under the race detector.
//
// # Replaying
//
//	go test ./internal/sim -seeds 1000 -from 1
//	go test ./internal/sim -run TestSeeds -seeds 1 -from 42 -v -trace
//
// A violation is reported with its seed, the name of the invariant (DESIGN.md, section 7) and the newest lines of the
// trace. A line of the trace is the virtual time in seconds since the beginning and what happened. A server is named by
// its cluster and by node and life of the node: "c0 on n2/3" is the member of c0 on n2 in n2's third life.
package sim
