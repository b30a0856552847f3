package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ownDescriptors names what this process has open, where the system says so.
const ownDescriptors = "/proc/self/fd"

// leftOpen is the error of descriptors of files below dir, and of rings, that are open though the engine has been closed.
func leftOpen(dir string) error {
	list, err := os.ReadDir(ownDescriptors)
	if os.IsNotExist(err) {
		return nil // not Linux
	}
	if err != nil {
		return err
	}
	if dir, err = filepath.EvalSymlinks(dir); err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return err
	}
	var open []string
	for _, d := range list {
		name, err := os.Readlink(filepath.Join(ownDescriptors, d.Name()))
		if err != nil {
			continue // the one by which the list was read
		}
		if strings.HasPrefix(name, dir+string(filepath.Separator)) || name == "anon_inode:[io_uring]" {
			open = append(open, name)
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("%d descriptors are still open: %s", len(open), strings.Join(open, ", "))
	}
	return nil
}
