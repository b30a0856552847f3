package core_test

import (
	"slices"

	"github.com/rawl-db/rawl/raft/core"
)

// trouble is one fault, or one change.
func (w *world) trouble() {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	o := w.nodes[w.rng.IntN(len(w.nodes))]
	switch w.rng.IntN(23) {
	case 0:
		w.hit["crash"]++
		n.crash()
	case 1:
		if n.up {
			n.crash()
			n.start()
			w.contact()
		}
	case 2, 3:
		if !n.up && !n.gone {
			n.start()
			w.contact()
		}
	case 4:
		w.hit["one-way"]++
		w.cut[[2]int{n.k, o.k}] = true
		w.contact()
	case 5:
		w.cutBoth(n.k, o.k)
		w.contact()
	case 6, 7:
		clear(w.cut)
		w.contact()
	case 8:
		n.stalled = w.now + int64(w.rng.IntN(1500))
		w.step(n, core.DiskStalled{})
	case 9:
		if n.full = !n.full; !n.full {
			n.step(core.LogReady{}) // it waits for a paused process
		}
	case 10:
		w.hit["transfer"]++
		w.ask(n, func(ref uint64) core.Input { return core.TransferLeadership{Ref: ref, To: o.self.ID} })
	case 11:
		w.step(n, core.TriggerElection{})
	case 12:
		w.reset(n, o)
	case 13, 14:
		w.change(n, o)
	case 15:
		w.bridge()
	case 16:
		w.hit["flap"]++
		w.flaps = append(w.flaps, flap{n.k, o.k, 1 + int64(w.rng.IntN(100)), w.now + int64(w.rng.IntN(2000))})
	case 17, 18:
		w.hit["pause"]++
		n.paused = w.now + int64(w.rng.IntN(1500))
		if w.rng.IntN(2) == 0 {
			w.contact()
		}
	case 19:
		w.install(n)
	case 20:
		w.promise(n, o)
	case 21:
		if w.deletes && w.rng.IntN(4) == 0 {
			w.delete(n)
		}
	case 22:
		w.lose(n)
	}
}

// step feeds a node's server unless the node is paused.
func (w *world) step(n *node, in core.Input) {
	if n.paused <= w.now {
		n.step(in)
	}
}

// ask steps a server with what it has to answer once.
func (w *world) ask(n *node, in func(ref uint64) core.Input) {
	if !n.up || n.paused > w.now {
		return
	}
	w.nextRef++
	w.asked[w.nextRef] = n.k
	n.step(in(w.nextRef))
}

// forget drops what a server was asked that does not live any more.
func (w *world) forget(n *node) {
	for ref, p := range w.reads {
		if p.node == n.k {
			delete(w.reads, ref)
		}
	}
	for ref, k := range w.asked {
		if k == n.k {
			delete(w.asked, ref)
		}
	}
}

func (w *world) cutBoth(a, b int) { w.cut[[2]int{a, b}], w.cut[[2]int{b, a}] = true, true }

// bridge parts the nodes into two halves that have one node in common.
func (w *world) bridge() {
	w.hit["bridge"]++
	order := w.rng.Perm(len(w.nodes))
	half := (len(order) - 1) / 2
	for _, a := range order[1 : 1+half] {
		for _, b := range order[1+half:] {
			w.cutBoth(a, b)
		}
	}
	w.contact()
}

// flap lets the connections that come and go do so.
func (w *world) flap() {
	list := w.flaps
	w.flaps = nil
	for _, f := range list {
		if f.until < w.now {
			continue
		}
		w.flaps = append(w.flaps, f)
		if w.now%f.period != 0 {
			continue
		}
		if w.cut[[2]int{f.a, f.b}] {
			delete(w.cut, [2]int{f.a, f.b})
			delete(w.cut, [2]int{f.b, f.a})
		} else {
			w.cutBoth(f.a, f.b)
		}
		w.contact()
	}
}

// reset is a new connection between two nodes: what was on its way is lost.
func (w *world) reset(n, o *node) {
	w.hit["reset"]++
	w.net = slices.DeleteFunc(w.net, func(f flying) bool {
		a, b := index(f.msg.From.Node), index(f.msg.To.Node)
		return a == n.k && b == o.k || a == o.k && b == n.k
	})
	for _, p := range [][2]*node{{n, o}, {o, n}} {
		w.step(p[0], core.LinkReset{Node: p[1].self.ID.Node})
		if p[0].up {
			if id := p[0].srv.Leader(); id == p[1].self.ID {
				w.step(p[0], core.LeaderLost{Leader: id, Term: p[0].srv.State().Term})
			}
		}
	}
}

// install gives a node's server a newer machine: it starts again.
func (w *world) install(n *node) {
	if !n.up || n.machine > w.newest || w.newest > 3 {
		return
	}
	n.crash()
	n.machine = min(n.machine+1, w.newest+1)
	w.newest = max(w.newest, n.machine)
	n.start()
	w.contact()
}

