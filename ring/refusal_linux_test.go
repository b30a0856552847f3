package ring

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/osfs"
)

// childVariable tells this test binary to be a child: to take a right away from itself,
// try, and print what came of it.
const childVariable = "RAWL_RING_CHILD"

func TestMain(m *testing.M) {
	if way := os.Getenv(childVariable); way != "" {
		child(way)
		return
	}
	os.Exit(m.Run())
}

// ways are the children's restrictions.
var ways = map[string]func() error{
	"free":            func() error { return nil },
	"setup EPERM":     func() error { return filter(unix.SYS_IO_URING_SETUP, unix.EPERM) },
	"setup ENOSYS":    func() error { return filter(unix.SYS_IO_URING_SETUP, unix.ENOSYS) },
	"enter EPERM":     func() error { return filter(unix.SYS_IO_URING_ENTER, unix.EPERM) },
	"register EPERM":  func() error { return filter(unix.SYS_IO_URING_REGISTER, unix.EPERM) },
	"register EINVAL": func() error { return filter(unix.SYS_IO_URING_REGISTER, unix.EINVAL) },
	"memlock":         func() error { return lockable(0) },
	"little memlock":  func() error { return lockable(64 << 10) },
}

func child(way string) {
	if err := ways[way](); err != nil {
		fmt.Println("cannot restrict:", err)
		return
	}
	fs, err := Open(Options{})
	if err != nil {
		fmt.Printf("refused, unsupported %t: %v\n", errors.Is(err, ErrUnsupported), err)
		return
	}
	fmt.Println(fs.Caps())
	fmt.Println("commit:", commitOnce(fs))
}

// commitOnce writes through a queue with a registered file and a buffer of 1 MiB that
// registers where it may.
func commitOnce(fs *FS) error {
	dir, err := os.MkdirTemp("", "ring")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f, err := fs.Create(dir+"/f", vfs.CreateOptions{Direct: true})
	if err != nil {
		return err
	}
	defer f.Close()
	buf, free, err := fs.Alloc(1 << 20)
	if err != nil {
		return err
	}
	defer free()
	q, err := fs.NewQueue(1)
	if err != nil {
		return err
	}
	fmt.Println("register:", q.(vfs.Registrar).RegisterBuffer(buf))
	op := &vfs.Op{Kind: vfs.OpWrite, File: f, Buf: buf, DSync: true}
	err = q.Submit(op)
	_, reapErr := q.Reap(1, nil)
	return errors.Join(err, reapErr, op.Err, q.Close())
}

// filter makes one system call fail in this process, as container runtimes do.
func filter(call uint32, e syscall.Errno) error {
	const load, jumpEqual, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	program := []unix.SockFilter{
		{Code: load, K: 0}, // seccomp_data.nr
		{Code: jumpEqual, K: call, Jf: 1},
		{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(e)},
		{Code: ret, K: unix.SECCOMP_RET_ALLOW},
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	p := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&p)))
	if errno != 0 {
		return errno
	}
	return nil
}

// lockable makes this process an ordinary user's who may lock n bytes.
func lockable(n uint64) error {
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: n, Max: n}); err != nil {
		return err
	}
	if os.Getuid() != 0 {
		return nil
	}
	// A user of its own: the limit counts all processes of a user.
	return errors.Join(syscall.Setgroups(nil), syscall.Setgid(61234), syscall.Setuid(61234))
}

func TestRefusals(t *testing.T) {
	needRing(t)
	for way, want := range map[string][]string{
		"free":            {"io_uring usable", "register: <nil>", "commit: <nil>"},
		"setup EPERM":     {"refused, unsupported true", "seccomp", "io_uring_setup", "operation not permitted"},
		"setup ENOSYS":    {"refused, unsupported true", "has no io_uring", "io_uring_setup"},
		"enter EPERM":     {"refused, unsupported true", "seccomp", "io_uring_enter"},
		"register EPERM":  {"refused, unsupported true", "seccomp", "io_uring_register"},
		"register EINVAL": {"refused, unsupported true", "does not know", "io_uring_register"},
		"memlock":         {"refused, unsupported true", "RLIMIT_MEMLOCK is 0 bytes", "io_uring_setup"},
		"little memlock":  {"io_uring usable", "register: ring: registering a buffer", "cannot allocate memory", "commit: <nil>"},
	} {
		t.Run(way, func(t *testing.T) {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), childVariable+"="+way)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			got := string(out)
			t.Logf("%s", got)
			if strings.Contains(got, "cannot restrict") {
				t.Skip(got)
			}
			if way == "memlock" && strings.Contains(got, "usable") {
				// Some kernels count registered buffers only.
				want = []string{"register: ring: registering a buffer", "cannot allocate memory", "commit: <nil>"}
			}
			for _, w := range want {
				if !strings.Contains(got, w) {
					t.Errorf("no %q in: %s", w, got)
				}
			}
		})
	}
}

func TestRefusalReasons(t *testing.T) {
	for _, c := range []struct {
		err      error
		disabled int
		want     string
	}{
		{syscall.ENOSYS, -1, "kernel 5.0.1 has no io_uring"},
		{syscall.EPERM, 2, "sysctl kernel.io_uring_disabled is 2"},
		{syscall.EPERM, 1, "sysctl kernel.io_uring_disabled is 1"},
		{syscall.EPERM, 0, "seccomp filter or security module"},
		{syscall.EACCES, -1, "seccomp filter or security module"},
		{syscall.ENOMEM, 0, "RLIMIT_MEMLOCK is 65536 bytes"},
		{syscall.EINVAL, -1, "kernel 5.0.1 does not know"},
		{syscall.EIO, -1, "unexpected answer"},
	} {
		at := circumstances{kernel: "5.0.1", disabled: c.disabled, memlock: 65536}
		err := refusal(os.NewSyscallError("io_uring_setup", c.err), at)
		if !errors.Is(err, ErrUnsupported) || !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.err, err)
		}
	}
	if err := refusal(syscall.EMFILE, circumstances{}); errors.Is(err, ErrUnsupported) || !errors.Is(err, syscall.EMFILE) {
		t.Errorf("EMFILE: %v", err)
	}
	if err := lacking("FEAT_NODROP", circumstances{}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("lacking: %v", err)
	}
}

// TestForeignFile: a queue serves files of its own file system only.
func TestForeignFile(t *testing.T) {
	b := newBench(t, false, 4, 4, 4)
	type other struct{ vfs.File }
	op := &vfs.Op{Kind: vfs.OpDatasync, File: other{b.f}}
	unknown := &vfs.Op{Kind: 99, File: b.f}
	empty := &vfs.Op{Kind: vfs.OpSync}
	b.run(op, unknown, empty)
	if !errors.Is(op.Err, ErrUnsupported) || !errors.Is(unknown.Err, syscall.EINVAL) || !errors.Is(empty.Err, syscall.EBADF) {
		t.Errorf("errors %v, %v, %v", op.Err, unknown.Err, empty.Err)
	}
	if err := b.q.RegisterFile(other{b.f}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("RegisterFile: %v", err)
	}
	closed, err := osfs.FS{}.Open(b.f.Name(), vfs.OpenOptions{})
	b.must(err)
	b.must(closed.Close())
	late := &vfs.Op{Kind: vfs.OpDatasync, File: closed}
	b.run(late)
	if !errors.Is(late.Err, vfs.ErrClosed) {
		t.Errorf("operation on a closed file: %v", late.Err)
	}
}
