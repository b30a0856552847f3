package main

import "golang.org/x/sys/windows"

// cpuSeconds is what the process has used, in user and kernel mode.
func cpuSeconds() *float64 {
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(windows.CurrentProcess(), &created, &exited, &kernel, &user); err != nil {
		return nil
	}
	ticks := func(f windows.Filetime) float64 { return float64(uint64(f.HighDateTime)<<32 | uint64(f.LowDateTime)) }
	return ptr((ticks(kernel) + ticks(user)) / 1e7) // in 100 ns
}
