package raft_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// serverCalls are the calls to a node about a server of it.
func serverCalls(n *raft.Node, id raft.ServerID) []badCall {
	return []badCall{
		{name: "StartServerOn", call: func(ctx context.Context) error {
			return second(n.StartServerOn(ctx, id.Node, raft.ServerConfig{Name: id.Name, Machine: "tally"}))
		}},
		{name: "RestartServerOn", call: func(ctx context.Context) error { return n.RestartServerOn(ctx, id, raft.RestartOptions{}) }},
		{name: "StopServerOn", call: func(ctx context.Context) error { return n.StopServerOn(ctx, id) }},
		{name: "DeleteServerOn", call: func(ctx context.Context) error { return n.DeleteServerOn(ctx, id) }},
	}
}

// A node does for another one with its servers what it does for itself, and says the same of what cannot be done.
func TestServersOfAnotherNode(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1)
	for from := range 2 { // another node, and the own one
		n, id := h.nodes[from], h.id(1, "s")
		want := func(what string, err, want error) {
			t.Helper()
			if !errors.Is(err, want) || want == nil && err != nil {
				t.Fatalf("node %d, %s: %v, want %v", from, what, err, want)
			}
		}
		want("stop of nobody", n.StopServerOn(ctx, id), raft.ErrUnknownServer)
		_, err := n.StartServerOn(ctx, "n1", raft.ServerConfig{Name: "s", Machine: "no such"})
		want("start without a machine", err, raft.ErrUnknownMachine)
		_, err = n.StartServerOn(ctx, "n1", raft.ServerConfig{Machine: "tally"})
		want("start without a name", err, core.ErrBadID)
		started, err := n.StartServerOn(ctx, "n1", raft.ServerConfig{Name: "s", Cluster: "c", Machine: "tally", Options: raft.ServerOptions{WindowEntries: 7}})
		if want("start", err, nil); started != id {
			t.Fatalf("started %v", started)
		}
		_, err = n.StartServerOn(ctx, "n1", raft.ServerConfig{Name: "s", Machine: "tally"})
		want("start again", err, raft.ErrExists)
		want("restart while it runs", n.RestartServerOn(ctx, id, raft.RestartOptions{}), raft.ErrRunning)
		want("bad options", n.RestartServerOn(ctx, id, raft.RestartOptions{Options: &raft.ServerOptions{WindowBytes: -1}}), raft.ErrMalformed)
		want("stop", n.StopServerOn(ctx, id), nil)
		want("restart", n.RestartServerOn(ctx, id, raft.RestartOptions{Cluster: "d", Options: &raft.ServerOptions{WindowEntries: 9}}), nil)
		if i := h.nodes[1].Servers()[1]; i.ID != id || i.Err != nil || i.Cluster != "d" || i.Options.WindowEntries != 9 {
			t.Fatalf("it is %+v", i)
		}
		want("delete", n.DeleteServerOn(ctx, id), nil)
		want("delete again", n.DeleteServerOn(ctx, id), raft.ErrUnknownServer)
	}
	h.close(2)
	until(t, ctx, "the node to be missed", func() bool {
		return errors.Is(h.nodes[0].StopServerOn(ctx, h.id(2, "s")), raft.ErrUnreachable)
	})
}
