package archtest

import (
	"os"
	"path/filepath"
	"testing"
)

// root is the module's directory, seen from the package's.
var root = filepath.Join("..", "..")

func TestModule(t *testing.T) {
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	sources, err := parseModule(root)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for i := range sources {
		seen[sources[i].dir()] = true
	}
	for _, dir := range []string{"engine", "wal", "internal/vfs/osfs", "internal/archtest"} {
		if !seen[dir] {
			t.Errorf("no file of %s was read", dir)
		}
	}
	for _, v := range check(sources) {
		t.Error(v)
	}
}
