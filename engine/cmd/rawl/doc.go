// Command rawl is the operator's tool for an engine's directory.
//
//	rawl ls      DIR                      logs, one per line
//	rawl stat    DIR                      summary: sizes, write-ahead log, owner
//	rawl dump    DIR UID [FIRST [LAST]]   entries of a log and where they are
//	rawl dump    -file NUMBER DIR         frames and records of one WAL file, in their order
//	rawl verify  DIR                      read and check everything
//	rawl recover DIR                      open, recover, flush, close
//	rawl repair  DIR                      plan a repair; with -yes do it
//	rawl diff    DIR DIR                  first entry in which two replicas' logs differ
//	rawl pins    DIR                      what holds which bytes
//	rawl readers DIR                      slots of named readers, with position and lag
//	rawl backup  DIR TO                   copy a directory that is not in use
//
// Flags may stand anywhere behind the command:
//
//	-json              for programs, see below
//	-wal DIR           the engine's WALDir, when it is not DIR/wal
//	-payload           dump: show payloads, in hexadecimal; nothing else ever shows them
//	-file NUMBER       dump: a WAL file's number, hexadecimal as in its name
//	-yes               repair: write
//	-uid UID           diff: this log only
//	-wal-b DIR         diff: WALDir of the second directory, as -wal is of the first
//	-accept-loss UIDS  repair: cut these logs, separated by commas, back to their last sound entry
//	-all               repair: do that with every quarantined log
//
// Exit codes: 0 sound or done, 1 wrong usage or failure, 10 damaged, incomplete or different, or logs are
// quarantined, 11 in use by a running engine. ls, stat, dump, verify, diff, pins and readers take no lock, write nothing, and work
// beside a running engine. recover, repair and backup need it for themselves;
// a running engine copies itself, by Engine.Backup, and alone knows its readers that have no slot.
//
// With -json, dump writes one object per line, all other commands one document. Names are
// in snake case, payloads base64, and what is empty is left out.
//
// The package imports package engine only. It writes no bytes of its own.
package main
