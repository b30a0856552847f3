package sim

import (
	"strings"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// says holds a message that is about to leave a node against what is on the node's disk.
func (k *checker) says(n *node, m *core.Message) {
	for _, c := range k.w.clusters {
		if c.name != m.From.Name || n.raft == nil {
			continue
		}
		l := n.log(c)
		if l == nil {
			continue // it is being deleted
		}
		k.claimsTerm(n, c, l.DurableHardState(), m)
		if b, ok := m.Body.(core.AppendReply); ok {
			k.claimsEntry(n, c, l, b.Durable)
		}
	}
}

// claimsTerm has a message's term, and the vote that it gives or asks for, be durable.
func (k *checker) claimsTerm(n *node, c *cluster, has engine.HardState, m *core.Message) {
	if has.Term < m.Term {
		k.w.violate("I4", "%s on %s sends %T in term %d, durable is %d", c.name, n, m.Body, m.Term, has.Term)
		return
	}
	var candidate core.ServerID
	switch b := m.Body.(type) {
	case core.Vote:
		candidate = m.From
	case core.VoteReply:
		if !b.Granted {
			return
		}
		candidate = m.To
	default:
		return
	}
	if has.Term == m.Term && !strings.HasSuffix(has.Vote, "/"+candidate.String()) {
		k.w.violate("I4", "%s on %s votes for %v in term %d, on its disk is a vote for %q", c.name, n, candidate, m.Term, has.Vote)
	}
}

// claimsEntry has an entry that a follower acknowledges be durable. Below the log it is: a snapshot that is about to be durable
// stands for it, and until then the log that it replaces is.
func (k *checker) claimsEntry(n *node, c *cluster, l *engine.Log, id engine.EntryID) {
	if id.Index < l.First() {
		return
	}
	if at := l.LastWritten(); at.Index < id.Index {
		k.w.violate("I1", "%s on %s acknowledges %v, durable is %v", c.name, n, id, at)
		return
	}
	if t, err := l.Term(id.Index); err == nil && t != id.Term {
		k.w.violate("I1", "%s on %s acknowledges %v, its log has term %d there", c.name, n, id, t)
	}
}
