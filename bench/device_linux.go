package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// deviceOf reads the counters of the disk that holds dir, nil when it has none.
func deviceOf(dir string) *deviceCounters {
	sys, err := diskOf(dir)
	if err != nil {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(sys, "stat"))
	fields := strings.Fields(string(b))
	if err != nil || len(fields) < 7 {
		return nil
	}
	var c deviceCounters
	c.sectors, _ = strconv.ParseUint(fields[6], 10, 64)
	if len(fields) > 15 {
		c.flushes, _ = strconv.ParseUint(fields[15], 10, 64)
	}
	return &c
}

// diskOf returns the directory in /sys of the disk, not the partition, that holds dir.
func diskOf(dir string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return "", fmt.Errorf("stat %s: %w", dir, err)
	}
	sys := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	sys, err := filepath.EvalSymlinks(sys)
	if err != nil {
		return "", fmt.Errorf("device of %s: %w", dir, err)
	}
	if _, err := os.Stat(filepath.Join(sys, "partition")); err == nil {
		sys = filepath.Dir(sys)
	}
	return sys, nil
}

// peakRSS is the most memory the process held since resetRSS, in MB.
func peakRSS() *float64 { return scaled(statusBytes("VmHWM:"), 1e-6) }

// residentBytes is the memory that the process holds.
func residentBytes() *float64 { return statusBytes("VmRSS:") }

// statusBytes reads a line of the process's status that is in KiB.
func statusBytes(name string) *float64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			kib, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				return nil
			}
			return ptr(kib * 1024)
		}
	}
	return nil
}

// resetRSS begins a new peak. It may be refused; the peak then includes the warm-up.
func resetRSS() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

var fsNames = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext2/3/4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
	unix.TMPFS_MAGIC: "tmpfs", unix.RAMFS_MAGIC: "ramfs", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
	unix.F2FS_SUPER_MAGIC: "f2fs", unix.NFS_SUPER_MAGIC: "nfs", 0x2fc12fc1: "zfs", unix.FUSE_SUPER_MAGIC: "fuse",
}

// fsType names the file system of dir, and says whether it is kept in memory.
func fsType(dir string) (name string, volatile bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "unknown: " + err.Error(), false
	}
	name, known := fsNames[int64(st.Type)]
	if !known {
		name = fmt.Sprintf("unknown (%#x)", st.Type)
	}
	return name, st.Type == unix.TMPFS_MAGIC || st.Type == unix.RAMFS_MAGIC
}

// dropCaches forgets what the page cache holds, and returns an error where that is not allowed.
func dropCaches() error {
	unix.Sync()
	return os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)
}

// forgetFile asks the kernel to forget one file's cached pages.
func forgetFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// diskName is the name of the disk that holds dir, empty when it has none.
func diskName(dir string) string {
	sys, err := diskOf(dir)
	if err != nil {
		return ""
	}
	return filepath.Base(sys)
}
