package vfstest

import (
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/rawl-db/rawl/internal/vfs"
)

func nameCases() []testCase {
	return []testCase{
		{"Missing", testMissing},
		{"Exists", testExists},
		{"OpenNotRegular", testOpenNotRegular},
		{"Rename", testRename},
		{"Link", testLink},
		{"Remove", testRemove},
		{"MkdirAll", testMkdirAll},
		{"List", testList},
		{"Stat", testStat},
		{"SyncDir", testSyncDir},
		{"Lock", testLock},
		{"FreeSpace", testFreeSpace},
	}
}

func testMissing(e *env) {
	gone := e.path("gone")
	_, err := e.fs.Open(gone, vfs.OpenOptions{})
	e.wantErr("Open", err, fs.ErrNotExist)
	_, err = e.fs.Open(gone, vfs.OpenOptions{Write: true})
	e.wantErr("Open for writing", err, fs.ErrNotExist)
	_, err = e.fs.Create(filepath.Join(gone, "x"), vfs.CreateOptions{})
	e.wantErr("Create in a missing directory", err, fs.ErrNotExist)
	_, err = e.fs.Stat(gone)
	e.wantErr("Stat", err, fs.ErrNotExist)
	_, err = e.fs.List(gone)
	e.wantErr("List", err, fs.ErrNotExist)
	e.wantErr("Remove", e.fs.Remove(gone), fs.ErrNotExist)
	e.wantErr("Rename", e.fs.Rename(gone, e.path("new")), fs.ErrNotExist)
	e.wantErr("Link", e.fs.Link(gone, e.path("new")), fs.ErrNotExist)
	e.wantNames()
}

func testExists(e *env) {
	f := e.create("a", 0)
	e.writeAt(f, []byte("kept"), 0)
	e.must(f.Close())
	e.must(e.fs.MkdirAll(e.path("d")))

	_, err := e.fs.Create(e.path("a"), vfs.CreateOptions{Size: 8192})
	e.wantErr("Create over a file", err, fs.ErrExist)
	_, err = e.fs.Create(e.path("d"), vfs.CreateOptions{})
	e.wantErr("Create over a directory", err, fs.ErrExist)
	e.wantFail("MkdirAll over a file", e.fs.MkdirAll(e.path("a")))

	g := e.open("a", vfs.OpenOptions{})
	e.wantSize(g, 4)
	e.wantAt(g, 0, []byte("kept"))
}

func testOpenNotRegular(e *env) {
	e.must(e.fs.MkdirAll(e.path("d")))
	_, err := e.fs.Open(e.path("d"), vfs.OpenOptions{})
	e.wantFail("Open of a directory", err)
	_, err = e.fs.Open(e.path("d"), vfs.OpenOptions{Write: true})
	e.wantFail("Open of a directory for writing", err)
}

func testRename(e *env) {
	for _, name := range []string{"a", "b"} {
		f := e.create(name, 0)
		e.writeAt(f, []byte("file "+name), 0)
		e.must(f.Close())
	}
	e.must(e.fs.MkdirAll(e.path("d")))
	e.must(e.fs.Rename(e.path("a"), e.path("b")))
	e.wantNames("b", "d")
	e.must(e.fs.Rename(e.path("b"), filepath.Join(e.path("d"), "c")))
	e.wantNames("d")
	f := e.open(filepath.Join("d", "c"), vfs.OpenOptions{})
	e.wantSize(f, 6)
	e.wantAt(f, 0, []byte("file a"))
	e.must(f.Close())

	e.must(e.fs.Rename(e.path("d"), e.path("e")))
	f = e.open(filepath.Join("e", "c"), vfs.OpenOptions{})
	e.wantAt(f, 0, []byte("file a"))
}

func testLink(e *env) {
	f := e.create("a", 0)
	e.writeAt(f, []byte("shared"), 0)
	e.must(f.Close())
	e.must(e.create("b", 0).Close())

	e.must(e.fs.Link(e.path("a"), e.path("c")))
	e.wantErr("Link over a file", e.fs.Link(e.path("a"), e.path("b")), fs.ErrExist)
	e.wantNames("a", "b", "c")

	f = e.open("c", vfs.OpenOptions{Write: true})
	e.writeAt(f, []byte("S"), 0)
	e.must(f.Close())
	g := e.open("a", vfs.OpenOptions{})
	e.wantAt(g, 0, []byte("Shared"))
	e.must(g.Close())

	e.must(e.fs.Remove(e.path("a")))
	g = e.open("c", vfs.OpenOptions{})
	e.wantAt(g, 0, []byte("Shared"))
}

