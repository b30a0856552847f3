package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// addressTurn is for how long a book gives one of several addresses: long enough for an attempt, which asks more than once.
const addressTurn = 3 * time.Second

// addressBook says where nodes are: as the flags of this node have it, and as the nodes announced themselves to the cluster. Either may
// be out of date, so that they take turns. It implements tcp.Resolver.
type addressBook struct {
	given map[raft.NodeID]string
	age   func() time.Duration // of the book

	mu      sync.Mutex
	learned []nodeAddress // replaced, not changed
}

func newAddressBook(given map[raft.NodeID]string) *addressBook {
	began := time.Now()
	return &addressBook{given: given, age: func() time.Duration { return time.Since(began) }}
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
	return known[int(b.age()/addressTurn)%len(known)], nil
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
