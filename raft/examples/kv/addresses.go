package main

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/rawl-db/rawl/raft"
)

// addressBook says where nodes are: as the flags of this node have it, and as the nodes announced themselves to the cluster. Either may
// be out of date, so that attempts take turns. It implements tcp.Resolver.
type addressBook struct {
	mu       sync.Mutex
	given    map[raft.NodeID]string
	learned  []nodeAddress // replaced, not changed
	attempts map[raft.NodeID]int
}

func newAddressBook(given map[raft.NodeID]string) *addressBook {
	return &addressBook{given: given, attempts: map[raft.NodeID]int{}}
}

// learn takes over what the cluster knows.
func (b *addressBook) learn(list []nodeAddress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.learned = list
}

// Resolve implements tcp.Resolver.
func (b *addressBook) Resolve(_ context.Context, id raft.NodeID) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var known []string
	if at := b.given[id]; at != "" {
		known = append(known, at)
	}
	if a := b.findLocked(id); a.Raft != "" && !slices.Contains(known, a.Raft) {
		known = append(known, a.Raft)
	}
	if len(known) == 0 {
		return "", fmt.Errorf("kv: nobody knows where node %q is", id)
	}
	n := b.attempts[id]
	b.attempts[id] = n + 1
	return known[n%len(known)], nil
}

func (b *addressBook) findLocked(id raft.NodeID) nodeAddress {
	for _, a := range b.learned {
		if a.Node == id {
			return a
		}
	}
	return nodeAddress{}
}

// announced returns what a node has announced, zero if it has not.
func (b *addressBook) announced(id raft.NodeID) nodeAddress {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.findLocked(id)
}

// others returns the nodes that the flags name, ascending.
func (b *addressBook) others() (list []raft.NodeID) {
	for id := range b.given {
		list = append(list, id)
	}
	slices.Sort(list)
	return list
}
