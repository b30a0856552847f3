package sim

import (
	"github.com/rawl-db/rawl/raft"
)

// cluster is what the world knows of one: all that any of its members ever applied, by index.
type cluster struct {
	w            *world
	name         string
	captureEvery int
	history      map[raft.Index]appliedEntry
	newest       raft.Index
	answered     raft.Index // of the newest command that a client knows to be applied
	configs      configList
	terms        map[raft.Index]raft.Term // the highest of any entry that ever stood there
	happened     map[uint64]int64         // when an operation was first applied, by its number
	leaders      map[raft.Term]raft.NodeID
	members      []*node // as far as operators know
	births       int     // of servers that were added
	musters      int     // so far
	removals     int     // that operators have begun
	calmFrom     int64   // until then one of them may be on its way without them
	operations   []operation
	denied       []uint64 // operations of which the client was told that they never happen
}

// appliedEntry is what it is about an index, whoever applied it.
type appliedEntry struct {
	term    raft.Term
	chain   uint64
	version uint64
}

func newCluster(w *world, name string) *cluster {
	return &cluster{w: w, name: name, captureEvery: 10 + w.random.IntN(60),
		history: make(map[raft.Index]appliedEntry), happened: make(map[uint64]int64), terms: make(map[raft.Index]raft.Term), leaders: make(map[raft.Term]raft.NodeID)}
}

// server is the address of its member on a node: every one has the cluster's name.
func (c *cluster) server(n *node) raft.ServerID { return raft.ServerID{Name: c.name, Node: n.id} }

// applied hears of every command that a member applies.
func (c *cluster) applied(n *node, number uint64, at raft.Index, is appliedEntry) {
	was, known := c.history[at]
	if !known {
		c.history[at] = is
		c.newest = max(c.newest, at)
		if _, before := c.happened[number]; !before {
			c.w.stamp++
			c.happened[number] = c.w.stamp
		}
		return
	}
	if was != is {
		c.w.violate("I6", "%s on %s applies at %d %+v, elsewhere it is %+v", c.name, n, at, is, was)
	}
}

// restored hears of a state that a member begins with.
func (c *cluster) restored(n *node, at raft.Index, chain uint64) {
	if was, known := c.history[at]; at != 0 && (!known || was.chain != chain) {
		c.w.violate("I6", "%s on %s restores at %d a state %x that nobody had, %x was", c.name, n, at, chain, was.chain)
	}
}

// installed hears of a snapshot that takes the place of a member's state.
func (c *cluster) installed(n *node, at, before raft.EntryID) {
	c.w.note("%s on %s installs %v over %v", c.name, n, at, before)
	c.w.sometimes("install")
	if at.Index < before.Index {
		c.w.violate("I13", "%s on %s installs %v over %v", c.name, n, at, before)
	}
}

// entered hears of a member's states.
func (c *cluster) entered(n *node, s raft.ServerState) {
	c.w.note("%s on %s is %s", c.name, n, stateNames[s])
	c.w.sometimes("state " + stateNames[s])
	if s == raft.StateReceiveSnapshot {
		c.w.spring(receives, c, n)
	}
}

func (c *cluster) upgraded(n *node, v uint64) {
	c.w.note("%s on %s applies by version %d", c.name, n, v)
	c.w.sometimes("machine version")
}

var stateNames = [...]string{"recovering", "recovered", "follower", "pre-vote", "candidate", "leader", "waiting",
	"receiving a snapshot", "deleted"}
