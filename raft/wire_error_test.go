package raft

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// sources parses the files of a package that are no tests.
func sources(t *testing.T, dir string) (list []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, f)
	}
	return list
}

// sentinels are the names of the exported errors of a package; those that are another package's are left out unless aliases
// says otherwise.
func sentinels(t *testing.T, dir, prefix string, aliases bool) (names []string) {
	for _, f := range sources(t, dir) {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				for k, name := range v.Names {
					if !strings.HasPrefix(name.Name, "Err") || k >= len(v.Values) {
						continue
					}
					if _, alias := v.Values[k].(*ast.SelectorExpr); alias && !aliases {
						continue
					}
					names = append(names, prefix+name.Name)
				}
			}
		}
	}
	return names
}

// tableNames are the names in the source of wireErrors, by their codes.
func tableNames(t *testing.T) map[string]string {
	names := make(map[string]string)
	for _, f := range sources(t, ".") {
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || v.Names[0].Name != "wireErrors" {
				return true
			}
			for _, e := range v.Values[0].(*ast.CompositeLit).Elts {
				pair := e.(*ast.KeyValueExpr)
				name := fmt.Sprint(pair.Value)
				if s, ok := pair.Value.(*ast.SelectorExpr); ok {
					name = s.X.(*ast.Ident).Name + "." + s.Sel.Name
				}
				names[name] = pair.Key.(*ast.BasicLit).Value
			}
			return false
		})
	}
	return names
}

// engineOnly are the engine's errors that no answer of a node has: those of readers, slots, backups and inspection, which are
// of one process.
func engineOnly(name string) bool {
	for _, f := range []string{"reader_errors.go", "slot_errors.go", "backup.go", "inspect_survey.go"} {
		b, err := os.ReadFile(filepath.Join("..", "engine", f))
		if err == nil && bytes.Contains(b, []byte("\t"+strings.TrimPrefix(name, "engine.")+" ")) ||
			err == nil && bytes.Contains(b, []byte("var "+strings.TrimPrefix(name, "engine.")+" ")) {
			return true
		}
	}
	return false
}

// TestEveryErrorHasACode: no exported error is forgotten.
func TestEveryErrorHasACode(t *testing.T) {
	table := tableNames(t)
	if len(table) < 80 {
		t.Fatalf("%d errors in the table", len(table))
	}
	wanted := append(sentinels(t, ".", "", false), sentinels(t, "core", "core.", false)...)
	for _, name := range sentinels(t, filepath.Join("..", "engine"), "engine.", true) {
		if !engineOnly(name) {
			wanted = append(wanted, name)
		}
	}
	for _, name := range wanted {
		if table[name] == "" {
			t.Errorf("%s has no code", name)
		}
	}
}

// TestErrorCodesAreFrozen: what had a code has it for ever. A new one gets a line in the golden file.
func TestErrorCodesAreFrozen(t *testing.T) {
	table := tableNames(t)
	var lines []string
	for name, code := range table {
		lines = append(lines, fmt.Sprintf("%3s %s\n", code, name))
	}
	slices.Sort(lines)
	for line := range strings.Lines(string(golden(t, "errors-v1.txt", []byte(strings.Join(lines, ""))))) {
		f := strings.Fields(line)
		if table[f[1]] != f[0] {
			t.Errorf("%s had code %s, has %q", f[1], f[0], table[f[1]])
		}
		delete(table, f[1])
	}
	if len(table) > 0 {
		t.Errorf("no line in errors-v1.txt has %v", table)
	}
}

// travelled is an error as another node sees it.
func travelled(t *testing.T, err error) error {
	t.Helper()
	b, bad := packetCodec{}.Append(nil, &response{answer: answer{err: &ProposalError{Err: err}}})
	if bad != nil {
		t.Fatal(bad)
	}
	p, bad := packetCodec{}.Decode(b, alpha, beta)
	if bad != nil {
		t.Fatal(err, bad)
	}
	return p.(*response).answer.err.Err
}

// TestErrorsTravel: an error is elsewhere what it was here, alone, wrapped, and beside others, and nothing else.
func TestErrorsTravel(t *testing.T) {
	for code, target := range wireErrors {
		if target == nil {
			continue
		}
		other := errors.New("of a machine")
		for _, err := range []error{target, fmt.Errorf("wrapped: %w", target), errors.Join(other, target, core.ErrNotReady),
			&ProposalError{Err: target}} {
			got := travelled(t, err)
			if !errors.Is(got, target) || got.Error() != err.Error() || errors.Is(got, other) {
				t.Errorf("code %d: %q became %q", code, err, got)
			}
			for _, another := range wireErrors {
				if another != nil && errors.Is(got, another) != errors.Is(err, another) {
					t.Errorf("code %d: %q is %q: %v", code, got, another, errors.Is(got, another))
				}
			}
			if again := travelled(t, got); !errors.Is(again, target) || again.Error() != got.Error() {
				t.Errorf("code %d: %q became %q on its second way", code, got, again)
			}
		}
	}
}

// rude is a user's error that does what none should.
type rude struct{}

func (rude) Error() string { panic("no") }

// wordless has no text.
type wordless struct{}

func (wordless) Error() string { return "" }

// TestOddErrorsTravel: typed errors, and those of users, whatever they do.
func TestOddErrorsTravel(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		is   []error
		text string
	}{
		"machine":  {&MachineError{Op: "Apply", Index: 7, Cause: ErrMachineVersion}, []error{ErrMachine, ErrMachineVersion}, "Apply at index 7"},
		"log":      {&engine.QuarantineError{UID: "u", Reason: "a bit"}, []error{engine.ErrQuarantined}, "a bit"},
		"context":  {fmt.Errorf("%w: %w", ErrNoLeader, context.DeadlineExceeded), []error{ErrNoLeader, context.DeadlineExceeded}, "no leader"},
		"file":     {&fs.PathError{Op: "open", Path: "x", Err: fs.ErrExist}, nil, "open x"},
		"rude":     {rude{}, []error{}, "panicked"},
		"wordless": {wordless{}, nil, "without a text"},
		"long":     {errors.New(strings.Repeat("ä", 5000)), nil, "äää"},
	} {
		got := travelled(t, c.err)
		if !strings.Contains(got.Error(), c.text) || len(got.Error()) > maxErrorText || strings.ToValidUTF8(got.Error(), "") != got.Error() {
			t.Errorf("%s: %q", name, got)
		}
		for _, target := range c.is {
			if !errors.Is(got, target) {
				t.Errorf("%s: %q is not %q", name, got, target)
			}
		}
	}
	if err := travelled(t, nil); err != nil {
		t.Error(err)
	}
}
