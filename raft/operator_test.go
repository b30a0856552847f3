package raft_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/raft"
)

// The companion of a machine is called where the caller wants it, and behind what was answered before.
func TestAux(t *testing.T) {
	h, members, told := clockHouse(t)
	ctx := ctxFor(t)
	for _, to := range members {
		if got, err := h.nodes[0].AuxCommand(ctx, to, []byte("x")); string(got) != "call x" || err != nil {
			t.Errorf("%v: %q, %v", to, got, err)
		}
		if got, err := h.nodes[1].ConsistentAux(ctx, to, []byte("y")); string(got) != "call y" || err != nil {
			t.Errorf("%v: %q, %v", to, got, err)
		}
		h.nodes[2].AuxCast(to, []byte("z"))
		for want := "cast z " + to.Node; ; {
			select {
			case got := <-told:
				if got != want {
					continue
				}
			case <-ctx.Done():
				t.Fatal("no", want)
			}
			break
		}
	}
	counter := h.members("counter")
	if _, err := h.nodes[0].StartCluster(ctx, raft.ClusterConfig{Machine: "clock", Members: counter}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.nodes[0].AuxCommand(ctx, raft.ServerID{Name: "none", Node: "n1"}, nil); !errors.Is(err, raft.ErrUnknownServer) {
		t.Error(err)
	}
	if _, err := h.nodes[0].ConsistentAux(ended(), members[1], nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A machine without a companion says so.
func TestAuxWithoutHandler(t *testing.T) {
	h, members := sessionHouse(t, 3, nil, "counter")
	if _, err := h.nodes[3].AuxCommand(ctxFor(t), members[1], nil); !errors.Is(err, raft.ErrNoAux) {
		t.Error(err)
	}
	if _, err := h.nodes[3].ConsistentAux(ctxFor(t), members[1], nil); !errors.Is(err, raft.ErrNoAux) {
		t.Error(err)
	}
}

// What operators ask: how far members are, which there were at first, what stands in the log.
func TestOperator(t *testing.T) {
	h, members := sessionHouse(t, 3, nil, "counter")
	ctx := ctxFor(t)
	n := h.nodes[3]
	r, err := n.Process(ctx, members[0], []byte("12345678"), raft.ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for done := false; !done; { // followers' answers come after the reply
		infos, err := n.MembersInfo(ctx, members[1])
		if err != nil || len(infos) != 3 {
			t.Fatal(infos, err)
		}
		leaders := 0
		done = true
		for _, i := range infos {
			if i.Leader {
				leaders++
			} else if i.Mode != "stream" || i.Next != i.Match+1 {
				done = false
			}
			done = done && i.Match == r.Index && i.Commit == r.Index
		}
		if leaders != 1 {
			t.Fatalf("%d leaders: %+v", leaders, infos)
		}
	}
	first, err := h.nodes[1].InitialMembers("m")
	if err != nil || len(first) != 3 || first[2].ID != members[2] {
		t.Error(first, err)
	}
	var indexes raft.Seq
	for _, i := range []raft.Index{1, r.Index, r.Index + 9} {
		indexes.Add(i)
	}
	commands, err := h.nodes[1].ReadEntries(ctx, "m", indexes)
	if err != nil || len(commands) != 1 || commands[0].ID.Index != r.Index || string(commands[0].Data) != "12345678" {
		t.Errorf("%+v, %v", commands, err)
	}
	if err := h.nodes[1].TriggerCompaction(ctx, "m"); err != nil {
		t.Error(err)
	}
	view, err := n.ServerOverview(ctx, members[2])
	if err != nil || view["server"] != members[2].String() || view["sessions"] != 0 {
		t.Error(view, err)
	}
	for _, err := range []error{
		n.TriggerCompaction(ctx, "m"), second(n.InitialMembers("m")), second(n.ReadEntries(ctx, "m", raft.Seq{})),
		second(n.ServerOverview(ctx, raft.ServerID{Name: "m", Node: "n3"})), second(n.MembersInfo(ctx, raft.ServerID{Name: "m", Node: "n3"})),
	} {
		if !errors.Is(err, raft.ErrUnknownServer) {
			t.Error(err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// StartOrRestart starts once, restarts what is there, and starts no second cluster.
func TestStartOrRestart(t *testing.T) {
	h := newHouseWith(t, 3, houseOptions{machines: map[string]func() raft.Machine{"counter": sum(t)}, watchful: true})
	ctx := ctxFor(t)
	c := raft.ClusterConfig{Machine: "counter", Members: h.members("m")}
	h.close(2)
	if err := h.nodes[0].StartOrRestart(ctx, c); !errors.Is(err, raft.ErrUnreachable) {
		t.Errorf("while a member does not answer: %v", err)
	}
	h.open(2) // by now it is known to be lost, and is waited for
	for range 2 {
		for _, n := range h.nodes {
			if err := n.StartOrRestart(ctx, c); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.nodes[1].StopServer(ctx, "m"); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.nodes[2].DeleteServer(ctx, "m"); err != nil { // as a lost disk does
		t.Fatal(err)
	}
	if err := h.nodes[2].StartOrRestart(ctx, c); !errors.Is(err, raft.ErrMustJoin) {
		t.Errorf("beside a cluster that goes on: %v", err)
	}
	c.Members = append(c.Members, raft.ServerID{Name: "other", Node: "n2"})
	if err := h.nodes[2].StartOrRestart(ctx, c); !errors.Is(err, raft.ErrMalformed) {
		t.Errorf("two members of one node: %v", fmt.Sprint(err))
	}
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
