package raft

import "sync"

// coldReaders is how many reads of a system run at a time for followers that lack what is not in memory any more. They keep a
// device busy; with a node that comes back there may be one for each of thousands of clusters, each with a message in memory.
const coldReaders = 4

// coldReads are those reads, first come first served: each is of one message.
type coldReads struct {
	mu      sync.Mutex
	running int
	waiting []func()
}

// add has a goroutine read, now or when its turn comes.
func (c *coldReads) add(n *Node, read func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == coldReaders {
		c.waiting = append(c.waiting, read)
		return
	}
	c.running++
	n.spawn(func() {
		for ; read != nil; read = c.next() {
			read()
		}
	})
}

// next is the read that waits longest, nil for none: then the caller ends.
func (c *coldReads) next() (read func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		c.running, c.waiting = c.running-1, nil
		return nil
	}
	read, c.waiting[0] = c.waiting[0], nil
	c.waiting = c.waiting[1:]
	return read
}
