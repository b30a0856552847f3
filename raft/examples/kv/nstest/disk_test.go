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

// fill leaves no block free. Error: when the disk refuses for another reason than that.
func (d *disk) fill() error {
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	end := int64(0)
	for piece := int64(64 << 20); piece >= 512; piece /= 2 {
		for {
			if err = syscall.Fallocate(int(f.Fd()), 0, end, piece); err != nil {
				break
			}
			end += piece
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("filling %s: %w", d.mount, err)
		}
	}
	return nil
}

// free gives back what fill took.
func (d *disk) free() error { return os.Remove(d.ballast()) }
