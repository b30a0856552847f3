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
	"github.com/rawl-db/rawl/raft/transport"
)

func countThrice(ctx context.Context, dir string) (err error) {
	counter, err := raft.Simple(raft.Fold[uint64]{
		Apply: func(_ *raft.ApplyContext, n uint64, _ []byte) (uint64, []byte) {
			return n + 1, binary.BigEndian.AppendUint64(nil, n+1)
		},
	})
	began := time.Now()
	net, bad := transport.New[raft.Packet](transport.Options{Now: func() int64 { return int64(time.Since(began)) }})
	if err := errors.Join(err, bad); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, net.Close()) }()
	nodes, members := map[string]*raft.Node{}, []raft.ServerID{}
	for _, id := range []string{"a", "b", "c"} {
		n, bad := raft.OpenNode(raft.NodeOptions{ID: id, Dir: filepath.Join(dir, id), Network: raft.InProcess(net),
			Machines: map[string]func() raft.Machine{"counter": counter}})
		if bad != nil {
			return bad
		}
		defer func() { err = errors.Join(err, n.Close(ctx)) }()
		nodes[id], members = n, append(members, raft.ServerID{Name: "hits", Node: id})
	}
	if _, err := nodes["a"].StartCluster(ctx, raft.ClusterConfig{Machine: "counter", Members: members}); err != nil {
		return err
	}
	for range 3 {
		reply, err := nodes["a"].Process(ctx, members[0], nil, raft.ProcessOptions{})
		if err != nil {
			return err // a *raft.ProposalError: it says whether the command may have been applied
		}
		fmt.Println(binary.BigEndian.Uint64(reply.Data))
		if err := nodes["b"].Close(ctx); err != nil { // a member is lost, the others go on
			return err
		}
	}
	return nil
}

// Three nodes in one process count together, and lose one of them.
func ExampleNode() {
	dir, err := os.MkdirTemp("", "rawl")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := countThrice(ctx, dir); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 1
	// 2
	// 3
}
