package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadmeExample proves that the Go code of the README is code that is tested.
func TestReadmeExample(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	tested, err := os.ReadFile(filepath.Join(root, "engine", "example_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(unix(readme), "```go\n")
	code, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatal("README.md holds no Go code")
	}
	if !strings.Contains(unix(tested), "\n"+code) {
		t.Errorf("engine/example_test.go does not hold this code of README.md:\n%s", code)
	}
}

// unix undoes what a checkout on Windows may do to line ends.
func unix(b []byte) string { return strings.ReplaceAll(string(b), "\r\n", "\n") }
