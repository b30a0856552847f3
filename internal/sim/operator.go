package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// operator changes a cluster's members and leaders until the end. Of what it does it learns only the answers.
func (w *world) operator(c *cluster) {
	for !w.over && w.failure == "" {
		w.pause(w.within(100*time.Millisecond, 1500*time.Millisecond))
		n := w.anyone()
		if n == nil || w.over {
			return
		}
		switch w.random.IntN(7) {
		case 0, 1:
			w.transfer(c, n)
		case 2, 3, 4, 5:
			w.change(c, n)
		case 6:
			n.call(patience, func(ctx context.Context, r *raft.Node) {
				if r.TriggerElection(ctx, c.server(c.anyMember())) == nil {
					w.sometimes("election by request")
				}
			})
		}
	}
}

// anyMember draws one of those that are taken for members.
func (c *cluster) anyMember() *node { return c.members[c.w.random.IntN(len(c.members))] }

// to is the address of one of them.
func (c *cluster) to() raft.ServerID { return c.server(c.anyMember()) }

func (w *world) transfer(c *cluster, n *node) {
	target := c.to()
	n.call(patience, func(ctx context.Context, r *raft.Node) {
		err := r.TransferLeadership(ctx, c.to(), target)
		w.note("%s: leadership for %s: %v", c.name, target.Node, err)
		if err == nil {
			w.sometimes("transfer")
		}
	})
}

// change adds a member, or removes one.
func (w *world) change(c *cluster, by *node) {
	if !by.up() {
		return
	}
	if n := w.stranger(c); n != nil && w.random.IntN(2) == 0 {
		w.enlist(c, n, by)
	} else {
		w.dismiss(c, by)
	}
}

// stranger draws a node without a member that can be asked, nil when there is none.
func (w *world) stranger(c *cluster) *node {
	for _, k := range w.random.Perm(len(w.nodes)) {
		if n := w.nodes[k]; n.up() && !c.has(n) {
			return n
		}
	}
	return nil
}

// enlist adds a member on a node that has none, as a voter to be or as a reader.
func (w *world) enlist(c *cluster, n, by *node) {
	c.births++
	id := c.server(n)
	made := false
	n.call(patience, func(ctx context.Context, r *raft.Node) {
		_, err := r.StartServer(ctx, raft.ServerConfig{Name: c.name, Machine: c.name, UID: core.UID(fmt.Sprintf("%s-%d", c.name, c.births))})
		made = err == nil
		w.note("%s: a server on %s: %v", c.name, n, err)
	})
	if !made || !by.up() {
		return
	}
	as := core.Promotable
	if w.random.IntN(4) == 0 {
		as = core.NonVoter
	}
	by.call(patience, func(ctx context.Context, r *raft.Node) {
		err := r.AddMember(ctx, c.to(), id, raft.MemberOptions{Membership: as})
		w.note("%s: %s becomes a member: %v", c.name, n.id, err)
		if err == nil {
			w.sometimes("member added")
			c.members = append(c.members, n)
		}
	})
}

// dismiss removes a member, and then deletes its server.
func (w *world) dismiss(c *cluster, by *node) {
	if len(c.members) <= 3 || c.scarred() { // else a majority may be lost with one more
		return
	}
	n := c.anyMember()
	gone := false
	c.removals++
	by.call(patience, func(ctx context.Context, r *raft.Node) {
		err := r.RemoveMember(ctx, c.to(), c.server(n), raft.MemberOptions{})
		w.note("%s: %s is a member no more: %v", c.name, n.id, err)
		gone = err == nil
	})
	c.removals--
	if !gone {
		c.calmFrom = w.now + int64(calm)
		return
	}
	w.sometimes("member removed")
	c.drop(n)
	w.deleteServer(c, n)
}

func (w *world) deleteServer(c *cluster, n *node) {
	if n.up() {
		n.call(patience, func(ctx context.Context, r *raft.Node) {
			w.note("%s: the server on %s is deleted: %v", c.name, n, r.DeleteServer(ctx, c.name))
		})
	}
}

func (c *cluster) has(n *node) bool {
	for _, m := range c.members {
		if m == n {
			return true
		}
	}
	return false
}

func (c *cluster) drop(n *node) {
	for i, m := range c.members {
		if m == n {
			c.members = append(c.members[:i:i], c.members[i+1:]...)
			return
		}
	}
}

// muster asks the leader who the members are, and removes those of which the server is not there: the answer to
// their addition was lost, and nobody started it again.
func (w *world) muster(c *cluster) bool {
	n := w.anyone()
	if n == nil {
		return false
	}
	to := c.server(c.members[c.musters%len(c.members)]) // who was removed without the operators' knowing may know nobody
	c.musters++
	var list []core.Member
	var leader raft.ServerID
	var err error
	answered := n.call(patience, func(ctx context.Context, r *raft.Node) { list, leader, err = r.Members(ctx, to) })
	if !answered || err != nil {
		return false
	}
	c.members = nil
	ok := true
	for _, m := range list {
		for _, x := range w.nodes {
			if x.id == m.ID.Node {
				c.members = append(c.members, x)
			}
		}
	}
	for _, m := range list {
		for _, x := range c.members {
			if x.id != m.ID.Node || x.raft == nil {
				continue
			}
			if l := x.log(c); l == nil || l.UID() != m.UID {
				ok = false
				if x.scars[c] != nil {
					continue // its node has not begun the server that takes the place of the damaged one
				}
				n.call(patience, func(ctx context.Context, r *raft.Node) {
					w.note("%s: %s has no server: %v", c.name, x, r.RemoveMember(ctx, leader, m.ID, raft.MemberOptions{}))
				})
			}
		}
	}
	return ok
}
