package main

import (
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
)

// slotted is the log of lived, certain so far, with a slot behind its first entry that a reader follows.
const slotted = lived + `
A 2 a .
n 3 a s 1 .
`

// TestSlotLines says what a journal may tell of a slot.
func TestSlotLines(t *testing.T) {
	two := entryWord(2)
	for name, c := range map[string]struct {
		more string
		ok   bool
	}{
		"at its begin":                {"z a 1 s 3 1 .\nv a 1 s 2 " + two, true},
		"before its begin":            {"z a 1 s 3 0", false},
		"ahead of what was asked":     {"z a 1 s 3 2", false},
		"on behind":                   {"z a 1 s 3 1 .\nv a 1 s 2 " + two + " .\nq a 1 3 2 .\nz a 1 s 3 2", true},
		"repeated, not yet durable":   {"q a 1 3 2 .\nz a 1 s 3 1 .\nv a 1 s 2 " + two, true},
		"repeated although durable":   {"q a 1 3 2 .\nu a 1 3 2 .\nz a 1 s 3 1", false},
		"durable, never asked for":    {"u a 1 3 2", false},
		"gap":                         {"z a 1 s 3 1 .\nv a 1 s 3 " + entryWord(3), false},
		"not opened":                  {"v a 1 s 2 " + two, false},
		"of another name":             {"z a 1 x 3 1", false},
		"never created":               {"z a 1 s 2 1", false},
		"never created, given up":     {"g a 1 2", false},
		"given up":                    {"g a 1 3", true},
		"given up in no life":         {"g a 9 3", false},
		"found without its log":       {"O .\nT a s 1 0", false},
		"found outside of an opening": {"T a s 1 0", false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := newWorld().read(strings.NewReader(slotted + c.more + " .\n")); (err == nil) != c.ok {
				t.Fatalf("want ok %t, got %v", c.ok, err)
			}
		})
	}
}

// TestResolveSlots says which ends the slots of a log allow.
func TestResolveSlots(t *testing.T) {
	type slots map[string]foundSlot
	const known = "A 3 a .\nq a 1 3 2 .\nu a 1 3 2"
	for name, c := range map[string]struct {
		more  string
		found slots
		ok    bool
	}{
		"announced":                  {"h 9 a 5 -", slots{}, true},
		"created":                    {"h 9 a 5 -", slots{"s": {at: 1}}, true},
		"created elsewhere":          {"h 9 a 5 -", slots{"s": {at: 2}}, false},
		"invented":                   {"h 9 a 5 -", slots{"x": {at: 1}}, false},
		"answered and lost":          {"A 3 a", slots{}, false},
		"failed":                     {"F 3 a", slots{}, true},
		"failed and there":           {"F 3 a", slots{"s": {at: 1}}, false},
		"implied and lost":           {"h 4 a 5 - .\nA 4 a", slots{}, false},
		"known to be durable, lost":  {"q a 1 3 2 .\nu a 1 3 2", slots{}, false},
		"known and stands":           {known, slots{"s": {at: 2}}, true},
		"known and behind":           {known, slots{"s": {at: 1}}, false},
		"asked for, not known":       {"A 3 a .\nq a 1 3 2", slots{"s": {at: 1}}, true},
		"asked for, durable":         {"A 3 a .\nq a 1 3 2", slots{"s": {at: 2}}, true},
		"given up by itself":         {"A 3 a", slots{"s": {at: 1, givenUp: true}}, true},
		"given up, not yet durable":  {"A 3 a .\ng a 1 3", slots{"s": {at: 1}}, true},
		"given up and forgotten":     {"A 3 a .\ng a 1 3 .\nh 4 a 5 - .\nA 4 a", slots{"s": {at: 1}}, false},
		"drop announced":             {"A 3 a .\nx 4 a s", slots{"s": {at: 1}}, true},
		"dropped":                    {"A 3 a .\nx 4 a s", slots{}, true},
		"dropped and back":           {"A 3 a .\nx 4 a s .\nA 4 a", slots{"s": {at: 1}}, false},
		"made anew":                  {"A 3 a .\nx 4 a s .\nn 5 a s 2 .\nA 5 a", slots{"s": {at: 2}}, true},
		"made anew, the old is back": {"A 3 a .\nx 4 a s .\nn 5 a s 2 .\nA 5 a", slots{"s": {at: 1}}, false},
		"given up was another":       {"A 3 a .\nx 4 a s .\nn 5 a s 2 .\ng a 1 3 .\nA 5 a .\nh 6 a 5 - .\nA 6 a", slots{"s": {at: 2}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			if err := w.read(strings.NewReader(slotted + c.more + " .\n")); err != nil {
				t.Fatal(err)
			}
			f := found{exists: true, last: engine.EntryID{Term: 1, Index: 3}, slots: c.found, hard: w.logs["a"].sure.hard}
			err := w.resolve(map[engine.UID]found{"a": f})
			if (err == nil) != c.ok {
				t.Fatalf("want ok %t, got %v", c.ok, err)
			}
		})
	}
}
