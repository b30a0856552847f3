package main

import (
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
)

const history = `
O .
R .
c 1 a .
A 1 a .
a 2 a 0 0 1 10,20,30 .
W a 2 1 0 - .
t 3 a 2 .
D 3 a .
a 4 a 0 2 2 5 .
`

// TestResolve reads one history and says which ends it allows.
func TestResolve(t *testing.T) {
	id := func(term engine.Term, i engine.Index) engine.EntryID { return engine.EntryID{Term: term, Index: i} }
	for name, c := range map[string]struct {
		more  string
		found found
		ok    bool
	}{
		"acknowledged only":      {"", found{exists: true, last: id(1, 2)}, true},
		"before the truncation":  {"", found{exists: true, last: id(1, 3)}, true},
		"all":                    {"", found{exists: true, last: id(2, 3)}, true},
		"acknowledged is lost":   {"", found{exists: true, last: id(1, 1)}, false},
		"log is lost":            {"", found{}, false},
		"other term":             {"", found{exists: true, last: id(3, 3)}, false},
		"invented entry":         {"", found{exists: true, last: id(2, 4)}, false},
		"invented hard state":    {"", found{exists: true, last: id(2, 3), hard: engine.HardState{Term: 9}}, false},
		"truncation undone":      {"A 4 a .\n", found{exists: true, last: id(1, 3)}, false},
		"failed is absent":       {"F 4 a .\n", found{exists: true, last: id(2, 3)}, false},
		"event names it":         {"W a 3 2 0 - .\n", found{exists: true, last: id(1, 2)}, false},
		"cut line is no proof":   {"A 4 a", found{exists: true, last: id(1, 2)}, true},
		"released":               {"r 5 a 1 .\n", found{exists: true, released: id(1, 1), last: id(2, 3)}, true},
		"released too far":       {"r 5 a 1 .\n", found{exists: true, released: id(1, 2), last: id(2, 3)}, false},
		"deletion announced":     {"d 5 a .\n", found{}, true},
		"deletion done":          {"d 5 a .\nA 5 a .\n", found{exists: true, last: id(2, 3)}, false},
		"made again":             {"d 5 a .\nc 6 a .\nA 6 a .\n", found{exists: true}, true},
		"hard state":             {"h 5 a 4 x .\nA 5 a .\n", found{exists: true, last: id(2, 3), hard: engine.HardState{Term: 4, Vote: "x"}}, true},
		"hard state lost":        {"h 5 a 4 x .\nA 5 a .\n", found{exists: true, last: id(2, 3)}, false},
		"hard state by an event": {"h 5 a 4 - .\nW a 3 2 4 - .\n", found{exists: true, last: id(2, 3)}, false},
		"hard state set again": {"h 5 a 4 - .\na 6 a 0 3 4 7 .\nh 7 a 4 - .\nW a 3 2 4 - .\nW a 3 2 4 - .\n",
			found{exists: true, last: id(2, 3), hard: engine.HardState{Term: 4}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			if err := w.read(strings.NewReader(history + c.more)); err != nil {
				t.Fatal(err)
			}
			logs := map[engine.UID]found{"a": c.found}
			if !c.found.exists {
				delete(logs, "a")
			}
			if err := w.resolve(logs); (err == nil) != c.ok {
				t.Fatalf("want ok %t, got %v", c.ok, err)
			}
		})
	}
}

func TestResolveUnknownLog(t *testing.T) {
	if err := newWorld().resolve(map[engine.UID]found{"b": {exists: true}}); err == nil {
		t.Fatal("a log that nobody made was accepted")
	}
}

func TestJournalRefusesNonsense(t *testing.T) {
	for _, line := range []string{"x 1 a .\n", "a 1 a 0 .\n", "t one a 2 .\n", "a 1 a 0 0 1 ten .\n", "S a 1 .\n",
		"c 1 a more .\n", "s 1 a 9 1 1 1 - .\n", "s 1 a 1 1 1 1 4-2 .\n", "p 1 a 7 .\n", "m a 1 1 .\n", "a 1 a 0 0 1 -1 .\n"} {
		if err := newWorld().read(strings.NewReader("O .\n" + line)); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}
