// Package memfs is a file system in memory that can lose power. It implements the
// I/O contract of package vfs under the strict POSIX model, the weakest that the
// contract allows, so that what survives here survives on every file system:
//
//   - File data is durable only by Datasync, Sync, or a write with DSync or on a file
//     opened with a SyncMode. Such a write makes its own sectors durable, and the size
//     where it needs it, and nothing else.
//   - A size is durable only by Datasync and Sync, or by a DSync write beyond it.
//   - A directory entry, be it created, linked, renamed or removed, is durable only by
//     SyncDir of its directory; that of a new directory by SyncDir of the parent.
//     A rename across directories becomes durable, as a whole, with the new directory.
//   - Direct files check alignment and promise nothing more: a device has a cache too.
//
// Crash returns the file system as it would be found after a power cut at that moment.
// It is a file system of its own; the original goes on undisturbed, so one run can be cut
// at every operation. Pages are shared between both and copied on the next write.
//
// # What an image may hold
//
// Of everything unsynced, CrashOptions keeps nothing, all, or what a seed draws:
//
//   - Of each write, any subset of its sectors of SectorSize bytes, independently of
//     every other write: torn anywhere, a later write without an earlier one. A sector is
//     atomic, and holds what the cache held after some write to it, or its durable bytes.
//   - Of the size changes of one file, any prefix. Bytes beyond the resulting size are gone;
//     bytes within it that no write brought read as zeros.
//   - Of the directory operations, any subset, except that a rename is kept or lost as
//     a whole, and that one kept brings along every earlier one on the same name.
//
// Reserved space reads as zeros. Bytes once made durable always survive, unless
// something unsynced overwrites or cuts them.
//
// # Names
//
// Names are slash- or system-separated; relative ones start at the root, which always
// exists and is durable. There are no symbolic links, owners or permissions.
//
// # Determinism
//
// The package starts no goroutine and reads no clock. Queued operations run within Reap,
// in an order that the seed draws; used by one goroutine, the same seed gives the same run.
package memfs
