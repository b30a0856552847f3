// Package snapshotwriter is the only creator of snapshot files: it writes captured states to
// them, promotes checkpoints, and receives snapshots from other members. The bytes are those of
// internal/snapshot; this package decides in which order things become durable.
//
//	<dir>/<log>/snapshot-<term>-<index>          finished; also checkpoint-…, recovery-…
//	<dir>/<log>/snapshot-<term>-<index>.tmp      being written
//	<dir>/<log>/snapshot-<term>-<index>.part     being received
//	<dir>/<log>/snapshot-<term>-<index>.bad      set aside as damaged
//
// # Order
//
// A file is written under its unfinished name, header first, trailer last. Then
//
//   - a snapshot is synced, renamed, and its directory and the one above synced: the name of
//     the log's directory may be as new. Only then is the result valid.
//   - a checkpoint and a recovery checkpoint are renamed, and nothing is synced. After a power cut
//     such a file may be gone, empty or torn; opening and verifying it tells.
//   - promotion verifies a checkpoint, syncs it, renames it and syncs the directory.
//   - of a received snapshot each chunk is verified before it is written. What was there before an interruption is read back and
//     verified, too. Then it is synced, renamed, and its directory and the one above synced.
//
// A finished file is never replaced or written to: a second one of the same kind and position
// is ErrExists. Until the caller has recorded a snapshot elsewhere it does not count; a crash leaves
// a whole file that nobody refers to, or an unfinished one, which the name tells.
//
// # Failures
//
// Whatever fails, the unfinished file is removed and nothing is published. What cannot be
// removed keeps its unfinished name. A file whose write or sync failed is not touched again but to
// remove it; that holds for the checkpoint whose sync failed in its promotion, because a later sync
// of it might succeed and prove nothing.
//
// # The disk's other users
//
// Options.BytesPerSecond bounds what all jobs of a Writer transfer together, and snapshots are
// synced every few MiB, so that they never leave the device a storm of dirty pages. There is no I/O
// priority: Linux ties it to threads and Go moves goroutines between them, so the rate is what keeps
// others fast.
//
// # Goroutines
//
// A Writer starts none. Its owner runs Run on Options.Workers goroutines, or calls Step.
package snapshotwriter
