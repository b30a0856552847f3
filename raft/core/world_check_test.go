package core_test

import (
	"fmt"

	"github.com/rawl-db/rawl/raft/core"
)

// commits checks that what a server commits is what all others did (I6), and that it was durable on
// a majority when the first did so (I1).
func (w *world) commits(n *node, upTo core.Index) {
	b := n.b
	if b != w.main {
		return // what a shrink left behind: others may have lost their disks meanwhile
	}
	for i := n.checked + 1; i <= upTo; i++ {
		e, ok := n.entry(i)
		if !ok {
			continue // below its snapshot
		}
		if int(i) <= len(b.committed) {
			if o := b.committed[i-1]; o.Term != e.Term || o.Type != e.Type || string(o.Data) != string(e.Data) {
				w.fatalf("node %d commits %v %q, another committed %v %q", n.k, e.ID(), e.Data, o.ID(), o.Data)
			}
			continue
		}
		if int(i) != len(b.committed)+1 {
			w.fatalf("node %d commits %d, nobody committed %d", n.k, i, len(b.committed)+1)
		}
		w.first(n, e)
	}
	n.checked = max(n.checked, upTo)
}

// first takes an entry that nobody committed before.
func (w *world) first(n *node, e core.Entry) {
	b := n.b
	b.committed, b.terms = append(b.committed, e), append(b.terms, n.srv.State().Term)
	if now, _ := n.srv.Configuration(); !w.onMajority(e, n.config) && !w.onMajority(e, now) {
		w.fatalf("node %d commits %v, which no majority has on disk", n.k, e.ID())
	}
	switch e.Type {
	case core.KindConfiguration:
		c, err := core.UnmarshalConfiguration(e.Data)
		if err != nil {
			w.fatalf("configuration %v: %v", e.ID(), err)
		}
		for _, m := range c.Members {
			if o, ok := b.config.Member(m.ID); ok && o.Membership == core.Promotable && m.Membership == core.Voter {
				w.hit["promoted"]++
			}
		}
		b.config = c
	case core.KindNoop:
		v, err := core.UnmarshalNoop(e.Data)
		if err != nil || v < b.machine || v > w.newest {
			w.fatalf("noop %v: version %d after %d, newest %d: %v", e.ID(), v, b.machine, w.newest, err)
		}
		if v > b.machine {
			w.hit["upgrade"]++
		}
		b.machine = v
	case core.KindDelete:
		b.deleted = true
	}
}

// onMajority reports whether a majority of a configuration's voters has the entry on disk.
func (w *world) onMajority(e core.Entry, c core.Configuration) bool {
	have := 0
	for _, m := range c.Members {
		n := w.nodes[index(m.ID.Node)]
		if m.Membership == core.Voter && (n.self.Incarnation == m.Incarnation && n.durable(e.ID()) || w.lost.acknowledged(e.ID(), &m)) {
			have++
		}
	}
	return have >= c.Quorum()
}

// leads checks that a term has one leader (I5), which has all that was committed in earlier terms.
func (w *world) leads(n *node, term core.Term) {
	b := n.b
	if b != w.main {
		return
	}
	if k, ok := b.leaders[term]; ok && k != n.k {
		w.fatalf("nodes %d and %d both lead term %d", k, n.k, term)
	}
	b.leaders[term] = n.k
	w.hit["leader"]++
	for i, e := range b.committed {
		if b.terms[i] >= term {
			return // it wins late: its term is over already
		}
		have, ok := n.entry(core.Index(i + 1))
		if ok && have.Term != e.Term || !ok && core.Index(i+1) > n.snapshot.ID.Index {
			w.fatalf("node %d leads term %d without entry %v", n.k, term, e.ID())
		}
	}
}

