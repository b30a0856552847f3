package archtest

import (
	"bytes"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// source is one Go file, as far as the rules look at it.
type source struct {
	name    string // path below the module's root, with slashes
	pkg     string // name in the package clause
	test    bool
	lines   int
	doc     string // the comment on the package clause
	imports []string
	build   []constraint.Expr
	funcs   []function
}

// function is a declared function; literals count as part of it.
type function struct {
	name  string
	lines int
}

// dir is the package's path below the module, "" for the root.
func (s *source) dir() string {
	if d := path.Dir(s.name); d != "." {
		return d
	}
	return ""
}

func parse(name string, text []byte) (source, error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	s := source{name: name, pkg: f.Name.Name, test: strings.HasSuffix(name, "_test.go"),
		lines: bytes.Count(text, []byte("\n")), doc: f.Doc.Text()}
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return source{}, err
		}
		s.imports = append(s.imports, p)
	}
	for _, group := range f.Comments {
		for _, c := range group.List {
			if c.Pos() > f.Package || !constraint.IsGoBuild(c.Text) {
				continue
			}
			x, err := constraint.Parse(c.Text)
			if err != nil {
				return source{}, err
			}
			s.build = append(s.build, x)
		}
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			n := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1
			s.funcs = append(s.funcs, function{fn.Name.Name, n})
		}
	}
	return s, nil
}

// needs reports whether the file is built only where tag is set.
func (s *source) needs(tag string) bool {
	for _, x := range s.build {
		if !satisfiable(x, tag) {
			return true
		}
	}
	return false
}

// satisfiable reports whether x can hold without tag, whatever the other tags are.
func satisfiable(x constraint.Expr, tag string) bool {
	var others []string
	collectTags(x, func(t string) {
		if t != tag {
			others = append(others, t)
		}
	})
	for set := range 1 << len(others) {
		holds := x.Eval(func(t string) bool {
			for i, o := range others {
				if o == t {
					return set>>i&1 == 1
				}
			}
			return false
		})
		if holds {
			return true
		}
	}
	return false
}

func collectTags(x constraint.Expr, add func(string)) {
	switch x := x.(type) {
	case *constraint.TagExpr:
		add(x.Tag)
	case *constraint.NotExpr:
		collectTags(x.X, add)
	case *constraint.AndExpr:
		collectTags(x.X, add)
		collectTags(x.Y, add)
	case *constraint.OrExpr:
		collectTags(x.X, add)
		collectTags(x.Y, add)
	}
}

// parseModule reads every Go file of the module at root.
func parseModule(root string) ([]source, error) {
	var sources []source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != root && foreign(name, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		s, err := parse(filepath.ToSlash(rel), text)
		sources = append(sources, s)
		return err
	})
	return sources, err
}

// foreign reports whether a directory does not belong to the module, as the go command sees it.
func foreign(dir, base string) bool {
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}
