package planted

import (
	"os"
	"os/exec"
	"path"
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
			overlay, err := f.overlay(root, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			build(t, &f, root, overlay)
			if !full() {
				return
			}
			for i := range f.checks {
				c := &f.checks[i]
				c.packages = tried.green(t, root, c.packages)
				demandRed(t, c, root, overlay)
			}
		})
	}
}

// build proves that the changed packages compile.
func build(t *testing.T, f *fault, root, overlay string) {
	t.Helper()
	args := []string{"build", "-overlay", overlay}
	for _, p := range f.patches {
		if dir := "./" + path.Dir(p.file); !slices.Contains(args, dir) {
			args = append(args, dir)
		}
	}
	if out, err := command(root, args).CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// baseline knows which packages' tests pass without any fault.
type baseline map[string]bool

// green returns the packages whose tests pass as the code is. Another is an error: what it
// says of a fault proves nothing.
func (b baseline) green(t *testing.T, root string, packages []string) (green []string) {
	t.Helper()
	for _, pkg := range packages {
		if _, known := b[pkg]; !known {
			out, err := command(root, []string{"test", "-timeout=10m", pkg}).CombinedOutput()
			b[pkg] = err == nil
			if err != nil {
				t.Logf("%s is red without a fault: %v\n%s", pkg, err, out)
			}
		}
		if !b[pkg] {
			t.Errorf("%s is red without a fault", pkg)
			continue
		}
		green = append(green, pkg)
	}
	return green
}

// demandRed runs the tests until one notices the fault.
func demandRed(t *testing.T, c *check, root, overlay string) {
	t.Helper()
	for _, pkg := range c.packages {
		args := []string{"test", "-overlay", overlay, "-count=1", "-failfast", "-timeout=3m"}
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
