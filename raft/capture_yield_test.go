package raft

import (
	"bytes"
	"errors"
	"testing"
)

// TestYieldingWriter: a state that is written looks now and then, and at its end, and gives way once and for all.
func TestYieldingWriter(t *testing.T) {
	var out bytes.Buffer
	looks, held := 0, false
	w := &yieldingWriter{to: &out, held: func() bool { looks++; return held }}
	piece := make([]byte, 1000)
	for range 3 * yieldEvery / 1000 {
		if n, err := w.Write(piece); n != 1000 || err != nil {
			t.Fatal(n, err)
		}
	}
	if looks != 3 || out.Len() != 3*yieldEvery/1000*1000 {
		t.Errorf("%d looks, %d bytes", looks, out.Len())
	}
	held = true
	if _, err := w.Write(make([]byte, yieldEvery)); !errors.Is(err, errGivesWay) {
		t.Error(err)
	}
	held = false
	if err := w.look(); !errors.Is(err, errGivesWay) {
		t.Error(err)
	}
}
