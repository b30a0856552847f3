//go:build linux

package nstest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// disk is a small file system of a node's own.
type disk struct{ mount string }

// newDisk makes an ext4 file system of that size and mounts it at a new directory. Its image has no name any more: it goes with the mount.
func newDisk(mount string, size int64) (*disk, error) {
	image := mount + ".img"
	if err := os.Mkdir(mount, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(image, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer os.Remove(image)
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return nil, err
	}
	if err := tool("", "mkfs.ext4", "-q", "-F", "-m", "0", image); err != nil {
		return nil, err
	}
	return &disk{mount}, tool("", "mount", "-t", "ext4", "-o", "loop", image, mount)
}

func (d *disk) ballast() string { return filepath.Join(d.mount, "ballast") }

// fill leaves no block free. Error: when the disk refuses for another reason, or does not refuse.
func (d *disk) fill() error {
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.mount, &s); err != nil {
		return err
	}
	all := int64(s.Blocks) * s.Bsize
	for block := make([]byte, 1<<20); len(block) >= 512; block = block[:len(block)/2] {
		for written := int64(0); written <= all; written += int64(len(block)) {
			if _, err = f.Write(block); err != nil {
				break
			}
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("filling %s: %w", d.mount, err)
		}
	}
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.ENOSPC) { // blocks that were only promised count
		return err
	}
	return nil
}

// free gives back what fill took.
func (d *disk) free() error { return os.Remove(d.ballast()) }
