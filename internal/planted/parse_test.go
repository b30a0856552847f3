package planted

import (
	"reflect"
	"strings"
	"testing"
)

const sound = `# what is wrong
test ./wal ./engine
skip Golden
args -seeds=500 -v
long
test ./raft/core
run ^TestSimulation$
replace wal/a.go
----
	one
	two
----
	three
----
replace wal/a.go
----
four
----
----
`

func TestParse(t *testing.T) {
	f, err := parse("sound", sound)
	if err != nil {
		t.Fatal(err)
	}
	want := []check{{packages: []string{"./wal", "./engine"}, skip: "Golden", args: []string{"-seeds=500", "-v"}, long: true},
		{packages: []string{"./raft/core"}, run: "^TestSimulation$"}}
	if !reflect.DeepEqual(f.checks, want) || len(f.patches) != 2 {
		t.Fatalf("%+v", f)
	}
	got, err := f.apply(func(string) (string, error) { return "zero\n\tone\n\ttwo\nfour\nfive\n", nil })
	if err != nil || got["wal/a.go"] != "zero\n\tthree\nfive\n" {
		t.Fatalf("%q %v", got, err)
	}
	for _, text := range []string{
		"test ./wal\n",
		"replace wal/a.go\n----\na\n----\nb\n----\n",
		"test ./wal\nreplace wal/a.go\n----\na\n----\n",
		strings.Replace(sound, "skip", "slip", 1),
		"run ^TestA$\ntest ./wal\nreplace wal/a.go\n----\na\n----\nb\n----\n",
		strings.Replace(sound, " ./raft/core", "", 1),
		strings.Replace(sound, "run ^TestSimulation$", "long", 1),
	} {
		if _, err := parse("bad", text); err == nil {
			t.Errorf("accepted:\n%s", text)
		}
	}
}

// TestApplyFollowsTheCode proves that a definition whose text the code has not, or has twice, is refused.
func TestApplyFollowsTheCode(t *testing.T) {
	f, err := parse("sound", sound)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{"four\n", "\tone\n\ttwo\n", "\tone\n\ttwo\n\tone\n\ttwo\nfour\n"} {
		if _, err := f.apply(func(string) (string, error) { return code, nil }); err == nil {
			t.Errorf("applied to:\n%s", code)
		}
	}
}
