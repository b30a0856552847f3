package planted

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// fault is one way to break the code.
type fault struct {
	name    string
	checks  []check // each must notice
	patches []patch
}

// check is tests that must notice.
type check struct {
	packages []string // one of which must, as arguments of go test
	run      string   // regular expression of the tests to run, "" for all
	skip     string   // of those not to run, "" for none
	args     []string // for the tests themselves
	long     bool     // to be run only where that is asked for
}

// patch replaces old, which stands once in file, by new. file is below the module's root.
type patch struct{ file, old, new string }

const fence = "----\n"

// parse reads a definition.
func parse(name, text string) (fault, error) {
	f := fault{name: name}
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		text = rest
		word, arg, _ := strings.Cut(line, " ")
		switch word {
		case "", "#":
		case "test":
			if arg == "" {
				return f, fmt.Errorf("%s: test of no package", name)
			}
			f.checks = append(f.checks, check{packages: strings.Fields(arg)})
		case "run", "skip", "args", "long":
			if len(f.checks) == 0 {
				return f, fmt.Errorf("%s: %s before test", name, word)
			}
			f.checks[len(f.checks)-1].set(word, arg)
		case "replace":
			parts := strings.SplitN(text, fence, 4)
			if len(parts) != 4 || parts[0] != "" {
				return f, fmt.Errorf("%s: replace %s: three lines of ---- must follow", name, arg)
			}
			f.patches = append(f.patches, patch{file: arg, old: parts[1], new: parts[2]})
			text = parts[3]
		default:
			return f, fmt.Errorf("%s: %q is no line of a definition", name, line)
		}
	}
	if len(f.patches) == 0 || len(f.checks) == 0 {
		return f, fmt.Errorf("%s: needs test and replace", name)
	}
	if !slices.ContainsFunc(f.checks, func(c check) bool { return !c.long }) {
		return f, fmt.Errorf("%s: all its tests are long: an ordinary run would notice nothing", name)
	}
	return f, nil
}

func (c *check) set(word, arg string) {
	switch word {
	case "run":
		c.run = arg
	case "skip":
		c.skip = arg
	case "args":
		c.args = strings.Fields(arg)
	case "long":
		c.long = true
	}
}

// apply returns the files that the fault changes, with their new text.
func (f *fault) apply(read func(file string) (string, error)) (map[string]string, error) {
	files := make(map[string]string)
	for _, p := range f.patches {
		text, again := files[p.file]
		if !again {
			var err error
			if text, err = read(p.file); err != nil {
				return nil, err
			}
		}
		if n := strings.Count(text, p.old); n != 1 || p.old == "" {
			return nil, fmt.Errorf("%s: %s holds the old text %d times, not once: let the definition follow the code:\n%s",
				f.name, p.file, n, p.old)
		}
		files[p.file] = strings.Replace(text, p.old, p.new, 1)
	}
	return files, nil
}

// applyTo is apply to the module's files.
func (f *fault) applyTo(root string) (map[string]string, error) {
	return f.apply(func(file string) (string, error) {
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		return strings.ReplaceAll(string(b), "\r\n", "\n"), err
	})
}

// overlay writes changed files to dir, and returns the name of a file for go's -overlay.
func overlay(root, dir string, files map[string]string) (string, error) {
	replace := make(map[string]string)
	var errs []error
	for file, text := range files {
		to := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		errs = append(errs, os.WriteFile(to, []byte(text), 0o600))
		replace[filepath.Join(root, filepath.FromSlash(file))] = to
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	name := filepath.Join(dir, "overlay.json")
	errs = append(errs, err, os.WriteFile(name, b, 0o600))
	return name, errors.Join(errs...)
}
