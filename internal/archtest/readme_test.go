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
	rest := unix(readme)
	for _, example := range []string{"engine/example_test.go", "raft/example_cluster_test.go"} {
		tested, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(example)))
		if err != nil {
			t.Fatal(err)
		}
		_, behind, found := strings.Cut(rest, "```go\n")
		code, behind, closed := strings.Cut(behind, "```\n")
		if !found || !closed {
			t.Fatalf("README.md holds no Go code of %s", example)
		}
		if rest = behind; !strings.Contains(unix(tested), "\n"+code) {
			t.Errorf("%s does not hold this code of README.md:\n%s", example, code)
		}
	}
	if strings.Contains(rest, "```go\n") {
		t.Error("README.md holds Go code that nobody compares with a tested example")
	}
}

// unix undoes what a checkout on Windows may do to line ends.
func unix(b []byte) string { return strings.ReplaceAll(string(b), "\r\n", "\n") }
