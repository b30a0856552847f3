// Package ring is the I/O contract (internal/vfs) over Linux io_uring: files are osfs
// files, queues are io_uring instances. Where io_uring cannot be used, Open refuses with
// ErrUnsupported and the reason; the engine then takes fallback.
//
// It owns no goroutine, writes no bytes of its own, and is imported by the engine only.
//
// # Binding
//
// The kernel is spoken to over golang.org/x/sys/unix alone, without cgo and linkname.
// The build tag giouring exchanges the binding for github.com/pawelgaczynski/giouring,
// which links only with -ldflags=-checklinkname=0; everything above the interface kernel
// is the same.
//
// Rings are set up with COOP_TASKRUN and SUBMIT_ALL where the kernel knows them. There
// is no polling thread, no eventfd and no thread that a goroutine is locked to. Starting
// operations and waiting for them is one system call through unix.Syscall6, so that the
// runtime can use the processor meanwhile.
//
// # A queue's life
//
// Submit fills a slot. Reap writes the entries of all slots that may start into the
// submission ring, enters the kernel once, and takes completions until enough operations
// have finished. An entry carries the slot's index and a generation, never a pointer; a
// completion that matches no flight makes the queue unusable.
//
// What the caller never sees: interrupted calls, a full submission ring, a full
// completion ring, EAGAIN, EINTR and stray ECANCELED in completions (started again a
// bounded number of times, then carried out by ordinary system calls), and short
// transfers, which are continued; on direct files from the last whole block.
//
// Links are the kernel's where a chain fits into one call, and the queue's own where it
// does not, where the kernel took a part of it, or where a short or repeated operation
// broke it: the operation behind then starts when the one before it has really
// succeeded.
package ring
