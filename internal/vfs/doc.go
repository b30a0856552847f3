// Package vfs is the I/O contract: all that the engine asks of an operating
// system, and nothing else. It has two production implementations (ring,
// fallback; their files come from vfs/osfs), two for tests (vfs/memfs, which can
// lose power, and vfs/errorfs, which fails on demand), and one conformance suite
// (vfs/vfstest) that all of them pass.
//
// # Names
//
// A name is a path as the implementation's system spells it; callers join with
// path/filepath. Files are created 0600 and directories 0700. The last element of
// a name is never followed when it is a symbolic link. Close a file before it is
// removed or renamed: Windows demands it.
//
// # Durability
//
// A write is durable once a sync of its file that began after the write's
// completion, or the write itself when it was issued with DSync, has completed
// without an error. A file's name is durable once SyncDir of its directory has
// completed, and likewise a rename and a removal; a new directory's name needs
// SyncDir of its parent. On systems without such a call SyncDir does nothing.
//
// A failed sync says nothing about what is durable, and a later sync that
// succeeds says nothing about the bytes before the failure: Linux marks the pages
// clean when it reports the error (Rebello et al., "Can Applications Recover from
// fsync Failures?", ATC 2020). After a failed write or sync the file is never
// written, synced or appended to again; what may be done is read and close it.
//
// # Transfers
//
// Implementations continue a short transfer themselves. A write that still falls
// short reports ErrShortWrite with the count; a read that meets the end of the
// file reports io.EOF with the count. EINTR and EAGAIN never reach the caller.
//
// # Direct files
//
// A file opened with Direct bypasses the page cache: buffer address, length and
// offset are then multiples of BlockSize; other transfers fail with ErrAlignment.
// FS.Alloc returns memory that satisfies it. What was written direct is read
// direct, unless writer and reader are known not to overlap in time.
package vfs
