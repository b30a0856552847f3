//go:build linux

package nstest

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

var (
	runFor = flag.Duration("for", 0, "how long nemeses act in TestNamespaces; 0 skips it")
	seed   = flag.Uint64("seed", 0, "of the nemeses; 0 draws one")
)

// insideVariable in the environment is the directory of a test that runs in its own namespaces.
const insideVariable = "RAWL_NAMESPACES_INSIDE"

// programName and skippedName lie in that directory: the server, and what the test found lacking.
const (
	programName = "kv"
	skippedName = "skipped"
)

func TestNamespaces(t *testing.T) {
	if dir := os.Getenv(insideVariable); dir != "" {
		testInside(t, dir)
		return
	}
	if *runFor <= 0 {
		t.Skip("-for is not given: run it as root with -args -for 2m")
	}
	require(t)
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, programName), "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	err := runInside(dir)
	if why, missing := os.ReadFile(filepath.Join(dir, skippedName)); missing == nil {
		t.Skipf("this machine lacks what the test needs: %s", why)
	}
	if err != nil {
		t.Errorf("-seed %d: %v", *seed, err)
	}
}

// require skips the test where a look suffices to see that it cannot run.
func require(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make network namespaces and mount file systems")
	}
	for program, from := range map[string]string{
		"ip": "iproute2", "ss": "iproute2", "nft": "nftables", "mkfs.ext4": "e2fsprogs", "mount": "util-linux",
	} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s, of the package %s, in the PATH", program, from)
		}
	}
}

// runInside runs this test as the first process of new namespaces. When this process ends, so does that one, and with it all others there.
func runInside(dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.Command(self, "-test.run=^TestNamespaces$", "-test.v", "-test.timeout=0", "-for="+runFor.String(), fmt.Sprint("-seed=", *seed))
	c.Env = append(os.Environ(), insideVariable+"="+dir)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	runtime.LockOSThread() // the signal comes when the thread ends that started the process
	defer runtime.UnlockOSThread()
	err = c.Run()
	if errors.Is(err, fs.ErrPermission) {
		why := fmt.Sprintf("new namespaces are not allowed: %v", err)
		return os.WriteFile(filepath.Join(dir, skippedName), []byte(why), 0o600)
	}
	return err
}

// testInside is the test, in its own namespaces.
func testInside(t *testing.T, dir string) {
	if err := seclude(); err != nil {
		t.Fatal(err)
	}
	if err := probe(dir); err != nil {
		if bad := os.WriteFile(filepath.Join(dir, skippedName), []byte(err.Error()), 0o600); bad != nil {
			t.Error(bad)
		}
		t.Skip(err)
	}
	began := time.Now()
	w := newWorld(t, dir)
	w.rand = rand.New(&lockedSource{source: rand.NewPCG(*seed, 0)})
	t.Logf("-seed %d; set up in %v", *seed, time.Since(began).Round(time.Millisecond))
	w.run(*runFor)
}

// seclude takes this process' mounts apart from all others', and gives it an empty /run, where ip and mount keep their notes.
func seclude() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mounting /run: %w", err)
	}
	return tool("", "ip", "link", "set", "lo", "up")
}
