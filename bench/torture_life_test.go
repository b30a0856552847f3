package main

import (
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
)

// entryWord is how a reader writes down an entry of the log of lived.
func entryWord(i engine.Index) string {
	b := make([]byte, 10*i)
	fillPayload(b, "a", 2, i)
	return fmt.Sprintf("1:%x", crc32.Checksum(b, payloadCRC))
}

// lived is a life with three durable entries, committed up to 2.
const lived = `
O .
R .
c 1 a .
a 2 a 0 0 1 10,20,30 .
W a 3 1 0 - .
m a 1 2 .
o a 1 x 0 .
`

func cursorWord(i engine.Index) string {
	return engine.Cursor{UID: "a", Incarnation: 7, At: engine.EntryID{Term: 1, Index: i}}.String()
}

// TestReaders says which deliveries a journal may tell of.
func TestReaders(t *testing.T) {
	one, two, three := entryWord(1), entryWord(2), entryWord(3)
	cursor := cursorWord(1)
	for name, c := range map[string]struct {
		more string
		ok   bool
	}{
		"in order":                     {"v a 1 x 1 " + one + " .\nv a 1 x 2 " + two, true},
		"together":                     {"v a 1 x 1 " + one + "," + two, true},
		"gap":                          {"v a 1 x 2 " + two, false},
		"repeated":                     {"v a 1 x 1 " + one + " .\nv a 1 x 1 " + one, false},
		"not committed":                {"v a 1 x 1 " + one + "," + two + "," + three, false},
		"committed later":              {"m a 1 3 .\nv a 1 x 1 " + one + "," + two + "," + three, true},
		"other bytes":                  {"v a 1 x 1 " + two, false},
		"other term":                   {"v a 1 x 1 2" + one[1:], false},
		"repeated without a cursor":    {"v a 1 x 1 " + one + " .\no a 1 x 0 .\nv a 1 x 1 " + one, true},
		"repeated before the cursor":   {"v a 1 x 1 " + one + " .\nk a 1 x " + cursor + " .\no a 1 x 0", false},
		"on behind the cursor":         {"v a 1 x 1 " + one + " .\nk a 1 x " + cursor + " .\no a 1 x 1 .\nv a 1 x 2 " + two, true},
		"cursor of another place":      {"v a 1 x 1 " + one + " .\nk a 1 x " + cursorWord(2), false},
		"cursor that was changed":      {"v a 1 x 1 " + one + " .\nk a 1 x " + cursor[:len(cursor)-1] + "z", false},
		"skipped":                      {"o a 1 x 1", false},
		"skipped what was released":    {"r 3 a 1 .\no a 1 x 1 .\nv a 1 x 2 " + two, true},
		"skipped more":                 {"r 3 a 1 .\no a 1 x 2", false},
		"skipped what a capture lets":  {"s 3 a 1 2 1 100 - .\no a 1 x 2", true},
		"a checkpoint lets go of none": {"s 3 a 2 2 1 100 - .\no a 1 x 2", false},
		"unknown reader":               {"v a 1 y 1 " + one, false},
		"unknown life":                 {"v a 9 x 1 " + one, false},
		"two readers":                  {"o a 1 y 0 .\nv a 1 y 1 " + one + " .\nv a 1 x 1 " + one, true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := newWorld().read(strings.NewReader(lived + c.more + " .\n")); (err == nil) != c.ok {
				t.Fatalf("want ok %t, got %v", c.ok, err)
			}
		})
	}
}

// TestResolveSnapshots says which ends captures allow: a snapshot counts at any time after it was
// announced, and certainly when it was answered.
func TestResolveSnapshots(t *testing.T) {
	id := func(i engine.Index) engine.EntryID { return engine.EntryID{Term: 1, Index: i} }
	before := found{exists: true, last: id(3)}
	after := found{exists: true, last: id(3), released: id(2), snapshot: id(2)}
	for name, c := range map[string]struct {
		more  string
		found found
		ok    bool
	}{
		"announced":                  {"s 3 a 1 2 1 100 1-1", before, true},
		"published":                  {"s 3 a 1 2 1 100 1-1", after, true},
		"answered":                   {"s 3 a 1 2 1 100 1-1 .\nA 3 a", after, true},
		"answered and lost":          {"s 3 a 1 2 1 100 1-1 .\nA 3 a", before, false},
		"failed":                     {"s 3 a 1 2 1 100 1-1 .\nF 3 a", before, true},
		"failed and published":       {"s 3 a 1 2 1 100 1-1 .\nF 3 a", after, false},
		"published beside others":    {"s 3 a 1 2 1 100 1-1 .\nh 4 a 5 - .\nA 4 a", found{exists: true, last: id(3), released: id(2), snapshot: id(2), hard: engine.HardState{Term: 5}}, true},
		"released further":           {"s 3 a 1 2 1 100 - .\nr 4 a 3 .\nA 4 a .\nA 3 a", found{exists: true, last: id(3), released: id(3), snapshot: id(2)}, true},
		"snapshot without a release": {"s 3 a 1 2 1 100 - .\nA 3 a", found{exists: true, last: id(3), snapshot: id(2)}, false},
		"checkpoint releases none":   {"s 3 a 2 2 1 100 - .\nA 3 a", after, false},
		"promoted":                   {"s 3 a 2 2 1 100 - .\nA 3 a .\np 4 a 3 .\nA 4 a", after, true},
		"committed and lost":         {"", found{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			if err := w.read(strings.NewReader(lived + c.more + " .\n")); err != nil && c.more != "" {
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

// FuzzJournal reads anything, and never fails but by an error.
func FuzzJournal(f *testing.F) {
	f.Add(history)
	f.Add(lived + "v a 1 x 1 " + entryWord(1) + " .\nk a 1 x " + cursorWord(1) + " .\ns 3 a 1 2 1 100 1-1 .\nA 3 a .\n")
	f.Add(slotted + "z a 1 s 3 1 .\nq a 1 3 2 .\nu a 1 3 2 .\ng a 1 3 .\nx 4 a s .\nO .\nS a 0 0 1 3 0 - 0 0 .\nT a s 2 1 .\nR .\n")
	f.Fuzz(func(_ *testing.T, text string) {
		_ = newWorld().read(strings.NewReader(text))
	})
}
