// Command mirror ships the logs of one engine to another, in another process and maybe on
// another site. Both sides may be killed at any time; the target goes on where it is.
//
//	mirror source -dir DIR -listen ADDR [-write [-entries N] [-logs N] [-snapshot N]] [-walfile BYTES]
//	mirror target -dir DIR -connect ADDR [-cursors DIR] [-once] [-walfile BYTES]
//
// Try it with two shells:
//
//	go run ./engine/examples/mirror source -dir /tmp/a -listen unix:/tmp/mirror.sock -write -entries 100000
//	go run ./engine/examples/mirror target -dir /tmp/b -connect unix:/tmp/mirror.sock
//
// ADDR is host:port, or unix: and a path. There is no authentication and no encryption: use it on
// networks that you trust. A source serves the logs it has when a target asks; with -write it also
// appends demo entries to its own logs until each has N, and with -snapshot lets go of those below a
// snapshot now and then. A target follows for ever, or with -once until it has what is committed at
// that moment; it lets go of nothing by itself. SIGINT and SIGTERM end both.
// Exit codes: 0 done, 1 wrong usage or failure, 10 a log can not be mirrored (standard error says which).
//
// # How it works
//
// A target has one connection per log. It asks to go on behind the last entry that is durable in its
// own log of that name; the source opens a reader there (engine.AtCursor) and sends what is
// committed, batch by batch. The target appends a batch, waits until it is durable, and goes on. So its
// own log is its place, and nothing is acknowledged to anybody: a batch that was on its way when a side
// died is sent again. Every batch carries the running checksum of all entries from the first on, and
// the target computes its own from the bytes that it got.
//
// What the log can not tell is whose history it holds: the life of the source's log (its
// incarnation). That, and the running checksum, stand in a file per log, as text, see place.go. A
// file that is behind the log is caught up by reading the log.
//
// When the source has released what comes next, the log restarts from its newest snapshot: the target
// installs it, says so in its log, and goes on behind it. The running checksum begins anew there.
//
// # What ends a log's mirror
//
//	engine.GapError       the source has released what comes next, and has no snapshot of it
//	engine.DivergedError  the histories differ, or the source has lost what was sent
//	RefusedError          the source can not serve this log, for another reason
//	ErrChecksum           the bytes that came are not those that the source has read
//	ErrPlace              the target's log and its file do not belong together
//
// Nothing is cut or overwritten then: the log stays as it is, the other logs go on, and the program
// says so when it ends. Lost connections, damaged frames and a target out of memory or disk space are
// met by connecting again.
//
// # On the wire
//
// Integers are little-endian. A frame is
//
//	offset  size  field
//	0       4     length n of kind and body, 1 to a limit that depends on the receiver
//	4       4     CRC-32C of the kind and the body
//	8       1     kind
//	9       n-1   body
//
//	kind       sent by  body
//	1 list     target   the version of the protocol (4 bytes), magic "RMIR" before it
//	2 logs     source   JSON array of names
//	3 follow   target   JSON of request; magic and version as in list before it
//	4 place    source   text of the cursor behind which the batches begin
//	5 batch    source   first index (8), running checksum (8), number of entries (4), then each entry's
//	                    term (8), type (1), length (4) and payload
//	6 end      source   nothing; there is no more for now, asked for with -once
//	7 refused  source   JSON of RefusedError
//	8 header   source   what the transfer of a snapshot begins with (engine.SnapshotReader.Header)
//	9 chunk    source   number (4), seed (8) and hash (8) of the chunk's sum, and its data
//	10 live    source   an entry below the snapshot, as a batch of one without checksum
//
// # Ownership
//
// The program imports package engine, and fallback to sync a directory. Each log of a target has one
// goroutine, each connection of a source two; all of them end, and are waited for, before run returns.
package main
