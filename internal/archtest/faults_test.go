package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rowDirs are the packages of the tests that raft/doc.go names.
var rowDirs = map[string]string{"raft": "raft", "core": "raft/core", "engine": "engine", "snapshot": "internal/snapshot",
	"snapshotwriter": "snapshotwriter", "sim": "internal/sim", "tcp": "raft/transport/tcp", "detector": "raft/detector", "bench": "bench",
	"nstest": "raft/examples/kv/nstest", "kv": "raft/examples/kv"}

// faultRows are the rows that the table must have, with what stands behind some of them.
func faultRows() map[string]string {
	rows := map[string]string{"A7": "", "C7": "", "C9": "", "F1": "Figure 8 of the Raft paper", "G1": "the single-server membership bug"}
	for letter, last := range map[string]int{"E": 14, "F": 15, "G": 7, "H": 10} {
		for k := 1; k <= last; k++ {
			if name := fmt.Sprintf("%s%d", letter, k); rows[name] == "" {
				rows[name] = ""
			}
		}
	}
	for _, figure := range []int{16, 17, 19, 21, 22, 23, 24, 25, 26} {
		rows[fmt.Sprintf("figure %d", figure)] = ""
	}
	for _, none := range []string{"G3", "H3"} { // the table says why
		delete(rows, none)
	}
	return rows
}

var (
	faultRow  = regexp.MustCompile(`(?m)^//\t([A-J][0-9]+|figure [0-9]+) +(.*)$`)
	namedTest = regexp.MustCompile(`\b([a-z]+)\.(Test\w+)`)
)

// TestFaultTable proves that every row of the fault table in raft/doc.go is there and names tests that exist.
func TestFaultTable(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(root, "raft", "doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	code := make(map[string]string)
	rows := faultRows()
	for _, row := range faultRow.FindAllStringSubmatch(unix(doc), -1) {
		words, wanted := rows[row[1]]
		delete(rows, row[1])
		if !wanted || !strings.Contains(row[2], words) {
			t.Errorf("row %s comes twice, is no row, or lacks %q", row[1], words)
		}
		tests := namedTest.FindAllStringSubmatch(row[2], -1)
		if len(tests) == 0 {
			t.Errorf("row %s names no test", row[1])
		}
		for _, x := range tests {
			dir := rowDirs[x[1]]
			if code[dir] == "" {
				code[dir] = testsOf(t, dir)
			}
			if !strings.Contains(code[dir], "\nfunc "+x[2]+"(t *testing.T)") {
				t.Errorf("row %s names %s.%s, which is no test", row[1], x[1], x[2])
			}
		}
	}
	for name := range rows {
		t.Errorf("row %s is missing", name)
	}
}

// testsOf is the text of a package's test files.
func testsOf(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(dir, "has no tests", err)
	}
	var text strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString("\n" + unix(b))
	}
	return text.String()
}
