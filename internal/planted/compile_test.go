package planted

import (
	"go/ast"
	gobuild "go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"path/filepath"
	"slices"
	"testing"
)

const module = "github.com/rawl-db/rawl"

// compiler proves that changed packages compile, without building them.
type compiler struct {
	root  string
	set   *token.FileSet
	types types.ImporterFrom // knows what was imported before
}

func newCompiler(root string) *compiler {
	set := token.NewFileSet()
	return &compiler{root, set, importer.ForCompiler(set, "source", nil).(types.ImporterFrom)}
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
	c := newCompiler(filepath.Join("..", ".."))
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
