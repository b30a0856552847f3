package osfs

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

func link(oldName, newName string) error {
	err := os.Link(oldName, newName)
	if e, ok := err.(*os.LinkError); ok {
		return e.Err
	}
	return err
}

var errNoDirectory = errors.New("not a directory")

func openDir(dir string) (*os.File, error) {
	info, err := os.Lstat(dir)
	if err != nil {
		return nil, bare(err)
	}
	if !info.IsDir() {
		return nil, errNoDirectory
	}
	f, err := os.Open(dir)
	return f, bare(err)
}

// syncDir does nothing: NTFS journals its directories, and there is no call to wait for.
func syncDir(string) error { return nil }

func freeSpace(dir string) (uint64, error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	err = windows.GetDiskFreeSpaceEx(name, &free, nil, nil)
	return free, err
}