func testRemove(e *env) {
	e.must(e.create("a", 4096).Close())
	e.must(e.fs.MkdirAll(e.path("d")))
	e.must(e.create(filepath.Join("d", "x"), 0).Close())

	e.must(e.fs.Remove(e.path("a")))
	e.wantErr("Remove twice", e.fs.Remove(e.path("a")), fs.ErrNotExist)
	e.wantFail("Remove of a directory that is not empty", e.fs.Remove(e.path("d")))
	e.must(e.fs.Remove(filepath.Join(e.path("d"), "x")))
	e.must(e.fs.Remove(e.path("d")))
	e.wantNames()

	f := e.create("a", 0)
	e.wantSize(f, 0)
}

func testMkdirAll(e *env) {
	deep := filepath.Join(e.path("x"), "y", "z")
	e.must(e.fs.MkdirAll(deep))
	e.must(e.fs.MkdirAll(deep))
	e.must(e.fs.MkdirAll(e.path("x")))
	for _, dir := range []string{e.path("x"), deep} {
		info, err := e.fs.Stat(dir)
		e.must(err)
		if !info.Dir || info.Regular {
			e.Errorf("Stat(%s) = %+v, want a directory", dir, info)
		}
	}
	e.must(e.create(filepath.Join("x", "y", "z", "f"), 0).Close())
}

func testList(e *env) {
	e.wantNames()
	for _, name := range []string{"b", "10", "a", "9", "C", "a.b"} {
		e.must(e.create(name+".f", 0).Close())
	}
	e.must(e.fs.MkdirAll(filepath.Join(e.path("aa"), "inner")))
	e.wantNames("10.f", "9.f", "C.f", "a.b.f", "a.f", "aa", "b.f")
}

// wantNames checks what the subtest's directory holds.
func (e *env) wantNames(want ...string) {
	e.Helper()
	got, err := e.fs.List(e.dir)
	e.must(err)
	if len(got) == len(want) && slices.Equal(got, want) {
		return
	}
	e.Errorf("List = %q, want %q", got, want)
}

func testStat(e *env) {
	f := e.create("a", 0)
	e.writeAt(f, make([]byte, 777), 0)
	e.must(f.Close())
	info, err := e.fs.Stat(e.path("a"))
	e.must(err)
	if info != (vfs.Info{Size: 777, Regular: true}) {
		e.Errorf("Stat of a file of 777 bytes = %+v", info)
	}
	info, err = e.fs.Stat(e.dir)
	e.must(err)
	if !info.Dir || info.Regular {
		e.Errorf("Stat of a directory = %+v", info)
	}
}

func testSyncDir(e *env) {
	e.must(e.fs.SyncDir(e.dir))
	e.must(e.create("a", 0).Close())
	e.must(e.fs.SyncDir(e.dir))
	e.must(e.fs.Rename(e.path("a"), e.path("b")))
	e.must(e.fs.SyncDir(e.dir))
}

func testLock(e *env) {
	held, err := e.fs.Lock(e.path("LOCK"))
	e.must(err)
	if _, err := e.fs.Lock(e.path("LOCK")); err == nil {
		e.Fatal("a lock was taken twice")
	} else {
		e.wantErr("Lock of a held lock", err, vfs.ErrLocked)
	}
	other, err := e.fs.Lock(e.path("LOCK2"))
	e.must(err)
	e.must(held.Close())
	e.wantNames("LOCK", "LOCK2")
	held, err = e.fs.Lock(e.path("LOCK"))
	e.must(err)
	_, err = e.fs.Lock(e.path("LOCK2"))
	e.wantErr("Lock of the other lock", err, vfs.ErrLocked)
	e.must(held.Close())
	e.must(other.Close())

	_, err = e.fs.Lock(filepath.Join(e.path("gone"), "LOCK"))
	e.wantErr("Lock in a missing directory", err, fs.ErrNotExist)
}

func testFreeSpace(e *env) {
	n, err := e.fs.FreeSpace(e.dir)
	e.must(err)
	if n == 0 {
		e.Error("FreeSpace is 0")
	}
}
