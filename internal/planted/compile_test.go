package planted

import (
	"go/ast"
	gobuild "go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rawl-db/rawl"

// compiler proves that changed packages compile, without building them.
type compiler struct {
	root  string
	set   *token.FileSet
	types types.Importer // knows what was imported before
}

// newCompiler builds the packages as they are, which the tests of the module need anyway, for what they export.
func newCompiler(t *testing.T, root string) *compiler {
	t.Helper()
	list, err := command(root, "go", []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", "./..."}).Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := make(map[string]string)
	for line := range strings.Lines(string(list)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		exports[name] = file
	}
	set := token.NewFileSet()
	return &compiler{root, set, importer.ForCompiler(set, "gc", func(name string) (io.ReadCloser, error) { return os.Open(exports[name]) })}
}

// check compiles the packages that have a changed file.
func (c *compiler) check(t *testing.T, changed map[string]string) {
	t.Helper()
	var dirs []string
	for file := range changed {
		if d := path.Dir(file); !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	for _, d := range dirs {
		if err := c.compile(d, changed); err != nil {
			t.Fatal(err)
		}
	}
}

func (c *compiler) compile(dir string, changed map[string]string) error {
	list, err := gobuild.ImportDir(filepath.Join(c.root, filepath.FromSlash(dir)), 0)
	if err != nil {
		return err
	}
	var files []*ast.File
	for _, name := range list.GoFiles {
		var text any // nil for what is on disk
		if s, ok := changed[path.Join(dir, name)]; ok {
			text = s
		}
		f, err := parser.ParseFile(c.set, filepath.Join(list.Dir, name), text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	config := types.Config{Importer: c.types}
	_, err = config.Check(path.Join(module, dir), c.set, files, nil)
	return err
}

func TestCompileRefuses(t *testing.T) {
	c := newCompiler(t, filepath.Join("..", ".."))
	const file = "internal/raftlog/raftlog.go"
	for _, text := range []string{"package raftlog\n\nvar x int = \"\"\n", "package raftlog\n\nvar x =\n", "package other\n"} {
		if err := c.compile(path.Dir(file), map[string]string{file: text}); err == nil {
			t.Errorf("compiled:\n%s", text)
		}
	}
	if err := c.compile(path.Dir(file), nil); err != nil {
		t.Error(err)
	}
}
