package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/rawl-db/rawl/engine"
)

// diff compares the logs of two directories.
func (c *command) diff() (int, error) {
	all, err := engine.Diff(c.args[0], c.args[1], engine.DiffOptions{UID: engine.UID(c.uid), WALDirA: c.walDir, WALDirB: c.walDirB})
	if err != nil {
		return 0, err
	}
	code := soundOr(slices.ContainsFunc(all, func(d engine.LogDiff) bool { return !d.Equal() }))
	if c.json {
		return code, writeJSON(c.out, diffJSON(all))
	}
	writeDiff(c.out, all)
	return code, nil
}

func writeDiff(w io.Writer, all []engine.LogDiff) {
	for _, d := range all {
		switch {
		case !d.InB:
			fmt.Fprintf(w, "%s: in the first only\n", d.UID)
			continue
		case !d.InA:
			fmt.Fprintf(w, "%s: in the second only\n", d.UID)
			continue
		case d.At != 0:
			fmt.Fprintf(w, "%s: differs at %d: %s, %s\n", d.UID, d.At, entryForm(d.A), entryForm(d.B))
		default:
			fmt.Fprintf(w, "%s: equal in %d entries, ends at %v and %v\n", d.UID, d.Compared, d.LastA, d.LastB)
		}
		if d.Damaged > 0 {
			fmt.Fprintf(w, "%s: damaged in %d places, which were not compared\n", d.UID, d.Damaged)
		}
	}
}

func entryForm(r engine.DumpRecord) string {
	return fmt.Sprintf("%d/%d type=%d size=%d crc=%08x", r.Term, r.Index, r.Type, r.Size, r.CRC)
}

type jsonDiff struct {
	UID      string     `json:"uid"`
	InA      bool       `json:"in_a"`
	InB      bool       `json:"in_b"`
	Equal    bool       `json:"equal"`
	Compared uint64     `json:"compared"`
	At       uint64     `json:"differs_at,omitempty"`
	A        *jsonEntry `json:"a,omitempty"`
	B        *jsonEntry `json:"b,omitempty"`
	LastA    uint64     `json:"last_a,omitempty"`
	LastB    uint64     `json:"last_b,omitempty"`
	Damaged  int        `json:"damaged,omitempty"`
}

func diffJSON(all []engine.LogDiff) []jsonDiff {
	list := make([]jsonDiff, 0, len(all))
	for _, d := range all {
		j := jsonDiff{UID: string(d.UID), InA: d.InA, InB: d.InB, Equal: d.InA && d.InB && d.Equal(), Compared: d.Compared,
			At: uint64(d.At), LastA: uint64(d.LastA.Index), LastB: uint64(d.LastB.Index), Damaged: d.Damaged}
		if d.At != 0 {
			a, b := entryJSON(d.A, nil), entryJSON(d.B, nil)
			j.A, j.B = &a, &b
		}
		list = append(list, j)
	}
	return list
}
