// Command bench measures engine and Raft layer on a real disk.
//
//	go run ./bench             six representative rows, in under two minutes
//	go run ./bench -full       the matrix of sizes, backends and strategies, and with flush
//	go run ./bench engine      one row, chosen by flags
//	go run ./bench read        reads from memory and from segments, warm, cold and by plans
//	go run ./bench snapshot    writers beside a captured state; states and compactions beside the device
//	go run ./bench readers     writers with and without a tail reader on every log
//	go run ./bench flush       the flush of many logs with nothing in the foreground
//	go run ./bench recover     recovery of a full WAL; ten thousand idle logs
//	go run ./bench raft        clusters of three members, in one process or three; without flags a table
//	go run ./bench transfer    a snapshot that goes to new members while clients write, and is interrupted
//	go run ./bench idle        ten thousand clusters at rest: start, memory, CPU, reopening after a kill
//	go run ./bench calm        whether nodes take one another for lost while all processors are busy
//	go run ./bench doctor      what this disk and kernel can do, what auto chooses and why
//	go run ./bench torture     random work that is killed, and its proof (-verify)
//
// Every command explains its flags with -h. None writes outside the directory it names.
//
// # How a row is measured
//
// A row is three measurements that take turns, slice by slice, so that all of them meet the
// same moods of the device: the engine in a process of its own, the floor in another, and
// between them, while both are at rest, the device's durable writes of the engine's mean batch
// size. The figures of a process (CPU, memory, allocations) are thereby its own, the load
// generator included, which is the same code for engine and floor.
//
// Before the first slice the WAL has rolled through its whole pool. Unless the row says "with
// flush", logs release what was acknowledged in short steps and whenever the WAL rolls, so
// that a flush finds next to nothing to move.
//
// The floor is the barest honest loop: one goroutine, a mutex and a queue that is swapped,
// entries copied behind a header with a CRC-32C into padded O_DIRECT + RWF_DSYNC writes of at
// most 1 MiB into a zeroed file used as a ring. It has no gathering, no index, no checks, no
// recovery. It exists on Linux only; elsewhere its figures are '-'.
//
// # Columns
//
//	entries/s   entries acknowledged as durable; MB/s is their payload
//	p50 …       from the call of append to the producer's running again, microseconds; a
//	            percentile with fewer than 100 samples beyond it is '-'
//	e/sync      entries per sync, counted by the engine
//	cpu s/M     CPU seconds of the process, kernel time included, per million entries
//	dev B/B     bytes the device counted as written, by whomever, per payload byte
//	allocs      heap allocations of the process per entry
//	ratio       entries/s over the floor's; for entries of 1 MiB and more, MB/s over the
//	            device's direct sequential write bandwidth
//
// Of bench read the ratio is entries/s by plan over the random 4 KiB reads/s, or MB/s over the
// sequential 1 MiB reads, that the kernel's asynchronous I/O gets from the same files past the page
// cache, in turns; where fio is installed, over its figure if that is larger.
//
// The JSON form (-json FILE) has one object per line; floor rows have backend "floor";
// device_limit is the entries/s that back-to-back durable writes of the row's mean batch, one
// at a time, would carry. What is unknown is null.
//
// # Bench snapshot and bench readers
//
// Writers run at half the rate that they reached without limit (-rate sets another), in turns
// alone and beside what is measured, in one process. cpu s/M is the process's, per million entries
// written, captures and readers included. The line of the delivered entries has, as ns/entry, the
// process's CPU with readers less what the writers alone would have taken for as many entries,
// over the entries that readers got; lines in memory have the CPU of the reading thread. Writers
// keep what a reader has not got; so no reader falls behind the log's begin.
//
// MB/s are bytes of states, or those that a compaction wrote; device is what direct sequential
// transfers of 1 MiB, four at a time, reach just before and after, in the same direction. Goal is
// what is asked of the line's ratio or ns/entry.
//
// # Bench raft and bench idle
//
// Three nodes in one process, each with its own engine and directory, have all clusters; leaders are spread over them. Clients
// work in a closed loop at the leader's node: each command waits for its reply, and a client with more under way is as
// many such loops. Load and device take turns: three streams of durable 4 KiB writes, one for each node. A commit is
// a command that was answered; cpu s/M and allocations are those of the whole process, load generator included. At the
// end the machines of all members are read, linearizably: each must have applied every acknowledged command, once,
// and none that was refused. With -failover the leader's node is torn off the network under load, as a
// connection reset shows it; the time is from there to the first commit that a client at another node sees. The clients are
// sessions of a node without members: each command is answered, and applied once.
//
// With -nodes process each node is a process of its own, and they talk over TCP on the loopback interface, with TLS if -tls says so.
// All clusters are led by the node that the clients share a process with. CPU, memory, syncs, allocations and messages/s are those of all
// three processes; wire B/B are the bytes that the leaders' node writes to log connections, framing and what it sends back included, per
// payload byte and follower; ping is what 256 B take over TCP to another process and back, in turns with the load. The proof at the end
// is each member's own answer. With -failover the three nodes are beside the process of the clients, and killed in turn (kill -9) while
// each leads a third of the clusters; the time is until both others follow a new leader of every cluster. The messages/s are those that
// these two send, under load, before and meanwhile.
//
// Bench transfer has one cluster, of which the first of three processes has the only member at first. Its clients, sessions in a fourth
// process, are measured alone, then beside the transfer of the snapshot to the second node, and go on while it goes to the third,
// whose process and the sender's are killed in turn. MB/s are those of the state, from the wish to add the member until it has installed the
// snapshot, starts of killed processes included. What was sent more than once is what senders counted, less the state; what they sent
// in the moment before they were killed is missing, at most 4 MiB a time. Members compare the state with what it must be, byte for byte, and
// at the end their answers with what was acknowledged.
//
// Bench idle starts the clusters in one process, kills it when they have been at rest, and opens them in a second
// one; seconds are until every member follows a leader. Memory is beside that of three nodes without clusters. With -nodes process it
// counts what processes send each other at rest.
//
// Bench calm burns all processors beside three processes of nodes. Each looks at itself every 10 ms: a look that is 100 ms late is a
// stall, and a suspicion that no stall of the two nodes explains fails the run.
package main
