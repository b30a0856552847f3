package raft_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/raft"
)

// TestDamagedDirectory: a record of a node's list of servers does not verify. The node does not open, says which log of which system
// is damaged, and deletes the logs of no servers. With an empty directory it opens.
func TestDamagedDirectory(t *testing.T) {
	h := newHouseWith(t, 1, tallies(nil))
	ctx := ctxFor(t)
	const mark = "a-name-to-be-found"
	for _, c := range []raft.ServerConfig{
		{Name: "a", Machine: "tally", UID: "log-a"}, {Name: "b", Machine: "tally", UID: "log-b", Cluster: mark}, {Name: "c", Machine: "tally"},
	} {
		if _, err := h.nodes[0].StartServer(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	h.close(0)
	h.nodes[0] = nil
	flip(t, h.dirs[0], ".wal", []byte(mark))
	open := func(dir string) (*raft.Node, error) {
		return raft.OpenNodeIn(sched.Real(), engine.Open, raft.NodeOptions{ID: "n0", Dir: dir, Network: joining{h, 0}, Machines: h.options.machines})
	}
	for range 2 { // the first attempt changes nothing
		n, err := open(h.dirs[0])
		var damage *raft.DirectoryError
		if !errors.As(err, &damage) || !errors.Is(err, engine.ErrQuarantined) {
			t.Fatal(n, err)
		}
		if damage.System != raft.DefaultSystem || damage.Dir != h.dirs[0] || !strings.Contains(err.Error(), string(damage.Log)) {
			t.Errorf("%+v: %v", damage, err)
		}
	}
	e, err := engine.Open(h.dirs[0], engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var logs []string
	for l := range e.Logs() {
		logs = append(logs, string(l.UID()))
	}
	if err := e.Close(ctx); err != nil {
		t.Error(err)
	}
	if len(logs) != 4 || !slices.Contains(logs, "log-a") || !slices.Contains(logs, "log-b") {
		t.Errorf("the logs are %q", logs)
	}
	h.dirs[0] = t.TempDir()
	h.open(0)
	if list := h.nodes[0].Servers(); len(list) != 0 {
		t.Error(list)
	}
}
