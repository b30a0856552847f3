package main

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"testing"
	"time"
)

// TestSnapshotEndToEnd measures little, and has every line.
func TestSnapshotEndToEnd(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := snapshotCase{row: newRow(3, 256), dir: t.TempDir(), size: 40 << 20, duration: 50 * time.Millisecond, slices: 1, probe: 20 * time.Millisecond,
		table: &figureTable{w: io.Discard, json: &out, suite: "snapshot"}}
	c.row.WALFile = 8 << 20
	if err := c.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkFigures(t, out.Bytes(), 8)
}

// TestReadersEndToEnd measures little, and has every line; readers find no gap.
func TestReadersEndToEnd(t *testing.T) {
	t.Parallel()
	for _, r := range []row{newRow(3, 256), newRow(3, 100).outstanding(64)} {
		var out bytes.Buffer
		c := readersCase{row: r, duration: 400 * time.Millisecond, slices: 2,
			table: &figureTable{w: io.Discard, json: &out, suite: "readers"}}
		c.row.Dir, c.row.Commit, c.row.WALFile = filepath.Join(t.TempDir(), "e"), true, 1<<20
		if err := c.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		checkFigures(t, out.Bytes(), 5)
	}
}

func checkFigures(t *testing.T, b []byte, lines int) {
	t.Helper()
	n := 0
	for line := range bytes.Lines(b) {
		n++
		var f figure
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatal(err)
		}
		if f.Name == "" || f.EntriesPerS == nil && f.MBPerS == nil {
			t.Errorf("line without a figure: %s", line)
		}
		for _, v := range []*float64{f.EntriesPerS, f.MBPerS} {
			if v != nil && *v <= 0 {
				t.Errorf("no work was done: %s", line)
			}
		}
	}
	if n != lines {
		t.Errorf("%d lines, want %d", n, lines)
	}
}
