package ring

import (
	"errors"
	"fmt"
	"syscall"
)

// circumstances are the facts that explain a refusal.
type circumstances struct {
	kernel   string
	disabled int // sysctl kernel.io_uring_disabled, -1 without it
	memlock  uint64
}

// refusal turns an error of a system call into one that wraps ErrUnsupported and the
// errno, and says what stands in the way, as far as errno and circumstances tell. An
// error that has nothing to do with io_uring (too many open files) comes back without
// ErrUnsupported.
func refusal(err error, c circumstances) error {
	var reason string
	switch {
	case errors.Is(err, syscall.ENOSYS):
		reason = "kernel " + c.kernel + " has no io_uring (it needs 5.6), or a seccomp filter hides it"
	case errors.Is(err, syscall.EPERM) && c.disabled == 2:
		reason = "sysctl kernel.io_uring_disabled is 2"
	case errors.Is(err, syscall.EPERM) && c.disabled == 1:
		reason = "sysctl kernel.io_uring_disabled is 1, and this process has neither CAP_SYS_ADMIN nor the group kernel.io_uring_group"
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		reason = "a seccomp filter or security module forbids it"
	case errors.Is(err, syscall.ENOMEM):
		reason = fmt.Sprintf("too little lockable memory: RLIMIT_MEMLOCK is %d bytes for all rings and buffers of this user", c.memlock)
	case errors.Is(err, syscall.EINVAL):
		reason = "kernel " + c.kernel + " does not know a call that 5.6 knows"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fmt.Errorf("ring: %w", err)
	default:
		reason = "unexpected answer"
	}
	return fmt.Errorf("ring: io_uring: %w: %s: %w", ErrUnsupported, reason, err)
}

// lacking is the refusal of a kernel that answers but misses something.
func lacking(what string, c circumstances) error {
	return fmt.Errorf("ring: io_uring: %w: kernel %s lacks %s; 5.6 is needed", ErrUnsupported, c.kernel, what)
}
