package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft"
)

const (
	houseNodes = 3
	starters   = 256 // clusters that something is done to at the same time

	nodesInProcess = "inproc"
	nodesProcess   = "process"
)

// raftNodes are three nodes that have a member of each cluster, somewhere.
type raftNodes interface {
	// start starts all clusters, roll takes the WALs through their pools of files.
	start(ctx context.Context) error
	roll(ctx context.Context) error
	// leader is who leads a cluster, client the node of this process at which its clients work then.
	leader(ctx context.Context, k int) (raft.ServerID, error)
	client(leader raft.ServerID) *raft.Node
	// state is what a member has applied once it has everything that was acknowledged before the call.
	state(ctx context.Context, k, node int) (*tallyMachine, error)
	// count adds what the nodes count.
	count(*raftTotals) error
	backend() string
	// echo is where another process answers with what it is sent, "" if there is none.
	echo() string
	close() error
}

// openRaftNodes opens them in a new directory.
func openRaftNodes(ctx context.Context, r *raftRow, dir string, o engine.Options) (raftNodes, error) {
	if r.Nodes == nodesProcess {
		return newProcessHouse(ctx, r, dir, o)
	}
	return newRaftHouse(dir, r.Clusters, o)
}

func nodeName(i int) string    { return fmt.Sprintf("n%d", i) }
func clusterName(k int) string { return fmt.Sprintf("c%06d", k) }

func nodeOf(id raft.ServerID) int { return int(id.Node[1] - '0') }

func member(k, node int) raft.ServerID {
	return raft.ServerID{Name: clusterName(k), Node: nodeName(node)}
}

func members(k int) (list []raft.ServerID) {
	for i := range houseNodes {
		list = append(list, member(k, i))
	}
	return list
}

// each runs f for all numbers below n, many at a time.
func each(n int, f func(k int) error) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, min(starters, n))
	for w := range errs {
		wg.Go(func() {
			for errs[w] == nil {
				k := int(next.Add(1)) - 1
				if k >= n {
					return
				}
				errs[w] = f(k)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
