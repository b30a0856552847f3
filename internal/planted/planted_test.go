package planted

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// full says that the tests are to be run against each fault.
func full() bool { return os.Getenv("RAWL_PLANTED") != "" }

func TestPlanted(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join("testdata", "*.fault"))
	if err != nil || len(names) == 0 {
		t.Fatal("no definitions", err)
	}
	tried := make(baseline)
	compiler := newCompiler(root)
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".fault"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			f, err := parse(filepath.Base(name), strings.ReplaceAll(string(text), "\r\n", "\n"))
			if err != nil {
				t.Fatal(err)
			}
			changed, err := f.applyTo(root)
			if err != nil {
				t.Fatal(err)
			}
			compiler.check(t, changed)
			if !full() {
				return
			}
			overlay, err := overlay(root, t.TempDir(), changed)
			if err != nil {
				t.Fatal(err)
			}
			for i := range f.checks {
				c := &f.checks[i]
				tried.green(t, root, c)
				demandRed(t, c, root, overlay)
			}
		})
	}
}

// baseline knows which tests pass without any fault.
type baseline map[string]bool

// green leaves of a check the packages whose tests pass as the code is. Another is an error: what it
// says of a fault proves nothing.
func (b baseline) green(t *testing.T, root string, c *check) {
	t.Helper()
	var green []string
	for _, pkg := range c.packages {
		args := append([]string{"test", "-timeout=30m"}, c.tests(pkg)...)
		key := strings.Join(args, " ")
		if _, known := b[key]; !known {
			out, err := command(root, args).CombinedOutput()
			b[key] = err == nil
			if err != nil {
				t.Logf("%s is red without a fault: %v\n%s", pkg, err, out)
			}
		}
		if !b[key] {
			t.Errorf("%s is red without a fault", pkg)
			continue
		}
		green = append(green, pkg)
	}
	c.packages = green
}

// tests are the arguments of go test that choose the check's tests in a package.
func (c *check) tests(pkg string) (args []string) {
	if c.run != "" {
		args = append(args, "-run", c.run)
	}
	if c.skip != "" {
		args = append(args, "-skip", c.skip)
	}
	args = append(args, pkg)
	if len(c.args) > 0 {
		args = append(append(args, "-args"), c.args...)
	}
	return args
}

// demandRed runs the tests until one notices the fault.
func demandRed(t *testing.T, c *check, root, overlay string) {
	t.Helper()
	for _, pkg := range c.packages {
		args := append([]string{"test", "-overlay", overlay, "-count=1", "-failfast", "-timeout=5m"}, c.tests(pkg)...)
		out, err := command(root, args).CombinedOutput()
		if err == nil {
			continue
		}
		by := noticedBy(string(out))
		if len(by) == 0 {
			t.Fatalf("%s: go test failed for another reason: %v\n%s", pkg, err, out)
		}
		t.Logf("noticed by %s: %s", pkg, strings.Join(by, ", "))
		return
	}
	t.Errorf("not noticed by the tests of %s", strings.Join(c.packages, " "))
}

// noticedBy returns the tests that failed.
func noticedBy(out string) (tests []string) {
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, "--- FAIL: "); ok {
			name, _, _ := strings.Cut(rest, " ")
			tests = append(tests, name)
		} else if strings.HasPrefix(line, "panic: ") {
			tests = append(tests, strings.TrimSpace(line))
		}
	}
	return tests
}

// command runs the go command in the module's root. The tests it runs plant nothing themselves.
func command(root string, args []string) *exec.Cmd {
	c := exec.Command("go", args...)
	c.Dir = root
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "RAWL_PLANTED=") })
	return c
}
