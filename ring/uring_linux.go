package ring

import (
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// uring is this package's own binding. The pointers lead into memory shared with the
// kernel, which lies outside the Go heap.
//
// Of the four positions the program writes two: sqTail publishes entries, cqHead frees
// completions. The kernel writes sqHead (only inside enter, as there is no polling
// thread) and cqTail. All count freely and wrap at 2^32; a mask makes them indexes.
type uring struct {
	fd       int
	flags    uint32
	features uint32

	sqHead, sqTail, sqFlags *uint32
	cqHead, cqTail, cqLost  *uint32
	sqes                    []sqe
	cqes                    []cqe
	sqMask, cqMask          uint32

	maps   [3][]byte // submission ring, completion ring (nil when shared), entries
	tables []uintptr // what close has to unregister
}

// setupFlags are asked for in this order of worth and given up from the back: a kernel
// answers EINVAL to any flag that it does not know.
//
// Left out on purpose: SINGLE_ISSUER and DEFER_TASKRUN tie a ring to one thread, SQPOLL
// spends a processor, IOPOLL cannot carry a sync.
var setupFlags = [...]uint32{setupSubmitAll, setupCoop}

// newUring sets up an instance of sq and cq entries, both powers of two and cq at least
// sq. With plain no optional flag is used. Errors are errnos wrapped by the name of the
// failed call.
func newUring(sq, cq uint32, plain bool) (*uring, error) {
	n := len(setupFlags)
	if plain {
		n = 0
	}
	for ; ; n-- {
		p := params{flags: setupCQSize, cqEntries: cq}
		for _, f := range setupFlags[:n] {
			p.flags |= f
		}
		fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(sq), uintptr(unsafe.Pointer(&p)), 0)
		if errno == unix.EINVAL && n > 0 {
			continue
		}
		if errno != 0 {
			return nil, os.NewSyscallError("io_uring_setup", errno)
		}
		r := &uring{fd: int(fd), flags: p.flags, features: p.features}
		if err := r.mmap(&p); err != nil {
			_ = r.close()
			return nil, err
		}
		return r, nil
	}
}

// mmap maps the rings and resolves the offsets that the kernel reported in p.
func (r *uring) mmap(p *params) error {
	sqBytes := int(p.sqOff.array) + int(p.sqEntries)*4
	cqBytes := int(p.cqOff.cqes) + int(p.cqEntries)*int(unsafe.Sizeof(cqe{}))
	single := p.features&featSingleMmap != 0
	if single {
		sqBytes = max(sqBytes, cqBytes)
	}
	var err error
	if r.maps[0], err = r.mapAt(mapSQRing, sqBytes); err != nil {
		return err
	}
	sqRing, cqRing := r.maps[0], r.maps[0]
	if !single {
		if r.maps[1], err = r.mapAt(mapCQRing, cqBytes); err != nil {
			return err
		}
		cqRing = r.maps[1]
	}
	if r.maps[2], err = r.mapAt(mapSQEs, int(p.sqEntries)*int(unsafe.Sizeof(sqe{}))); err != nil {
		return err
	}

	r.sqHead = word(sqRing, p.sqOff.head)
	r.sqTail = word(sqRing, p.sqOff.tail)
	r.sqFlags = word(sqRing, p.sqOff.flags)
	r.cqHead = word(cqRing, p.cqOff.head)
	r.cqTail = word(cqRing, p.cqOff.tail)
	r.cqLost = word(cqRing, p.cqOff.overflow)
	r.sqMask = *word(sqRing, p.sqOff.ringMask)
	r.cqMask = *word(cqRing, p.cqOff.ringMask)
	r.sqes = unsafe.Slice((*sqe)(unsafe.Pointer(unsafe.SliceData(r.maps[2]))), p.sqEntries)
	r.cqes = unsafe.Slice((*cqe)(unsafe.Pointer(word(cqRing, p.cqOff.cqes))), p.cqEntries)
	// Entry i is always announced by place i, so the index array is written once.
	for i, a := 0, unsafe.Slice(word(sqRing, p.sqOff.array), p.sqEntries); i < len(a); i++ {
		a[i] = uint32(i)
	}
	return nil
}

func (r *uring) mapAt(offset int64, size int) ([]byte, error) {
	b, err := unix.Mmap(r.fd, offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	// A forked child must not write into the rings of its parent. Advice only.
	_ = unix.Madvise(b, unix.MADV_DONTFORK)
	return b, nil
}

// word returns the 32-bit word at an offset that the kernel reported, all of which are
// aligned.
func word(b []byte, off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&b[off])) }

func (r *uring) sqSize() uint32 { return r.sqMask + 1 }
func (r *uring) cqSize() uint32 { return r.cqMask + 1 }

func (r *uring) push(e sqe) bool {
	tail := *r.sqTail
	if tail-atomic.LoadUint32(r.sqHead) > r.sqMask {
		return false
	}
	r.sqes[tail&r.sqMask] = e
	atomic.StoreUint32(r.sqTail, tail+1)
	return true
}

func (r *uring) unsent() uint32 { return *r.sqTail - atomic.LoadUint32(r.sqHead) }

func (r *uring) entry(i uint32) *sqe {
	return &r.sqes[(atomic.LoadUint32(r.sqHead)+i)&r.sqMask]
}

// enter always asks for events: that is also what makes the kernel run finished work and
// move completions from its overflow list into the ring.
func (r *uring) enter(wait uint32) syscall.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(r.unsent()), uintptr(wait),
		enterGetEvents, 0, 0)
	return errno
}

func (r *uring) next() (cqe, bool) {
	head := *r.cqHead
	if head == atomic.LoadUint32(r.cqTail) {
		return cqe{}, false
	}
	c := r.cqes[head&r.cqMask]
	atomic.StoreUint32(r.cqHead, head+1)
	return c, true
}

func (r *uring) dropped() uint32 { return atomic.LoadUint32(r.cqLost) }

// close unregisters first: the kernel tears a closed ring down later, and would hold
// registered files open and registered memory locked until then.
func (r *uring) close() error {
	for _, unregister := range r.tables {
		_ = r.register(unregister, nil, 0)
	}
	r.tables = nil
	var first error
	for i, m := range r.maps {
		if m == nil {
			continue
		}
		if err := unix.Munmap(m); err != nil && first == nil {
			first = os.NewSyscallError("munmap", err)
		}
		r.maps[i] = nil
	}
	if err := unix.Close(r.fd); err != nil && first == nil {
		first = os.NewSyscallError("close", err)
	}
	return first
}
