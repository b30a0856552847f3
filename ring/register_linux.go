package ring

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// register is the io_uring_register system call. arg stays reachable throughout, as
// unsafe.Pointer conversions in a call's argument list do.
func (r *uring) register(op uintptr, arg unsafe.Pointer, n uint32) syscall.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), op, uintptr(arg), uintptr(n), 0, 0)
	return errno
}

// probe asks which opcodes the kernel has; EINVAL before Linux 5.6.
func (r *uring) probe(p *probe) syscall.Errno {
	return r.register(registerProbe, unsafe.Pointer(p), probeOps)
}

func (r *uring) fileTable(n uint32) syscall.Errno {
	fds := make([]int32, n)
	for i := range fds {
		fds[i] = noDescriptor
	}
	return r.table(unregisterFiles, r.register(registerFiles, unsafe.Pointer(unsafe.SliceData(fds)), n))
}

func (r *uring) setFile(i uint32, fd int32) syscall.Errno {
	pfd := &fd
	u := filesUpdate{offset: i, fds: uint64(uintptr(unsafe.Pointer(pfd)))}
	var pin runtime.Pinner // u refers to it by number, and stacks move
	pin.Pin(pfd)
	defer pin.Unpin()
	return r.register(registerFilesUpdate, unsafe.Pointer(&u), 1)
}

func (r *uring) bufferTable(n uint32) syscall.Errno {
	t := bufferTable{nr: n, flags: registerSparse}
	return r.table(unregisterBuffers, r.register(registerBuffers2, unsafe.Pointer(&t), uint32(unsafe.Sizeof(t))))
}

// table notes for close what was registered without an error.
func (r *uring) table(unregister uintptr, errno syscall.Errno) syscall.Errno {
	if errno == 0 {
		r.tables = append(r.tables, unregister)
	}
	return errno
}

func (r *uring) setBuffer(i uint32, b []byte) syscall.Errno {
	v := &unix.Iovec{Base: unsafe.SliceData(b)}
	v.SetLen(len(b))
	u := bufferUpdate{offset: i, nr: 1, data: uint64(uintptr(unsafe.Pointer(v)))}
	var pin runtime.Pinner // u refers to it by number, and stacks move
	pin.Pin(v)
	defer pin.Unpin()
	return r.register(registerBuffersUpd, unsafe.Pointer(&u), uint32(unsafe.Sizeof(u)))
}
