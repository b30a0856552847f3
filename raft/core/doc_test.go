package core_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFaultTable holds the table of doc.go and the named tests to each other.
func TestFaultTable(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("faults_*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no named tests", err)
	}
	name := regexp.MustCompile(`Test([EFGH][0-9]+|Shrink)[A-Za-z0-9]+`)
	var code strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(b)
	}
	for _, n := range name.FindAllString(string(doc), -1) {
		if !strings.Contains(code.String(), "func "+n+"(t *testing.T)") {
			t.Errorf("doc.go lists %s, which is no test", n)
		}
	}
	for _, n := range regexp.MustCompile(`func (Test\w+)`).FindAllStringSubmatch(code.String(), -1) {
		if !strings.Contains(string(doc), n[1]) {
			t.Errorf("doc.go does not list %s", n[1])
		}
	}
}
