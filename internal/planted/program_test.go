package planted

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// tests are those of the module's packages, each built once. One goroutine uses them at a time.
type tests struct {
	root string   // of the module
	dir  string   // for what is built
	args []string // of go test, beside those that say what to build
}

// build makes the tests of a package a program, unless that was done before.
func (s *tests) build(pkg string) (program string, err error) {
	program = filepath.Join(s.dir, strings.ReplaceAll(strings.TrimPrefix(pkg, "./"), "/", "_")+".test.exe")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	args := append([]string{"test", "-c", "-vet=off", "-ldflags=-w", "-o", program}, s.args...)
	if out, err := command(s.root, "go", append(args, pkg)).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: the tests do not build: %w\n%s", pkg, err, out)
	}
	return program, nil
}

// run runs those that match run and do not match skip, up to the first that fails.
func (s *tests) run(pkg, run, skip string, args []string) (out string, err error) {
	program, err := s.build(pkg)
	if err != nil {
		return "", err
	}
	patience := "5m"
	if long() {
		patience = "30m"
	}
	flags := []string{"-test.failfast", "-test.timeout=" + patience, "-test.run=" + run, "-test.skip=" + skip}
	b, err := command(filepath.Join(s.root, filepath.FromSlash(pkg)), program, append(flags, args...)).CombinedOutput()
	return string(b), err
}

// command is a program in a directory. The tests that it runs plant nothing themselves.
func command(dir, program string, args []string) *exec.Cmd {
	c := exec.Command(program, args...)
	c.Dir = dir
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "RAWL_PLANTED=") })
	return c
}

// baseline knows which tests pass without any fault. Any goroutine may ask it.
type baseline struct {
	root, dir string

	mu     sync.Mutex
	passed map[string]bool
}

// green proves that tests pass as the code is. If they do not, what they say of a fault proves nothing.
func (b *baseline) green(pkg, run, skip string, args []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := fmt.Sprintf("%q", append([]string{pkg, run, skip}, args...))
	if b.passed[key] {
		return nil
	}
	sound := &tests{root: b.root, dir: b.dir}
	if out, err := sound.run(pkg, run, skip, args); err != nil {
		return fmt.Errorf("%s is red without a fault: %w\n%s", pkg, err, out)
	}
	if b.passed == nil {
		b.passed = make(map[string]bool)
	}
	b.passed[key] = true
	return nil
}
