package main

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"time"
)

func TestTransferEndToEnd(t *testing.T) {
	c := transferCase{row: newRaftRow(1, 2), interruptions: 1}
	r := &c.row
	r.Nodes, r.Failovers, r.Duration, r.Store.WALFile = nodesProcess, 1, 100*time.Millisecond, 1<<20
	r.Padding, r.SendRate, r.Store.SnapshotRate = 12<<20, 4<<20, -1 // slow enough to be interrupted
	var out bytes.Buffer
	if err := c.run(t.Context(), t.TempDir(), &figureTable{w: io.Discard, json: &out, suite: "transfer"}); err != nil {
		t.Fatal(err)
	}
	var last figure
	lines := 0
	for d := json.NewDecoder(&out); d.More(); lines++ {
		if err := d.Decode(&last); err != nil {
			t.Fatal(err)
		}
	}
	const credit = 4 << 20 // on its way at a time
	if lines != 4 || last.MBPerS == nil || *last.MBPerS <= 0 || last.TwiceMB == nil || *last.TwiceMB*1e6 > 2*credit+1<<20 {
		t.Errorf("%d lines, the last is %+v", lines, last)
	}
}

// TestPadding: a state whose padding is not the same, byte for byte and to its end, is refused.
func TestPadding(t *testing.T) {
	var state bytes.Buffer
	if _, err := newTallies(100_000)().Snapshot().WriteTo(&state); err != nil {
		t.Fatal(err)
	}
	good := state.Bytes()
	if err := newTallies(100_000)().Restore(bytes.NewReader(good)); err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	for name, bad := range map[string][]byte{"flipped": flipped, "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0)} {
		if newTallies(100_000)().Restore(bytes.NewReader(bad)) == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
