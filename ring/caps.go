package ring

import (
	"fmt"
	"strings"
)

// Caps reports what the kernel and this process' rights allow.
type Caps struct {
	// Err is nil when io_uring is usable; else it wraps ErrUnsupported and is what Open
	// returns.
	Err error
	// Binding names the code that speaks to the kernel: rawl or giouring.
	Binding string
	// Kernel is the release as uname reports it; empty off Linux.
	Kernel string
	// Disabled is sysctl kernel.io_uring_disabled: 0, 1 or 2; -1 where it does not exist.
	Disabled int
	// MemlockBytes is the soft RLIMIT_MEMLOCK; 1<<64-1 is unlimited. Root is exempt.
	MemlockBytes uint64
	// Features are the IORING_FEAT bits.
	Features uint32
	// Coop and SubmitAll say whether rings are set up with COOP_TASKRUN and SUBMIT_ALL.
	Coop, SubmitAll bool
	// Files and Buffers say whether files and buffers can be registered.
	Files, Buffers bool
}

// String describes c in one line for people.
func (c Caps) String() string {
	if c.Err != nil {
		return c.Err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "io_uring usable: Linux %s, binding %s, features %#x", c.Kernel, c.Binding, c.Features)
	for _, f := range []struct {
		have bool
		name string
	}{{c.Coop, "COOP_TASKRUN"}, {c.SubmitAll, "SUBMIT_ALL"}, {c.Files, "registered files"}, {c.Buffers, "registered buffers"}} {
		if f.have {
			b.WriteString(", " + f.name)
		} else {
			b.WriteString(", no " + f.name)
		}
	}
	if c.MemlockBytes == 1<<64-1 {
		b.WriteString(", memlock unlimited")
	} else {
		fmt.Fprintf(&b, ", memlock %d KiB", c.MemlockBytes>>10)
	}
	return b.String()
}
