package transport

import (
	"fmt"
	"time"
)

// SetRule gives one direction between two nodes a rule, for the given classes or for all when none is given.
// Messages under way keep the delays that they have drawn. Errors: ErrNode, ErrClass, or what is wrong with
// the rule; nothing is changed then.
func (n *Network[M]) SetRule(from, to NodeID, r Rule, classes ...Class) error {
	if err := r.validate(); err != nil {
		return err
	}
	if len(classes) == 0 {
		classes = []Class{Control, Log, Snapshot}
	}
	for _, c := range classes {
		if c >= Classes {
			return ErrClass
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	l, err := n.linkLocked(from, to)
	if err != nil {
		return err
	}
	l.pair.mu.Lock()
	defer l.pair.mu.Unlock()
	for _, c := range classes {
		l.lanes[c].rule = &r
	}
	return nil
}

// SetRules gives all classes between all nodes a rule, also those that are yet to join. An error says what is wrong
// with the rule; nothing is changed then.
func (n *Network[M]) SetRules(r Rule) error {
	if err := r.validate(); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.rule = &r
	n.eachLinkLocked(func(l *link[M]) {
		for c := range l.lanes {
			l.lanes[c].rule = &r
		}
	})
	return nil
}

// Cut lets nothing travel from any of the nodes to any of the others, until healed. What is under way there is lost.
// Errors: ErrNode, with some of the cuts made.
func (n *Network[M]) Cut(from, to []NodeID) error {
	return n.change(from, to, func(c *cut) { c.always = true })
}

// Partition cuts both directions between nodes of different groups. A node that is in no group keeps
// its links: with two groups and one such node, that node is a bridge. Errors: ErrNode, with some of the cuts made.
func (n *Network[M]) Partition(groups ...[]NodeID) error {
	for i, a := range groups {
		for j, b := range groups {
			if i == j {
				continue
			}
			if err := n.Cut(a, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// Flap cuts the direction from any of the nodes to any of the others again and again: from now on it carries for up, does not
// for down, and so on. Both are above 0. Errors: ErrNode, with some of the cuts made, or what is wrong with the times.
func (n *Network[M]) Flap(from, to []NodeID, up, down time.Duration) error {
	if up <= 0 || down <= 0 {
		return fmt.Errorf("transport: flapping %v up and %v down", up, down)
	}
	since := n.opts.Now()
	return n.change(from, to, func(c *cut) { c.since, c.up, c.down = since, int64(up), int64(down) })
}

// Heal ends what Cut, Partition and Flap have done to a direction. Connections that have lost messages end with the
// next message. Errors: ErrNode, with some of the cuts healed.
func (n *Network[M]) Heal(from, to []NodeID) error {
	return n.change(from, to, func(c *cut) { *c = cut{} })
}

// HealAll ends all cuts and all flapping.
func (n *Network[M]) HealAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.eachLinkLocked(func(l *link[M]) { l.cut = cut{} })
}

// Reset ends the connection between two nodes, if there is one. Errors: ErrNode.
func (n *Network[M]) Reset(a, b NodeID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	l, err := n.linkLocked(a, b)
	if err != nil {
		return err
	}
	l.pair.mu.Lock()
	defer l.pair.mu.Unlock()
	l.pair.disconnect(n.opts.Now())
	return nil
}

// Pause stops deliveries to a node, as if its process stood still: what is sent to it waits. In production mode the calls of
// its Receiver that have begun or are about to go on. Errors: ErrNode for an empty name.
func (n *Network[M]) Pause(id NodeID) error { return n.pause(id, true) }

// Resume ends a pause. Errors: ErrNode for an empty name.
func (n *Network[M]) Resume(id NodeID) error { return n.pause(id, false) }

func (n *Network[M]) pause(id NodeID, paused bool) error {
	if id == "" {
		return ErrNode
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.nodeLocked(id)
	v.paused.Store(paused)
	now := n.opts.Now()
	for _, l := range v.links {
		l.pair.mu.Lock()
		for c := range l.back.lanes {
			l.pair.schedule(&l.back.lanes[c], now)
		}
		l.pair.mu.Unlock()
	}
	return nil
}

func (n *Network[M]) change(from, to []NodeID, f func(*cut)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range from {
		for _, b := range to {
			l, err := n.linkLocked(a, b)
			if err != nil {
				return err
			}
			l.pair.mu.Lock()
			f(&l.cut)
			l.pair.mu.Unlock()
		}
	}
	return nil
}

// eachLinkLocked calls f for each link, with pair.mu held.
func (n *Network[M]) eachLinkLocked(f func(*link[M])) {
	for _, p := range n.mu.pairs {
		p.mu.Lock()
		for _, l := range p.ends {
			f(l)
		}
		p.mu.Unlock()
	}
}
