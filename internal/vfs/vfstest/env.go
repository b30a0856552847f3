package vfstest

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
)

// env is one subtest's file system. Everything made through it is closed at the end:
// queues, then files, then memory.
type env struct {
	*testing.T
	fs     vfs.FS
	dir    string
	direct bool

	queues []vfs.Queue
	files  []vfs.File
	frees  []func()
}

func newEnv(t *testing.T, open Open, direct bool) *env {
	fs, dir := open(t)
	e := &env{T: t, fs: fs, dir: dir, direct: direct}
	t.Cleanup(e.cleanup)
	return e
}

func (e *env) cleanup() {
	for _, q := range e.queues {
		if err := q.Close(); err != nil && !errors.Is(err, vfs.ErrClosed) {
			e.Errorf("closing a queue: %v", err)
		}
	}
	for _, f := range e.files {
		if err := f.Close(); err != nil && !errors.Is(err, vfs.ErrClosed) {
			e.Errorf("closing %s: %v", f.Name(), err)
		}
	}
	for _, free := range e.frees {
		free()
	}
}

func (e *env) path(name string) string { return filepath.Join(e.dir, name) }

// must ends the subtest when err is not nil.
func (e *env) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// wantErr checks that err wraps target.
func (e *env) wantErr(what string, err, target error) {
	e.Helper()
	if !errors.Is(err, target) {
		e.Errorf("%s: error %v, want one that wraps %q", what, err, target)
	}
}

// wantFail checks that err is some error.
func (e *env) wantFail(what string, err error) {
	e.Helper()
	if err == nil {
		e.Errorf("%s: no error", what)
	}
}

func (e *env) create(name string, size int64) vfs.File {
	e.Helper()
	return e.createWith(name, vfs.CreateOptions{Direct: e.direct, Size: size})
}

func (e *env) createWith(name string, o vfs.CreateOptions) vfs.File {
	e.Helper()
	f, err := e.fs.Create(e.path(name), o)
	e.must(err)
	e.files = append(e.files, f)
	return f
}

func (e *env) open(name string, o vfs.OpenOptions) vfs.File {
	e.Helper()
	f, err := e.fs.Open(e.path(name), o)
	e.must(err)
	e.files = append(e.files, f)
	return f
}

func (e *env) queue(depth int) vfs.Queue {
	e.Helper()
	q, err := e.fs.NewQueue(depth)
	e.must(err)
	e.queues = append(e.queues, q)
	return q
}

// buf returns n bytes that suit a direct file.
func (e *env) buf(n int) []byte {
	e.Helper()
	b, free, err := e.fs.Alloc(n)
	e.must(err)
	e.frees = append(e.frees, free)
	if len(b) < n {
		e.Fatalf("Alloc(%d) returned %d bytes", n, len(b))
	}
	return b[:n]
}

// filled returns n bytes of which each is a function of its position and of seed, and
// none is zero.
func (e *env) filled(n int, seed byte) []byte {
	e.Helper()
	b := e.buf(n)
	fill(b, seed)
	return b
}

func fill(b []byte, seed byte) {
	for i := range b {
		b[i] = byte((i+i>>8)*7+int(seed)*31)%255 + 1
	}
}

func (e *env) writeAt(f vfs.File, b []byte, off int64) {
	e.Helper()
	n, err := f.WriteAt(b, off)
	e.must(err)
	if n != len(b) {
		e.Fatalf("WriteAt(%d bytes at %d) = %d without an error", len(b), off, n)
	}
}

// wantAt checks that f holds want at off.
func (e *env) wantAt(f vfs.File, off int64, want []byte) {
	e.Helper()
	got := e.buf(len(want))
	n, err := f.ReadAt(got, off)
	if err != nil || n != len(want) {
		e.Fatalf("ReadAt(%d bytes at %d) = %d, %v", len(want), off, n, err)
	}
	e.wantSame("read back", got, want)
}

func (e *env) wantSame(what string, got, want []byte) {
	e.Helper()
	if bytes.Equal(got, want) {
		return
	}
	if len(got) != len(want) {
		e.Fatalf("%s: %d bytes, want %d", what, len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			e.Fatalf("%s: byte %d of %d is %#x, want %#x", what, i, len(got), got[i], want[i])
		}
	}
}

func (e *env) wantSize(f vfs.File, want int64) {
	e.Helper()
	got, err := f.Size()
	e.must(err)
	if got != want {
		e.Errorf("size of %s is %d, want %d", f.Name(), got, want)
	}
}
