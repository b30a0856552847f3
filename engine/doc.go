// Package engine stores many Raft logs in one directory: thousands of logs share one
// write-ahead log and one stream of syncs, and an idle log costs memory only. It is the public
// API of storage and the place where the parts are put together (wal, memtable, segwriter,
// readplan, internal/manifest, and a backend, ring or fallback); no other package imports them
// all.
//
// A log is a sequence of entries with indexes from 1 on, by one each, and terms that never
// fall, with the two facts that Raft must not forget, term and vote. The engine knows nothing
// of elections and replication: it appends, truncates, releases and reads.
//
// # What an acknowledgement means
//
// Append, SetHardState, TruncateTo, Release and Create return before anything is durable. A
// Written event, or the return of AppendSync, SetHardStateSync, CreateSync or Delete without
// an error, says that the device has it, under every Strategy but StrategyNone. From then on
// neither a kill, a power cut, a full disk nor a failed sync loses it, as long as the device
// does not lie about sync.
//
// Records of one log become durable in the order of the calls. So an acknowledgement implies
// all that was called before on that log, its creation and truncations included; nothing is
// implied between logs. What was not acknowledged may or may not be there after a crash, in
// order and without gaps. Release and SetApplied are lazy: they ride along with the next
// batch and force none, and a crash may take them back.
//
// # Life of a write
//
//  1. Append checks that the entries follow the log, copies their data into the log's memtable,
//     where they can be read at once, and queues a reference for the write-ahead log. It does
//     not wait: over a budget of Options it returns ErrBusy, and Handler.Ready follows.
//  2. The committer, one goroutine for all logs, gathers what is pending as long as that pays,
//     and commits it with one durable write. A lone write does not wait for company.
//  3. Each log in the batch is told once. Handler.Written carries its newest durable entry
//     and hard state; callers that block in AppendSync return.
//  4. A WAL file that is full is sealed. The flusher writes its entries to segments of their
//     logs, syncs these and their directories, notes it in the manifest, and gives the
//     file back to be overwritten. Entries that were durably released before are not written.
//
// # Life of a read
//
// Read, ReadRange and Term load one immutable view of the log and finish on it: memtables
// first, without lock or allocation, then segments, through a bounded cache of open files
// (Options.OpenSegments). Readers wait for no writer. Entries are readable before they are
// durable: a leader may send them on, but acknowledges up to Written.Last only. Every payload
// read from disk is verified against the CRC-32C computed when it was appended; bytes that do
// not verify are ErrCorrupt, never data.
//
// ReadBatches is for many entries in order. Plan is for any set of indexes, and for readers on other
// goroutines: it resolves them against one view without touching the disk, and the plan can be
// executed later, by anyone, through a queue of its own with many reads in flight, whatever
// the owner does meanwhile. Until a plan is closed, or collected because it was forgotten
// (Stats.Plans), it keeps the memory it found entries in alive and pins the segment files of the
// others: those are removed when the last plan lets them go. Plans read segments that were written
// past the page cache past it, too.
//
// # Captured states
//
// Capture writes a state of the log's machine to one file, chunk by chunk, on a goroutine of the
// snapshot pool and at a bounded rate; what to write comes from a callback. Three kinds (Raft thesis
// §5.1): a snapshot is synced, and when the record of its publication is durable in the WAL the
// log is released up to it; a checkpoint is neither synced nor does it release anything, and
// Promote makes it a snapshot later; a recovery checkpoint makes the start after an orderly
// shutdown short. The order is the safety: file, directory, record, release. Restore opens the
// newest one that verifies wholly and leaves no gap before the log; damaged ones are set aside.
// DESIGN.md has a directory for each; one file does the same with one rename, one inode and one sync
// less, and is linked as one.
//
// # Live entries and compaction
//
// A snapshot may name entries below it that its machine still needs: they stay readable, in memory
// or in segments, when the rest is released. Two compactions give space back, both in the
// background on the flusher's goroutine and both published by one manifest edit. Minor: after each
// release, segments that hold nothing needed leave the manifest and are unlinked when their last
// reader and plan let go; nothing is copied. Major: adjacent segments of which less than half is
// needed are merged into one (Log.Compact, Options.MinorsPerMajor); every checksum is verified on
// the way, and an entry that does not verify stops it and leaves all as it was.
//
// A flush of an earlier file may still hold entries that were truncated and written again under
// an index that is live now. So the manifest takes a release with live entries over only
// together with the file that holds its record; until then the WAL has it.
//
// # External readers
//
// OpenReader attaches a reader to a log, for who is not its owner: shippers, mirrors, indexers. It sees
// what the owner has committed, as Log.SetCommitted says, or by option everything durable. Entries ends
// at what there is, Tail waits for more, Batches come with a running checksum if asked. A reader runs on its
// consumer's goroutine and takes the log in small steps, each on one view and within a byte
// budget; between them it holds nothing, so that it costs nobody else anything, however slow it is.
//
// Who waits parks on the log, looks at its state once more, and sleeps; who changes the state does
// that first and then looks for sleepers. That is the whole protocol against lost wake-ups, and
// where nobody waits it costs one atomic load. A truncation leaves a note with each reader of the
// log before its view is published, so that none takes entries of the new history for a
// continuation of the old one.
//
// A Cursor is a reader's place as text: log, life of the log, and the entry delivered last. What
// keeps a reader from going on has three types: GapError (released), DivergedError and
// TruncatedError (another history), LossError (damaged). Watch tells of changes without entries.
//
// # Goroutines and ownership
//
// An open engine has four goroutines, whatever the number of logs: committer, WAL file
// pool, flusher, monitor; and Options.SnapshotWorkers that write captured states. All methods of Engine may be called by any goroutine. Of a Log,
// Append, AppendSync, TruncateTo, Release, SetHardState, SetHardStateSync, SetApplied and
// SetCommitted belong to its owner, who decides what the log holds; they are serialised, so that
// several goroutines may share the role. All else may be called by any goroutine; a Reader is
// iterated by one at a time.
//
// Handler.Written runs on the committer's goroutine, Handler.Ready on whichever goroutine
// made room: they must return soon and must not wait for
// durability, but may call Append. Options.OnEvent runs where the event happens, maybe with
// locks held: it must not call the engine. Events that recovery causes come before Open returns.
//
// Data given to Append is copied and may be reused. Data of Read belongs to the engine: do not
// modify it, and copy it to keep it long. Data of ReadRange and of a plan's Execute is valid until
// the next entry, that of ReadBatches and of a plan's Batches until the next batch.
//
// # Backends and strategies
//
// The backend says how the disk is reached, the strategy what stands behind an acknowledgement.
// Every pair is valid where the backend exists.
//
//	backend   needs                            commit of the default strategy
//	ring      Linux 5.6, io_uring allowed      io_uring write with RWF_DSYNC, O_DIRECT where possible
//	direct    Linux, a file system with        pwritev2 with RWF_DSYNC
//	          O_DIRECT
//	fallback  nothing                          pwrite, then fdatasync or the system's equal
//	auto      nothing (default)                direct, or ring where it measures faster, or fallback
//
//	strategy  guarantee on acknowledgement     call per batch
//	datasync  data and what is needed to       write with DSync (default)
//	          read it
//	dsync     the same                         write to a file opened with O_DSYNC
//	osync     data and all metadata            write to a file opened with O_SYNC
//	sync      data and all metadata            write, then fsync
//	none      none: a crash loses what was     write
//	          acknowledged; for tests only
//
// On darwin every strategy but none is F_FULLFSYNC. BackendAuto writes for some tens of
// milliseconds when the engine opens, and takes the ring for commits only where it is clearly
// faster; flushes use the ring wherever it is allowed. A ring that turns slow is left for
// direct while the engine runs. Stats.Backend says what was chosen and why. A backend that was
// asked for and cannot work is ErrUnsupported with the reason; there is no silent substitute.
//
// # On disk
//
//	<dir>/LOCK                    held by the one process that owns the directory
//	<dir>/FORMAT                  "rawl 1", the major version of the format
//	<dir>/manifest-<n>            logs, hard states, segment lists, WAL files (internal/manifest)
//	<dir>/wal/<n>.wal             all logs interleaved, recycled (wal, internal/frame)
//	<dir>/wal/calibration         scratch file of BackendAuto; may be removed while closed
//	<dir>/logs/<id>/<n>.seg       one log's entries (internal/segment)
//	<dir>/logs/<id>/snapshot-<term>-<index>, checkpoint-…, recovery-…
//	                              captured states (internal/snapshot)
//
// This package writes FORMAT and the scratch file; the bytes of the others are laid down in
// the packages named. An id names one life of a log and is never used again: a log that is
// deleted and created anew under the same UID shares nothing with its predecessor.
// Directories are 0700 and files 0600. Options.WALDir puts wal/ elsewhere, on another device
// for example; the manifest names every WAL file, so that one which is missing is
// ErrMissingWAL and never an empty engine.
//
// # Recovery
//
// Open reads the manifest and then the WAL files. What lies above the last batch known to be
// durable was never acknowledged: a torn batch is cut, a whole one is taken, and committed
// anew before Open returns. Damage below is loss, and is met log by log: see Quarantine. Opening
// twice changes nothing more. RecoveryReport, in Stats, says what was found.
//
// # Quarantine
//
// When acknowledged bytes of a log do not verify, that log is set apart: its calls return a
// QuarantineError, which names the lost indexes and the reason, across restarts, until it is
// deleted or repaired, or a snapshot is installed over it. All other logs are served. Nothing is cut off silently, and a damaged
// log is never taken for a shorter one.
//
// # Snapshots of other members
//
// Log.Install accepts a snapshot in chunks. Its file is durable before anything counts. When the log
// holds the snapshot's entry, what follows that entry is what the sender has, and the snapshot is published like a
// captured one. Else one record in the write-ahead log, wal.KindInstall, replaces the whole log: a crash
// finds the old log or the new one, never an old one that was cut already and has lost what it
// acknowledged. The log goes on behind the snapshot's entry; nothing written before counts, and slots that had
// not acknowledged all below it are given up.
//
// Entries below the snapshot that its machine still needs are written to segment files of their own before
// that record, which names them, the log's own among them. So the record is
// small whatever they weigh, they cost no memory, and no entry record of the WAL has a predecessor that is not there.
// These files are numbered from 1<<63 on, so that the flush numbers its own without
// asking; files that no record came to name are swept after the next open. The manifest takes the new list when the
// WAL file of the record is flushed; the flush of files before goes to the manifest and no longer to
// readers.
//
// # Health
//
//	ok        commits are answered in time
//	slow      one has taken longer than Options.SlowAfter
//	stalled   one has taken longer than Options.StallAfter; nothing is given up, it may go on
//	readOnly  the disk is full: entries are refused with ErrReadOnly, hard state and deletions
//	          are taken while the reserve lasts, reads are served; heals when space returns
//	failed    a write or sync failed, and the attempt in a fresh file failed too: final, reads are
//	          served, and only Close and Open help
//
// After a failed sync nothing of the batch is acknowledged and its file is not touched again: a
// later sync that succeeds would prove nothing (Rebello et al., ATC 2020).
//
// # Errors
//
// Conditions that callers branch on are sentinels of this package, to be tested with errors.Is;
// what each call may return stands at the call. Errors of the device are wrapped and name the
// file. None carries payload bytes.
package engine
