package main

import (
	"io"
	"testing"
	"time"
)

func TestCalm(t *testing.T) {
	r := newRaftRow(1, 1)
	r.Nodes, r.Failovers, r.Duration, r.Store.WALFile = nodesProcess, 1, 2*time.Second, 1<<20
	if err := calm(t.Context(), &r, t.TempDir(), io.Discard); err != nil {
		t.Error(err)
	}
}

func TestCalmJudges(t *testing.T) {
	second := int64(time.Second)
	stall := func(from, to int64) []calmSpan { return []calmSpan{{from * second, to * second}} }
	suspects := func(peers ...string) []calmSuspicion { return []calmSuspicion{{At: 10 * second, Peers: peers}} }
	for name, c := range map[string]struct {
		records map[string]calmRecord
		good    bool
	}{
		"nothing":         {map[string]calmRecord{"a": {}}, true},
		"no stall":        {map[string]calmRecord{"a": {Suspicions: suspects("b")}, "b": {}}, false},
		"own stall":       {map[string]calmRecord{"a": {Suspicions: suspects("b"), Stalls: stall(8, 9)}, "b": {}}, true},
		"the peer's":      {map[string]calmRecord{"a": {Suspicions: suspects("b")}, "b": {Stalls: stall(9, 11)}}, true},
		"another's":       {map[string]calmRecord{"a": {Suspicions: suspects("b")}, "b": {}, "c": {Stalls: stall(8, 9)}}, false},
		"of who has come": {map[string]calmRecord{"a": {Suspicions: suspects()}, "b": {Stalls: stall(8, 9)}}, true},
		"long before":     {map[string]calmRecord{"a": {Suspicions: suspects("b"), Stalls: stall(1, 7)}, "b": {}}, false},
		"behind":          {map[string]calmRecord{"a": {Suspicions: suspects("b"), Stalls: stall(11, 12)}, "b": {}}, false},
	} {
		if err := judgeCalm(time.Second, c.records, io.Discard); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
