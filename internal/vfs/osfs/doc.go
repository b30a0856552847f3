// Package osfs is the operating system's file layer: all of vfs.FS but the queue, and
// the vfs.File that the production implementations hand out. It is imported by ring
// and fallback, which add a NewQueue each, and by nothing else. It writes no bytes of
// its own, except that ProbeDirect writes one block to a file that it removes.
//
// # What each system does
//
//	            linux                      darwin               windows            freebsd
//	Datasync    fdatasync                  F_FULLFSYNC          FlushFileBuffers   fsync
//	Sync        fsync                      F_FULLFSYNC          FlushFileBuffers   fsync
//	SyncData    O_DSYNC                    Datasync after each write, elsewhere too
//	SyncFull    O_SYNC                     Sync after each write, elsewhere too
//	WriteDSync  pwritev2(RWF_DSYNC)        write + Datasync, elsewhere too
//	Direct      O_DIRECT                   ErrUnsupported, elsewhere too
//	reserve     fallocate, else ftruncate  F_PREALLOCATE        SetEndOfFile       ftruncate
//	Lock        flock                      flock                LockFileEx         flock
//	SyncDir     fsync                      F_FULLFSYNC          nothing            fsync
//	Alloc       mmap, huge pages           mmap                 Go heap            mmap
//
// Permissions are set explicitly, so the umask has no say; Windows has none, a file
// there inherits its directory's. A name is opened without following a link in its last
// element, and what is opened is then checked to be a regular file.
//
// # Errors
//
// Methods return *fs.PathError (*os.LinkError for calls with two names) around the
// system's errno or one of the vfs errors, so errors.Is finds syscall.ENOSPC,
// fs.ErrNotExist and vfs.ErrAlignment alike. A write that moved some bytes before its
// continuation failed wraps vfs.ErrShortWrite and the errno.
//
// A file whose write or sync failed is not poisoned here: it goes on accepting calls, and a
// later sync of it may well succeed while proving nothing. Whoever writes keeps the rule of
// package vfs that such a file is only read and closed from then on.
package osfs