// result takes the end of what was asked for: each exactly once (I11), reads not too old (I12).
func (w *world) result(n *node, r core.Result) {
	if p, ok := w.reads[r.Ref]; ok {
		delete(w.reads, r.Ref)
		if r.Err == nil {
			w.served++
			if r.Index < p.floor {
				w.fatalf("node %d reads at %d, %d was committed before", n.k, r.Index, p.floor)
			}
		}
	} else if k, ok := w.asked[r.Ref]; ok && k == n.k {
		delete(w.asked, r.Ref)
	} else if w.proposed[r.Ref] && r.Err != nil && !r.Maybe {
		delete(w.proposed, r.Ref)
	} else {
		w.fatalf("node %d answers %d, which nobody waits for: %+v", n.k, r.Ref, r)
	}
	w.note("node %d answers %d: %d %v", n.k, r.Ref, r.Index, r.Err)
	if r.Err == nil {
		w.hit["result"]++
	}
}

// check holds a server to what must be true after every step (I3, I4, I13).
func (n *node) check() {
	s, w := n.srv, n.w
	last, written := s.Last()
	snapshot := n.snapshot.ID.Index
	switch {
	case written.Index > last.Index:
		w.fatalf("node %d: written %v above last %v", n.k, written, last)
	case s.Commit() > last.Index:
		w.fatalf("node %d: commit %d above last %v", n.k, s.Commit(), last)
	case s.Commit() < n.commit:
		w.fatalf("node %d: commit falls from %d to %d", n.k, n.commit, s.Commit())
	case snapshot > s.Commit() && s.Role() != core.RoleEnded:
		w.fatalf("node %d: snapshot %d above commit %d", n.k, snapshot, s.Commit())
	case s.State().Term < n.term:
		w.fatalf("node %d: term falls from %d to %d", n.k, n.term, s.State().Term)
	case last != n.last() && !n.refused:
		w.fatalf("node %d: its log ends at %v, the server says %v", n.k, n.last(), last)
	}
	if e, ok := n.entry(s.Commit()); ok && s.Leads() && s.Commit() > n.commit && e.Term != s.State().Term {
		w.fatalf("node %d leads term %d and counts %v", n.k, s.State().Term, e.ID())
	}
	if s.State().Term > n.term {
		clear(n.matches)
	}
	n.commit, n.term = s.Commit(), s.State().Term
	n.config, _ = s.Configuration()
	n.checkPeers()
}

// checkConfiguration compares the configuration in effect with the newest of the log.
func (n *node) checkConfiguration() {
	want := n.snapshot.ConfigurationIndex
	for _, e := range n.log {
		if e.Type == core.KindConfiguration {
			want = e.Index
		}
	}
	if _, at := n.srv.Configuration(); at != want && !n.refused {
		n.w.fatalf("node %d: configuration %d in effect, the newest is %d", n.k, at, want)
	}
}

// checkPeers holds a leader's view of the others to what is true: no match index falls within a term,
// and each names what is durable there.
func (n *node) checkPeers() {
	for id, p := range n.srv.Peers() {
		o := n.w.nodes[index(id.Node)]
		key := peerKey{o.k, p.Incarnation}
		if was := n.matches[key]; p.Match < was.match && was.since == p.Since {
			n.w.fatalf("node %d: match of node %d falls from %d to %d", n.k, o.k, was.match, p.Match)
		}
		n.matches[key] = matched{p.Match, p.Since}
		e, ok := n.entry(p.Match)
		if o.self.Incarnation == p.Incarnation && o.disk.state.Term == n.term && ok && !o.durable(e.ID()) {
			n.w.fatalf("node %d takes %v for durable on node %d", n.k, e.ID(), o.k)
		}
	}
}

type peerKey struct {
	node int
	inc  core.Incarnation
}

type matched struct {
	match core.Index
	since any // the leader's record of the peer: a removal and a return begin a new one
}

// leading queues the notices of a leadership that ended.
func (n *node) leading() {
	term := core.Term(0)
	if n.up && n.srv.Leads() {
		term = n.srv.State().Term
	}
	if was := n.led; was != 0 && was != term {
		for _, o := range n.w.nodes {
			if o != n {
				n.w.notices = append(n.w.notices, notice{o.k, n.k, core.LeaderLost{Leader: n.self.ID, Term: was, Over: true}})
			}
		}
	}
	n.led = term
}

func (m notice) String() string { return fmt.Sprintf("%d>%d %v", m.from, m.to, m.lost) }
