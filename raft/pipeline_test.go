package raft_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/rawl-db/rawl/raft"
)

// Commands of one priority are applied in the order in which they were sent, wherever the client is, and all are
// notified once.
func TestPipelineOrder(t *testing.T) {
	h, members := sessionHouse(t, 3, nil, "counter")
	ctx := ctxFor(t)
	for _, node := range []int{0, 1, 2, 3} {
		var got [2][]raft.Notice
		base := total(t, h.nodes[node], members[0])
		p, err := h.nodes[node].OpenPipeline(members[0], raft.PipelineOptions{Outstanding: 1000, Priority: raft.Low,
			Notify: func(list []raft.Notice) {
				for _, n := range list {
					got[n.Correlation%2] = append(got[n.Correlation%2], n)
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		if node == 3 { // it has to find the leader first
			if err := warm(t, h.nodes[node], members[0]); err != nil {
				t.Fatal(err)
			}
		}
		const count = 400
		for k := range uint64(count) {
			if k%2 == 0 {
				err = p.Send(k, one())
			} else {
				err = p.SendPriority(raft.Normal, k, one())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(ctx); err != nil {
			t.Fatal(err)
		}
		if err := p.Send(0, one()); !errors.Is(err, raft.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		applied := uint64(0)
		for lane, list := range got {
			last := uint64(0)
			if len(list) != count/2 {
				t.Fatalf("node %d: %d notices of %d", node, len(list), count/2)
			}
			for k, n := range list {
				if n.Correlation != uint64(2*k+lane) {
					t.Fatalf("node %d: notice %d is of %d", node, k, n.Correlation)
				}
				if n.Err != nil {
					if node == 3 && errors.Is(n.Err, raft.ErrNotLeader) {
						continue // before the first refusal told who leads
					}
					t.Fatal(n.Err)
				}
				applied++
				sum := binary.LittleEndian.Uint64(n.Reply.Data)
				if sum <= last {
					t.Fatalf("node %d: command %d was applied out of order", node, n.Correlation)
				}
				last = sum
			}
		}
		if sum := total(t, h.nodes[node], members[0]); sum != base+applied {
			t.Errorf("node %d: sum %d, want %d", node, sum, base+applied)
		}
	}
}

// warm has a command processed.
func warm(t *testing.T, n *raft.Node, to raft.ServerID) error {
	_, err := n.Process(ctxFor(t), to, binary.LittleEndian.AppendUint64(nil, 0), raft.ProcessOptions{})
	return err
}

// noticed counts what notices say.
type noticed struct{ applied, maybe, never, twice int }

func (c *noticed) take(t *testing.T, seen map[uint64]bool, list []raft.Notice) {
	for _, n := range list {
		if seen[n.Correlation] {
			c.twice++
		}
		seen[n.Correlation] = true
		var e *raft.ProposalError
		switch {
		case n.Err == nil:
			c.applied++
		case !errors.As(n.Err, &e):
			t.Errorf("%T", n.Err)
		case e.Outcome == raft.MaybeApplied:
			c.maybe++
		default:
			c.never++
		}
	}
}

// While leaders are lost every command is notified once, and its notice tells the truth. In a session all are applied once.
func TestPipelineLeaderLost(t *testing.T) {
	for _, inSession := range []bool{false, true} {
		h, members := sessionHouse(t, 3, nil, "counter")
		ctx := ctxFor(t)
		client := h.nodes[3]
		var c noticed
		seen := make(map[uint64]bool)
		free := make(chan struct{}, 64)
		o := raft.PipelineOptions{Outstanding: cap(free), Notify: func(list []raft.Notice) {
			c.take(t, seen, list)
			for range list {
				<-free
			}
		}}
		if inSession {
			var err error
			if o.Session, err = client.OpenSession(ctx, members[0], raft.SessionOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		p, err := client.OpenPipeline(members[1], o)
		if err != nil {
			t.Fatal(err)
		}
		const count = 600
		for k := range uint64(count) {
			if k%200 == 100 {
				_, leader, err := client.Members(ctx, members[k/200])
				if err != nil {
					t.Fatal(err)
				}
				gone := int(leader.Node[1] - '0')
				h.close(gone)
				h.open(gone)
			}
			free <- struct{}{}
			if err := p.Send(k, one()); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(ctx); err != nil {
			t.Fatal(err)
		}
		sum := int(total(t, client, members[0]))
		if len(seen) != count || c.twice != 0 || sum < c.applied || sum > c.applied+c.maybe {
			t.Errorf("session %v: %d notified, %+v, sum %d", inSession, len(seen), c, sum)
		}
		if inSession && c.applied != count {
			t.Errorf("of %d commands: %+v", count, c)
		}
	}
}

// What a pipeline cannot send it refuses at once.
func TestPipelineRefuses(t *testing.T) {
	h, members := sessionHouse(t, 3, nil, "counter")
	for _, bad := range []raft.PipelineOptions{
		{},
		{Notify: func([]raft.Notice) {}, Outstanding: -1},
		{Notify: func([]raft.Notice) {}, Patience: -1},
		{Notify: func([]raft.Notice) {}, Priority: 2},
	} {
		if _, err := h.nodes[0].OpenPipeline(members[0], bad); !errors.Is(err, raft.ErrMalformed) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	h.close(1)
	h.close(2)
	var c noticed
	p, err := h.nodes[3].OpenPipeline(members[1], raft.PipelineOptions{Outstanding: 2, Patience: 1,
		Notify: func(list []raft.Notice) { c.take(t, make(map[uint64]bool), list) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Send(1, make([]byte, 2<<20)); !errors.Is(err, raft.ErrTooLarge) {
		t.Error(err)
	}
	if err := p.SendPriority(9, 1, one()); !errors.Is(err, raft.ErrMalformed) {
		t.Error(err)
	}
	if err := p.Send(1, one()); err != nil {
		t.Error(err)
	}
	if err := p.Close(ctxFor(t)); err != nil {
		t.Error(err)
	}
	if c.applied != 0 || c.maybe+c.never != 1 {
		t.Errorf("without a majority: %+v", c)
	}
}
