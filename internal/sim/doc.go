// Package sim goes through whole histories of clusters, each drawn by one seed: three to seven nodes with disks and clocks
// in a network, one or two clusters on them, clients that use these, operators who change them, and whoever does harm. Then
// all is set right, and within ten virtual seconds every member must have applied the same and a new write be
// committed. The package is for tests and imported by nothing else.
//
// # What is production, and what is simulated
//
// Production are raft.Node with all that belongs to it, the core, the failure detector, the network between nodes in its
// stepped mode, and the engine with write-ahead log, memtables, flusher, segments, compaction, captures and recovery.
// They run in a sched.World: each goroutine of theirs is a coroutine of which one runs at a time, until it waits, and the
// seed draws which one is next, or which message is delivered. Simulated are time, chance, and the disk below the
// engine: memfs, which a power cut leaves with everything, with what was synced, or with some of the rest, torn and out of
// order, below errorfs, which makes it fail. Commits take a time that is drawn, and a power cut amid one
// tears it. Other I/O takes no time. A seed gives one history, event by event, also under the race detector.
//
// What may happen stands in the table of nemesis.go; in each world some of it is more frequent. Ambushes and what is aimed at
// leaders bring about the moments that chance is slow to find: a crash right behind a vote, rivals of one term, a leader that
// works on while the others have gone on. Bytes of a log or of a snapshot are damaged while a node is down, on never so many disks that a
// cluster would lack a majority; these members come back by themselves, without what was damaged, within thirty seconds of peace.
// Not simulated are external readers and slots, deletion of
// clusters, a forced shrink, timers and messages of machines, live entries, checkpoints, damage of what is not yet known to be
// durable and of what is not a member's alone, and links of TCP.
//
// # What is checked
//
// After every step, at the node whose turn it was: I3 (written and last, applied and commit, by figures and log), I4
// (terms and votes that are durable, across lives too), I5, I6 (each new entry against all that ever stood there; each
// applied command, and each restored state, by a hash of all commands before it; the configuration in effect is the newest
// of the log; a leader counts entries of its own term), I10 (what a log says it has can be read), I13; and that no server
// stops for what no disk and no network can bring about. With each message that leaves: I4, I1 (term, vote, and the
// entry that is acknowledged are on the sender's disk). With each leader: I4 (a majority's disks have its votes), I1 (its log has
// what is committed). With each answer: I1 (the entry is on the disks of a majority of the voters), I12 (a query reflects what
// was answered before it). After each power cut, and on a copy of the disk whenever a log is cut: I2, I16 (what was written is
// recovered, nothing that was not appended is; now and then the recovery is done twice, on a copy, and gives the same), I3, and that no
// log is set apart of which nothing was damaged. For pipelines I11. In the end: I7 (all ways of reading agree), I12 (porcupine finds
// an order of all operations on each register, list and counter that explains the answers), and that nothing was applied
// of which a client was told that it was not. A command that is applied twice has no such order.
//
// # Replaying
//
//	go test ./internal/sim -run TestSeeds -args -seeds 1000 -from 1
//	go test ./internal/sim -run TestSeeds -args -seeds 1 -from 42 -trace
//
// With -first no other world begins once one has failed.
//
// A violation is reported with its seed, the name of the invariant (DESIGN.md, section 7) and the newest lines of the
// trace. A line of the trace is the virtual time in seconds since the beginning and what happened. A server is named by
// its cluster and by node and life of the node: "c0 on n2/3" is the member of c0 on n2 in n2's third life. From 800 seeds on
// TestSeeds also fails when something of the table, or one of the events that it expects, never happened.
package sim
