package planted

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// full says that the tests are to be run against each fault; long that those that take long are too.
func full() bool { return os.Getenv("RAWL_PLANTED") != "" }
func long() bool { return os.Getenv("RAWL_PLANTED") == "long" }

func TestPlanted(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join("testdata", "*.fault"))
	if err != nil || len(names) == 0 {
		t.Fatal("no definitions", err)
	}
	sound := &baseline{root: root, dir: t.TempDir()}
	compiler := newCompiler(t, root)
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
			t.Parallel()
			dir := t.TempDir()
			overlay, err := overlay(root, dir, changed)
			if err != nil {
				t.Fatal(err)
			}
			broken := &tests{root: root, dir: dir, args: []string{"-overlay", overlay, "-gcflags=-dwarf=false"}}
			for i := range f.checks {
				if c := &f.checks[i]; !c.long || long() {
					demandRed(t, c, broken, sound)
				}
			}
		})
	}
}

// demandRed runs the tests until one notices the fault, and proves that it is the fault that it notices.
func demandRed(t *testing.T, c *check, broken *tests, sound *baseline) {
	t.Helper()
	for _, pkg := range c.packages {
		out, err := broken.run(pkg, c.run, c.skip, c.args)
		if err == nil {
			continue
		}
		by, run, skip := noticedBy(out), c.run, c.skip
		if len(by) > 0 {
			run, skip = "^("+strings.Join(by, "|")+")$", ""
		} else if !strings.Contains(out, "panic: ") {
			t.Fatalf("%s: the tests failed for another reason: %v\n%s", pkg, err, out)
		}
		if err := sound.green(pkg, run, skip, c.args); err != nil {
			t.Fatal(err)
		}
		t.Logf("noticed by %s: %s", pkg, strings.Join(by, ", "))
		return
	}
	t.Errorf("not noticed by the tests of %s", strings.Join(c.packages, " "))
}

// noticedBy returns the tests that failed, none when a panic did not say in which test it was.
func noticedBy(out string) (tests []string) {
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, "--- FAIL: "); ok {
			name, _, _ := strings.Cut(rest, " ")
			tests = append(tests, name)
		}
	}
	return tests
}
