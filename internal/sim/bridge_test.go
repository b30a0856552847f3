package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// TestH9BridgeUndisturbed: a leader and a follower lose sight of each other, and all others see both. Who does not see the leader
// asks for elections, with a log as good as theirs, and disturbs nobody; it follows again when the cut is healed.
func TestH9BridgeUndisturbed(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(*from+seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(*from + seed)
			w.clusters = w.clusters[:1]
			liveBy(t, w, func() {
				for range 2 {
					w.bridged(w.clusters[0])
				}
			})
		})
	}
}

// bridged cuts a leader and a follower off from each other, for a while.
func (w *world) bridged(c *cluster) {
	n := w.leading(c)
	if n == nil {
		return
	}
	w.commits(c, w.now+int64(recovery))
	far := c.otherThan(n)
	w.has(c, far)
	term, tried := c.newestTerm(), w.seen["state pre-vote"]
	w.note("%s and %s do not see each other", n, far)
	if err := w.net.Partition([]raft.NodeID{n.id}, []raft.NodeID{far.id}); err != nil {
		w.violate("simulator", "%v", err)
	}
	w.pause(10 * time.Second)
	if w.seen["state pre-vote"] == tried {
		w.violate("H9", "%s on %s has tried no election", c.name, far)
	}
	w.undisturbed(c, n, term)
	w.commits(c, w.now+int64(recovery))
	w.pause(10 * time.Second)
	w.undisturbed(c, n, term)
	w.note("the network is whole")
	w.net.HealAll()
	w.has(c, far)
	w.undisturbed(c, n, term)
}

// has waits until a node's member has applied what was committed by now.
func (w *world) has(c *cluster, n *node) {
	end := c.newest
	w.until(n.id+" has everything", w.now+int64(recovery), func() bool {
		m, err := n.raft.KeyMetrics(c.name)
		return err == nil && m.Applied >= end
	})
}

// undisturbed wants a cluster to be led by a node's member, in a term.
func (w *world) undisturbed(c *cluster, n *node, term raft.Term) {
	if m, err := n.raft.KeyMetrics(c.name); err != nil || !n.leads(c) || m.Term != term {
		w.violate("H9", "%s on %s is %v in %d, %v; it led %d", c.name, n, m.Role, m.Term, err, term)
	}
}

// otherThan draws another member than a node's.
func (c *cluster) otherThan(n *node) *node {
	for {
		if m := c.anyMember(); m != n {
			return m
		}
	}
}
