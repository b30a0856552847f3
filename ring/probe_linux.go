package ring

import (
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rawl-db/rawl/internal/vfs"
)

// neededOps are the operations without which there is no queue.
var neededOps = [...]struct {
	op   uint8
	name string
}{
	{opNop, "NOP"}, {opFsync, "FSYNC"}, {opReadFixed, "READ_FIXED"}, {opWriteFixed, "WRITE_FIXED"},
	{opAsyncCancel, "ASYNC_CANCEL"}, {opRead, "READ"}, {opWrite, "WRITE"},
}

// Probe uses io_uring once, with a small ring of its own that it closes again, and
// reports what it found. It blocks for well under a millisecond.
func Probe() Caps {
	at := around()
	c := Caps{Binding: bindingName, Kernel: at.kernel, Disabled: at.disabled, MemlockBytes: at.memlock}
	r, err := newUring(4, 8, false)
	if err != nil {
		c.Err = refusal(err, at)
		return c
	}
	defer func() { _ = r.close() }()
	c.Features = r.features
	c.Coop = r.flags&setupCoop != 0
	c.SubmitAll = r.flags&setupSubmitAll != 0
	if c.Err = examine(r, at); c.Err != nil {
		return c
	}
	c.Files = r.fileTable(1) == 0
	c.Buffers = r.bufferTable(1) == 0
	return c
}

// examine checks features and opcodes, and sends one operation around: a filter may
// allow the setup and forbid the rest.
func examine(r *uring, at circumstances) error {
	if r.features&featNoDrop == 0 {
		return lacking("FEAT_NODROP", at)
	}
	var p probe
	if e := r.probe(&p); e != 0 {
		return refusal(os.NewSyscallError("io_uring_register", e), at)
	}
	for _, n := range neededOps {
		if p.ops[n.op].flags&probeHasOp == 0 {
			return lacking("the operation "+n.name, at)
		}
	}
	return roundTrip(r, at)
}

func roundTrip(k kernel, at circumstances) error {
	const mark = 0x7261776c
	k.push(sqe{opcode: opNop, fd: noDescriptor, userData: mark})
	for range maxStuck {
		if e := k.enter(1); e != 0 && e != syscall.EINTR && e != syscall.EAGAIN {
			return refusal(os.NewSyscallError("io_uring_enter", e), at)
		}
		if c, ok := k.next(); ok {
			if c.userData != mark || c.res != 0 {
				return lacking("a NOP that returns", at)
			}
			return nil
		}
	}
	return refusal(os.NewSyscallError("io_uring_enter", syscall.EAGAIN), at)
}

// around collects the circumstances. What cannot be read stays unknown.
func around() circumstances {
	c := circumstances{kernel: "unknown", disabled: -1}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		c.kernel = unix.ByteSliceToString(u.Release[:])
	}
	if b, err := os.ReadFile("/proc/sys/kernel/io_uring_disabled"); err == nil {
		if v, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			c.disabled = v
		}
	}
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &l) == nil {
		c.memlock = l.Cur
	}
	return c
}

// openQueue sets up the rings of one queue.
func openQueue(depth int, o Options) (vfs.Queue, error) {
	k, err := newKernel(depth, o.Plain)
	if err != nil {
		return nil, refusal(err, around())
	}
	return newQueue(k, depth), nil
}
