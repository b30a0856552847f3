package vfstest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/rawl-db/rawl/internal/vfs"
)

func systemCases() []testCase {
	return []testCase{
		{"Permissions", testPermissions},
		{"SymbolicLinks", testSymbolicLinks},
	}
}

func testPermissions(e *env) {
	if runtime.GOOS == "windows" {
		e.Skip("permission bits do not exist here")
	}
	e.must(e.create("f", 4096).Close())
	e.must(e.fs.MkdirAll(filepath.Join(e.path("d"), "inner")))
	held, err := e.fs.Lock(e.path("LOCK"))
	e.must(err)
	e.must(held.Close())
	for name, want := range map[string]fs.FileMode{"f": 0o600, "LOCK": 0o600, "d": 0o700, "d/inner": 0o700} {
		info, err := os.Lstat(e.path(name))
		e.must(err)
		if got := info.Mode().Perm(); got != want {
			e.Errorf("%s has permissions %o, want %o", name, got, want)
		}
	}
}

func testSymbolicLinks(e *env) {
	f := e.create("target", 0)
	e.writeAt(f, []byte("secret"), 0)
	e.must(f.Close())
	for name, to := range map[string]string{"link": "target", "dangling": "made", "lock": "target"} {
		if err := os.Symlink(e.path(to), e.path(name)); err != nil {
			if errors.Is(err, fs.ErrPermission) || runtime.GOOS == "windows" {
				e.Skipf("symbolic links are refused here: %v", err)
			}
			e.must(err)
		}
	}
	_, err := e.fs.Open(e.path("link"), vfs.OpenOptions{})
	e.wantFail("Open of a symbolic link", err)
	_, err = e.fs.Open(e.path("link"), vfs.OpenOptions{Write: true})
	e.wantFail("Open of a symbolic link for writing", err)
	_, err = e.fs.Create(e.path("dangling"), vfs.CreateOptions{})
	e.wantFail("Create through a dangling symbolic link", err)
	_, err = e.fs.Lock(e.path("lock"))
	e.wantFail("Lock of a symbolic link", err)

	info, err := e.fs.Stat(e.path("link"))
	e.must(err)
	if info.Regular || info.Dir {
		e.Errorf("Stat of a symbolic link = %+v, want neither regular nor a directory", info)
	}
	e.must(e.fs.Remove(e.path("link")))
	e.wantNames("dangling", "lock", "target")
}
