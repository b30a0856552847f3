package raft_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/transport"
)

// exampleNodes are three nodes in this process, "a" to "c", with a cluster "hits" of the first members of them, which counts.
type exampleNodes struct {
	dir   string
	net   *transport.Network[raft.Packet]
	nodes []*raft.Node
	ids   []raft.ServerID
}

func openExample(ctx context.Context, members int) (*exampleNodes, error) {
	counter, err := raft.Simple(raft.Fold[uint64]{
		Apply: func(_ *raft.ApplyContext, n uint64, command []byte) (uint64, []byte) {
			n += uint64(len(command))
			return n, binary.BigEndian.AppendUint64(nil, n)
		},
	})
	began := time.Now()
	net, bad := transport.New[raft.Packet](transport.Options{Now: func() int64 { return int64(time.Since(began)) }})
	dir, worse := os.MkdirTemp("", "rawl")
	if err := errors.Join(err, bad, worse); err != nil {
		return nil, err
	}
	x := &exampleNodes{dir: dir, net: net}
	for _, id := range []string{"a", "b", "c"} {
		n, err := raft.OpenNode(raft.NodeOptions{
			ID: id, Dir: filepath.Join(dir, id), Network: raft.InProcess(net),
			Machines: map[string]func() raft.Machine{"counter": counter},
			Queries: map[string]raft.Query{"state": func(m raft.Machine, _ []byte) ([]byte, error) {
				n, _ := raft.State[uint64](m)
				return binary.BigEndian.AppendUint64(nil, n), nil
			}},
		})
		if err != nil {
			return x, err
		}
		x.nodes = append(x.nodes, n)
		x.ids = append(x.ids, raft.ServerID{Name: "hits", Node: id})
	}
	_, err = x.nodes[0].StartCluster(ctx, raft.ClusterConfig{Machine: "counter", Members: x.ids[:members]})
	return x, err
}

func (x *exampleNodes) close(ctx context.Context) {
	for _, n := range x.nodes {
		if err := n.Close(ctx); err != nil {
			fmt.Println(err)
		}
	}
	if err := errors.Join(x.net.Close(), os.RemoveAll(x.dir)); err != nil {
		fmt.Println(err)
	}
}

// example runs f with the nodes.
func example(members int, f func(ctx context.Context, x *exampleNodes) error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	x, err := openExample(ctx, members)
	if x != nil {
		defer x.close(ctx)
	}
	if err == nil {
		err = f(ctx, x)
	}
	if err != nil {
		fmt.Println(err)
	}
}

// A session's commands are applied exactly once, also when their answers are lost and the node sends them again.
func ExampleClientSession() {
	example(3, func(ctx context.Context, x *exampleNodes) error {
		session, err := x.nodes[2].OpenSession(ctx, x.ids[2], raft.SessionOptions{})
		if err != nil {
			return err
		}
		for _, hits := range []string{"one", "fours"} {
			reply, err := session.Process(ctx, []byte(hits), raft.ProcessOptions{})
			if err != nil {
				return err
			}
			fmt.Println(binary.BigEndian.Uint64(reply.Data))
		}
		return session.Close(ctx)
	})
	// Output:
	// 3
	// 8
}

// A pipeline sends without waiting. Notices come in batches, those of one priority in the order of the commands.
func ExamplePipeline() {
	example(3, func(ctx context.Context, x *exampleNodes) error {
		session, err := x.nodes[1].OpenSession(ctx, x.ids[1], raft.SessionOptions{Ordered: true})
		if err != nil {
			return err
		}
		applied := 0
		p, err := x.nodes[1].OpenPipeline(x.ids[1], raft.PipelineOptions{
			Session: session, // what is lost is sent again
			Notify: func(notices []raft.Notice) {
				for _, n := range notices {
					if n.Err != nil {
						fmt.Println(n.Correlation, n.Err)
						continue
					}
					applied++
				}
			},
		})
		if err != nil {
			return err
		}
		for k := range uint64(100) {
			if err := p.Send(k, []byte("x")); err != nil { // ErrBusy asks to slow down
				return err
			}
		}
		if err := p.Close(ctx); err != nil { // waits for the last notice
			return err
		}
		fmt.Println(applied, "applied")
		return session.Close(ctx)
	})
	// Output: 100 applied
}

// Queries read the machine: the own member's as it is, or behind a command of one's own, and everybody's, linearizably.
func ExampleNode_ConsistentQuery() {
	example(3, func(ctx context.Context, x *exampleNodes) error {
		reply, err := x.nodes[0].Process(ctx, x.ids[0], []byte("12345"), raft.ProcessOptions{})
		if err != nil {
			return err
		}
		state, err := x.nodes[1].ConsistentQuery(ctx, x.ids[1], "state", nil)
		if err != nil {
			return err
		}
		fmt.Println("consistent:", binary.BigEndian.Uint64(state))
		applied := raft.QueryOptions{Applied: reply.ID()} // read what was written, on any member
		local, err := x.nodes[2].LocalQuery(ctx, "hits", func(m raft.Machine) (any, error) {
			n, _ := raft.State[uint64](m)
			return n, nil
		}, applied)
		if err != nil {
			return err
		}
		fmt.Println("local:", local)
		return nil
	})
	// Output:
	// consistent: 5
	// local: 5
}

// A server joins a cluster, becomes a voter when it has caught up, and another one leaves.
func ExampleNode_AddMember() {
	example(2, func(ctx context.Context, x *exampleNodes) error {
		id, err := x.nodes[2].StartServer(ctx, raft.ServerConfig{Name: "hits", Machine: "counter"})
		if err != nil {
			return err
		}
		if err := x.nodes[0].AddMember(ctx, x.ids[0], id, raft.MemberOptions{Membership: core.Voter}); err != nil {
			return err
		}
		if err := x.nodes[1].Leave(ctx, "hits"); err != nil {
			return err
		}
		members, _, err := x.nodes[2].Members(ctx, id)
		for _, m := range members {
			fmt.Println(m.ID)
		}
		return err
	})
	// Output:
	// hits@a
	// hits@c
}
