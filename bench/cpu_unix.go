//go:build unix

package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuSeconds is what the process has used, in user and kernel mode. Work that the kernel does
// for it in threads of its own is not in it.
func cpuSeconds() *float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return nil
	}
	return ptr((time.Duration(u.Utime.Nano()) + time.Duration(u.Stime.Nano())).Seconds())
}
