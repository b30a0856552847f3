package archtest

import (
	"slices"
	"strings"
	"testing"
)

// planted are files that break one rule each, and some that break none.
var planted = []struct {
	name string
	text string
	want string // part of the violation, "" for none
}{
	{"wal/a.go", "// Package wal x.\npackage wal\nimport _ \"github.com/rawl-db/rawl/internal/frame\"\n", ""},
	{"wal/a.go", "// Package wal x.\npackage wal\nimport _ \"github.com/rawl-db/rawl/segwriter\"\n", "not in the import table"},
	{"wal/a.go", "// Package wal x.\npackage wal\nimport _ \"github.com/rawl-db/rawl/engine\"\n", "not in the import table"},
	{"wal/a.go", "// Package wal x.\npackage wal\nimport _ \"github.com/rawl-db/rawl/internal/vfs/memfs\"\n", "not in the import table"},
	{"wal/a.go", "// Package wal x.\npackage wal\nimport _ \"github.com/rawl-db/rawl/internal/vfs/osfs\"\n", "not in the import table"},
	{"wal/a_test.go", "package wal_test\nimport _ \"github.com/rawl-db/rawl/internal/vfs/memfs\"\n", ""},
	{"wal/a_test.go", "package wal_test\nimport _ \"github.com/rawl-db/rawl/wal\"\n", ""},
	{"wal/a_test.go", "package wal_test\nimport _ \"github.com/rawl-db/rawl/engine\"\n", "not in the import table"},
	{"ring/a.go", "// Package ring x.\npackage ring\nimport _ \"github.com/rawl-db/rawl/fallback\"\n", "not in the import table"},
	{"engine/cmd/rawl/a.go", "// Command rawl x.\npackage main\nimport _ \"github.com/rawl-db/rawl/engine\"\n", ""},
	{"engine/cmd/rawl/a.go", "// Command rawl x.\npackage main\nimport _ \"github.com/rawl-db/rawl/internal/vfs\"\n", "not in the import table"},
	{"engine/a.go", "// Package engine x.\npackage engine\nimport _ \"github.com/rawl-db/rawl/internal/sim\"\n", "not in the import table"},
	{"wal/extra/a.go", "// Package extra x.\npackage extra\n", "no place in the import table"},

	{"raft/core/a.go", "// Package core x.\npackage core\nimport _ \"sort\"\n", ""},
	{"raft/core/a.go", "// Package core x.\npackage core\nimport _ \"time\"\n", "denied"},
	{"raft/core/a.go", "// Package core x.\npackage core\nimport _ \"sync/atomic\"\n", "denied"},
	{"raft/core/a.go", "// Package core x.\npackage core\nimport _ \"math/rand/v2\"\n", "denied"},
	{"raft/core/a.go", "// Package core x.\npackage core\nimport _ \"github.com/rawl-db/rawl/internal/vfs\"\n", "not in the import table"},

	{"wal/a.go", "// Package wal x.\npackage wal\nimport _ \"golang.org/x/sys/unix\"\n", ""},
	{"wal/a.go", "// Package wal x.\npackage wal\nimport _ \"golang.org/x/sync/errgroup\"\n", "list of dependencies"},
	{"wal/a.go", "// Package wal x.\npackage wal\nimport _ \"pgregory.net/rapid\"\n", "only tests and bench"},
	{"wal/a_test.go", "package wal\nimport _ \"pgregory.net/rapid\"\n", ""},
	{"bench/a.go", "// Command bench x.\npackage main\nimport _ \"github.com/HdrHistogram/hdrhistogram-go\"\n", ""},
	{"ring/a.go", "//go:build linux && giouring\n\n// Package ring x.\npackage ring\nimport _ \"github.com/pawelgaczynski/giouring\"\n", ""},
	{"ring/a.go", "//go:build linux && !giouring\n\n// Package ring x.\npackage ring\nimport _ \"github.com/pawelgaczynski/giouring\"\n", "under the build tag"},
	{"ring/a.go", "//go:build !windows || giouring\n\n// Package ring x.\npackage ring\nimport _ \"github.com/pawelgaczynski/giouring\"\n", "under the build tag"},
	{"wal/a.go", "//go:build giouring\n\n// Package wal x.\npackage wal\nimport _ \"github.com/pawelgaczynski/giouring\"\n", "only [ring] may"},

	{"internal/util/a.go", "// Package util x.\npackage util\n", "fits any package"},
	{"wal/a.go", "// Package common x.\npackage common\n", "fits any package"},
	{"wal/a.go", "package wal\n", "no file has a package comment"},
	{"wal/a.go", "// Package wal is apart.\n\npackage wal\n", "no file has a package comment"},
	{"wal/a.go", "// Package other x.\npackage wal\n", "no file has a package comment"},
	{"wal/a.go", "// Package wal x.\npackage wal\n" + strings.Repeat("//\n", maxFileLines-2), ""},
	{"wal/a.go", "// Package wal x.\npackage wal\n" + strings.Repeat("//\n", maxFileLines-1), "601 lines"},
	{"wal/a_test.go", "package wal\n" + strings.Repeat("//\n", maxFileLines), "601 lines"},
	{"wal/a.go", "// Package wal x.\npackage wal\n" + functionOf(maxFunctionLines), ""},
	{"wal/a.go", "// Package wal x.\npackage wal\n" + functionOf(maxFunctionLines+1), "function long has 71 lines"},
	{"wal/a_test.go", "package wal\n" + functionOf(maxFunctionLines+1), ""},
}

func functionOf(lines int) string {
	return "func long() {\n" + strings.Repeat("\tprintln()\n", lines-2) + "}\n"
}

func TestPlantedViolations(t *testing.T) {
	for _, p := range planted {
		s, err := parse(p.name, []byte(p.text))
		if err != nil {
			t.Fatal(err)
		}
		found := check([]source{s})
		switch {
		case p.want == "" && len(found) > 0:
			t.Errorf("sound file reported: %v\n%s", found, p.text)
		case p.want != "" && !slices.ContainsFunc(found, func(v string) bool { return strings.Contains(v, p.want) }):
			t.Errorf("%s: reported %q, not %q\n%s", p.name, found, p.want, p.text)
		}
	}
}

// TestTable proves that the table has no row twice and names no package without a row.
func TestTable(t *testing.T) {
	for i, row := range table {
		if slices.ContainsFunc(table[:i], func(r arrows) bool { return r.from == row.from }) {
			t.Errorf("%s has two rows", row.from)
		}
		for _, to := range row.to {
			if _, ok := rowOf(to); !ok {
				t.Errorf("%s may import %s, which has no row", row.from, to)
			}
		}
	}
}
