package raft_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/rawl-db/rawl/raft"
)

// sessionHouse is a house whose last node has no member of the cluster.
func sessionHouse(t *testing.T, members int, machines map[string]func() raft.Machine, machine string) (*house, []raft.ServerID) {
	t.Helper()
	h := newHouse(t, members+1)
	for _, n := range h.nodes {
		for name, m := range machines {
			if err := n.RegisterMachine(name, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	list := h.members("m")[:members]
	if _, err := h.nodes[0].StartCluster(ctxFor(t), raft.ClusterConfig{Name: "m", Machine: machine, Members: list}); err != nil {
		t.Fatal(err)
	}
	var nodes []int
	for i := range members {
		nodes = append(nodes, i)
	}
	h.follow(ctxFor(t), "m", nodes...)
	return h, list
}

// total asks the machine of sums, linearizably.
func total(t *testing.T, n *raft.Node, to raft.ServerID) uint64 {
	t.Helper()
	r, err := n.Process(ctxFor(t), to, binary.LittleEndian.AppendUint64(nil, 0), raft.ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return binary.LittleEndian.Uint64(r.Data)
}

// What a session's client was told is applied, and nothing twice, while every leader's node is closed and opened
// again in turn.
func TestClientSessionExactlyOnce(t *testing.T) {
	for _, o := range []raft.SessionOptions{{}, {Ordered: true}} {
		t.Run(fmt.Sprintf("ordered=%t", o.Ordered), func(t *testing.T) {
			h, members := sessionHouse(t, 3, nil, "counter")
			client := h.nodes[3]
			ctx := ctxFor(t)
			c, err := client.OpenSession(ctx, members[0], o)
			if err != nil {
				t.Fatal(err)
			}
			const workers, each = 4, 40
			var wg sync.WaitGroup
			var mu sync.Mutex
			var replies []uint64
			halfway := make(chan struct{}, workers)
			for range workers {
				wg.Go(func() {
					for k := range each {
						if k == each/4 {
							halfway <- struct{}{}
						}
						p := raft.Priority(k % 2)
						r, err := c.Process(ctx, one(), raft.ProcessOptions{Priority: p})
						if err != nil {
							t.Errorf("command %d: %v", k, err)
							return
						}
						mu.Lock()
						replies = append(replies, binary.LittleEndian.Uint64(r.Data))
						mu.Unlock()
					}
				})
			}
			<-halfway
			for range 2 {
				_, leader, err := client.Members(ctx, members[0])
				if err != nil {
					t.Fatal(err)
				}
				gone := int(leader.Node[1] - '0')
				h.close(gone)
				h.open(gone)
			}
			wg.Wait()
			slices.Sort(replies)
			for k, r := range replies {
				if r != uint64(k+1) {
					t.Fatalf("reply %d of %d is %d: a command was lost or applied twice", k, len(replies), r)
				}
			}
			if got := total(t, client, members[0]); got != workers*each {
				t.Errorf("sum %d, want %d", got, workers*each)
			}
			if err := c.KeepAlive(ctx); err != nil {
				t.Error(err)
			}
			if err := c.Close(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// echo sends each command of a session back to it, once as an event and once as a message.
type echo struct{ raft.Machine }

func (echo) Apply(ctx *raft.ApplyContext, command []byte) []byte {
	if ctx.Session.ID != 0 {
		ctx.SendMsg(raft.ToSession(ctx.Session.ID), append([]byte("event "), command...), raft.SendOptions{Event: true})
		ctx.SendMsg(raft.ToSession(ctx.Session.ID), append([]byte("message "), command...), raft.SendOptions{})
	}
	return nil
}

func newEcho(t *testing.T) func() raft.Machine {
	inner := sum(t)
	return func() raft.Machine { return echo{inner()} }
}

func TestClientSessionEvents(t *testing.T) {
	h, members := sessionHouse(t, 3, map[string]func() raft.Machine{"echo": newEcho(t)}, "echo")
	ctx := ctxFor(t)
	const count = 100
	var events, messages []raft.SessionEvent
	gotAll := make(chan struct{}, 2)
	into := func(list *[]raft.SessionEvent) func([]raft.SessionEvent) {
		return func(batch []raft.SessionEvent) {
			if *list = append(*list, batch...); len(*list) == count {
				gotAll <- struct{}{}
			}
		}
	}
	c, err := h.nodes[3].OpenSession(ctx, members[1], raft.SessionOptions{Events: into(&events), Messages: into(&messages)})
	if err != nil {
		t.Fatal(err)
	}
	for k := range count {
		if _, err := c.Process(ctx, []byte{byte(k)}, raft.ProcessOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		select {
		case <-gotAll:
		case <-ctx.Done():
			t.Fatal("events are missing")
		}
	}
	last := raft.Index(0)
	for k := range count {
		if string(events[k].Data) != "event "+string(byte(k)) || string(messages[k].Data) != "message "+string(byte(k)) {
			t.Fatalf("number %d: %q and %q", k, events[k].Data, messages[k].Data)
		}
		if events[k].Index <= last || events[k].Index != messages[k].Index {
			t.Fatalf("number %d: indexes %d and %d behind %d", k, events[k].Index, messages[k].Index, last)
		}
		last = events[k].Index
	}
}

// The errors of a session, and what of them is known of the command.
func TestClientSessionErrors(t *testing.T) {
	h, members := sessionHouse(t, 3, nil, "counter")
	ctx := ctxFor(t)
	client := h.nodes[3]
	outcome := func(err, cause error, o raft.Outcome) {
		t.Helper()
		var e *raft.ProposalError
		if !errors.As(err, &e) || !errors.Is(err, cause) || e.Outcome != o {
			t.Errorf("%v; want %v, %v", err, cause, o)
		}
	}
	_, err := client.OpenSession(ctx, members[0], raft.SessionOptions{Window: raft.MaxSessionWindow + 1})
	outcome(err, raft.ErrMalformed, raft.NotApplied)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err = client.OpenSession(ended, members[0], raft.SessionOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}

	c, err := client.OpenSession(ctx, members[0], raft.SessionOptions{Window: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Process(ctx, make([]byte, 2<<20), raft.ProcessOptions{})
	outcome(err, raft.ErrTooLarge, raft.NotApplied)
	_, err = c.Process(ctx, one(), raft.ProcessOptions{Priority: 9})
	outcome(err, raft.ErrMalformed, raft.NotApplied)
	_, err = c.Process(ended, one(), raft.ProcessOptions{})
	outcome(err, context.Canceled, raft.NotApplied)
	before := total(t, client, members[0])
	if _, err = c.Process(ctx, one(), raft.ProcessOptions{}); err != nil { // the number before was given up
		t.Fatal(err)
	}
	if after := total(t, client, members[0]); after != before+1 {
		t.Errorf("a command that was given up was applied behind a later one: %d, then %d", before, after)
	}

	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Done():
	default:
		t.Error("a closed session is not done")
	}
	_, err = c.Process(ctx, one(), raft.ProcessOptions{})
	outcome(err, raft.ErrSessionExpired, raft.NotApplied)
	outcome(c.KeepAlive(ctx), raft.ErrSessionExpired, raft.NotApplied)
	if err := c.Close(ctx); err != nil {
		t.Errorf("to close again: %v", err)
	}
}

// A window that is full refuses a command before anything is sent.
func TestClientSessionWindow(t *testing.T) {
	h, members := sessionHouse(t, 3, nil, "counter")
	ctx := ctxFor(t)
	c, err := h.nodes[3].OpenSession(ctx, members[0], raft.SessionOptions{Window: 1})
	if err != nil {
		t.Fatal(err)
	}
	h.close(0)
	h.close(1) // no majority: the command waits
	waiting, cancel := context.WithCancel(ctx)
	ends := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := c.Process(waiting, one(), raft.ProcessOptions{})
			ends <- err
		}()
	}
	if err := <-ends; !errors.Is(err, raft.ErrBusy) {
		t.Error(err)
	}
	cancel()
	if err := <-ends; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A client on a node without a member is led on from a member that does not lead.
func TestRedirection(t *testing.T) {
	h, members := sessionHouse(t, 3, nil, "counter")
	ctx := ctxFor(t)
	for _, to := range members {
		if _, err := h.nodes[3].Process(ctx, to, one(), raft.ProcessOptions{}); err != nil {
			t.Errorf("by %v: %v", to, err)
		}
	}
}