// promise asks for another membership of a member.
func (w *world) promise(n, o *node) {
	if !n.up || n.srv.Role() != core.RoleLeader || w.lost != nil {
		return
	}
	w.hit["membership"]++
	w.ask(n, func(ref uint64) core.Input {
		return core.ChangeMembership{Ref: ref, Change: core.SetMembership,
			Member: core.Member{Identity: o.self, Membership: core.Membership(1 + w.rng.IntN(3))}}
	})
}

// change asks for a membership change.
func (w *world) change(n, o *node) {
	if !n.up || n.srv.Role() != core.RoleLeader || w.lost != nil {
		return
	}
	c, at := n.srv.Configuration()
	in := core.ChangeMembership{Change: core.RemoveMember, Member: core.Member{Identity: o.self}}
	if w.rng.IntN(3) == 0 {
		in.Expected = at
	}
	if _, ok := c.Member(o.self.ID); !ok {
		if w.wasMember(o) {
			if w.counted(o) {
				return // its disk is needed
			}
			o.crash()
			o.fresh()
			o.start()
			w.contact()
		}
		o.b = n.b
		in.Change = core.AddMember
		in.Member = core.Member{Identity: o.self, Membership: core.Membership(1 + w.rng.IntN(3))}
		w.hit["add"]++
	} else if len(c.Members) < 3 {
		return
	} else {
		w.hit["remove"]++
	}
	w.ask(n, func(ref uint64) core.Input {
		in.Ref = ref
		return in
	})
}

// wasMember reports whether a node's life was in a cluster, or may have been: it must not come back as the same.
func (w *world) wasMember(n *node) bool {
	if !n.up {
		return true
	}
	c, _ := n.srv.Configuration()
	return c.Cluster != core.ClusterID{} || n.b != w.main || n.srv.State().Term > 0
}

// counted reports whether another server of the cluster takes this life of a node for a member.
func (w *world) counted(n *node) bool {
	for _, o := range w.nodes {
		c, _ := o.srv.Configuration()
		if o.b == w.main && c.Has(n.self.ID, n.self.Incarnation) && (o != n || o.led != 0) {
			return true
		}
	}
	return w.main.config.Has(n.self.ID, n.self.Incarnation)
}

func (w *world) delete(n *node) {
	if n.up && n.srv.Role() == core.RoleLeader && n.paused <= w.now {
		w.hit["delete"]++
		w.nextRef++
		w.proposed[w.nextRef] = true
		n.step(core.Proposed{Proposals: []core.Proposal{{Kind: core.KindDelete, Ref: w.nextRef}}})
	}
}

// exchange ends the false belief of a server that started a while ago: no transport lets messages of an
// earlier connection pass behind the exchange of beliefs that a new one begins with. This one does, for up
// to 400 ms, so here it comes later.
func (w *world) exchange(n *node) {
	if n.started+500 != w.now || !n.up {
		return
	}
	id, term := n.srv.Leader(), n.srv.State().Term
	if id.IsZero() || id == n.self.ID || w.nodes[index(id.Node)].led == term {
		return
	}
	w.notices = append(w.notices, notice{n.k, index(id.Node), core.LeaderLost{Leader: id, Term: term, Over: true}})
}

// tell delivers notices, each once.
func (w *world) tell() {
	for _, n := range w.nodes {
		w.exchange(n)
	}
	list := w.notices
	w.notices = nil
	for _, m := range list {
		from, to := w.nodes[m.from], w.nodes[m.to]
		open := from.alive() && to.alive() && !w.cut[[2]int{m.from, m.to}] && !w.cut[[2]int{m.to, m.from}]
		if !open || w.rng.IntN(30) > 0 {
			w.notices = append(w.notices, m)
			continue
		}
		w.note("notice %v", m)
		to.step(m.lost)
	}
}

// alive reports whether the node's process runs, with or without its server.
func (n *node) alive() bool { return (n.up || n.gone) && n.paused <= n.w.now }

// contact lets each node find out, sooner or later, which nodes it is in contact with.
func (w *world) contact() {
	for _, n := range w.nodes {
		n.detect = w.now
		if w.faults {
			n.detect += int64(w.rng.IntN(600))
		}
	}
}

// watch tells a server which nodes its own is in contact with in both directions.
func (n *node) watch() {
	w := n.w
	if n.detect == 0 || n.detect > w.now {
		return
	}
	n.detect = 0
	for _, o := range w.nodes {
		down := !o.alive() || w.cut[[2]int{n.k, o.k}] || w.cut[[2]int{o.k, n.k}]
		if n == o || !n.up || n.downs[o.k] == down {
			continue
		}
		n.downs[o.k] = down
		if down {
			n.step(core.NodeDown{Node: o.self.ID.Node})
		} else {
			n.step(core.NodeUp{Node: o.self.ID.Node})
		}
	}
}

// heal ends all trouble.
func (w *world) heal() {
	w.note("healed")
	w.faults, w.loss, w.flaps = false, 0, nil
	clear(w.cut)
	for _, n := range w.nodes {
		n.stalled, n.paused = 0, 0
		if n.full {
			n.full = false
			n.step(core.LogReady{})
		}
		if n.up && n.machine < w.newest {
			n.crash()
		}
		n.machine = w.newest
		if !n.up && !n.gone {
			n.start()
		}
	}
	w.contact()
}
