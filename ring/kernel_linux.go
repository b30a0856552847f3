package ring

import "syscall"

// kernel is one io_uring instance as the queue sees it: this package's binding (uring),
// the one behind the build tag giouring, and in tests a wrapper that injects faults. Its
// methods belong to one goroutine. Errors are bare errnos, 0 for success: the commit
// path allocates nothing.
type kernel interface {
	// push copies e into the submission ring. It reports false when the ring is full: enter
	// first.
	push(e sqe) bool
	// unsent returns how many pushed entries the kernel has not taken yet.
	unsent() uint32
	// entry returns the i-th unsent entry, 0 being the oldest. It may be changed until the
	// next enter, and must not be used after it.
	entry(i uint32) *sqe
	// enter hands all unsent entries to the kernel and waits until at least wait completions
	// are ready, in one system call. It may block. The kernel may take fewer entries than
	// there are, and then does not wait; unsent tells.
	enter(wait uint32) syscall.Errno
	// next returns the oldest completion and frees its place. No system call.
	next() (cqe, bool)
	// dropped returns the kernel's count of completions it lost. It must never change.
	dropped() uint32
	// sqSize and cqSize return the sizes of the two rings in entries.
	sqSize() uint32
	cqSize() uint32

	// fileTable registers n empty places for files; setFile fills one, or empties it with
	// noDescriptor.
	fileTable(n uint32) syscall.Errno
	setFile(i uint32, fd int32) syscall.Errno
	// bufferTable registers n empty places for buffers; setBuffer fills one.
	bufferTable(n uint32) syscall.Errno
	setBuffer(i uint32, b []byte) syscall.Errno

	// close takes back what was registered, unmaps the rings and closes the descriptor.
	// Nothing may be in flight.
	close() error
}
