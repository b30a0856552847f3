package sim

import (
	"encoding/binary"
	"errors"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// counts has a leader count only entries of its own term as committed (Raft thesis §3.6.2): one of an older term may yet be
// replaced, wherever it is.
func (k *checker) counts(n *node, c *cluster, s *serverState, l *engine.Log, m raft.Metrics) {
	was := s.metrics
	if m.Role != core.RoleLeader || was.Role != core.RoleLeader || m.Term != was.Term || m.Commit <= was.Commit {
		return
	}
	if t, err := l.Term(m.Commit); err == nil && t != m.Term {
		k.w.violate("I6", "%s on %s leads term %d, and counts %d/%d as committed", c.name, n, m.Term, t, m.Commit)
	}
}

// configuredBy has the configuration in effect be the newest of the log.
func (k *checker) configuredBy(n *node, c *cluster, l *engine.Log, m raft.Metrics) {
	last := l.Last()
	if m.Role == core.RoleRecover || m.Role == core.RoleEnded || m.Last != last.Index {
		return // not yet, not any more, or it is about to say so
	}
	if m.Configuration > last.Index {
		k.w.violate("I6", "%s on %s has configuration %d in effect, its log ends at %v", c.name, n, m.Configuration, last)
	}
	for i := len(c.configs) - 1; i >= 0; i-- {
		at := c.configs[i].at
		if at.Index <= m.Configuration || at.Index < l.First() {
			break
		}
		if t, err := l.Term(at.Index); at.Index <= last.Index && err == nil && t == at.Term {
			k.w.violate("I6", "%s on %s has configuration %d in effect, its log has %v", c.name, n, m.Configuration, at)
		}
	}
	if m.Configuration < l.First() {
		return
	}
	if t, err := l.Term(m.Configuration); err == nil && !c.hasConfiguration(raft.EntryID{Index: m.Configuration, Term: t}) {
		k.w.violate("I6", "%s on %s has configuration %d in effect, its log has another entry there, of term %d", c.name, n, m.Configuration, t)
	}
}

func (c *cluster) hasConfiguration(id raft.EntryID) bool {
	for i := len(c.configs) - 1; i >= 0 && c.configs[i].at.Index >= id.Index; i-- {
		if c.configs[i].at == id {
			return true
		}
	}
	return false
}

// complete has a new leader's log hold what was committed before its term (Raft thesis §3.6.3).
func (k *checker) complete(n *node, c *cluster, l *engine.Log, term raft.Term) {
	for t := range c.leaders {
		if t > term {
			return // it is late: the others have gone on
		}
	}
	is, known := c.history[c.newest]
	if !known || c.newest < l.First() {
		return
	}
	if t, err := l.Term(c.newest); c.newest > l.Last().Index || err == nil && t != is.term {
		k.w.violate("I1", "%s on %s leads term %d without %d/%d, which is applied: its log ends at %v", c.name, n, term, is.term, c.newest, l.Last())
	}
}

// fresh has what a consistent query answers reflect all that was answered before it was asked, and returns what it read.
func (k *checker) fresh(c *cluster, n *node, reply []byte, answered raft.Index) []byte {
	if at := raft.Index(binary.BigEndian.Uint64(reply)); at < answered {
		k.w.violate("I12", "%s: a query from %s reads what was at %d, and %d had been answered before", c.name, n, at, answered)
	}
	return reply[8:]
}

// broke has a server not stop for what no disk and no network can bring about.
func (k *checker) broke(n *node, c *cluster, m raft.Metrics) {
	for _, e := range []error{core.ErrProtocol, core.ErrBadEntry, engine.ErrHardState, engine.ErrGap, engine.ErrCommitted, engine.ErrOutOfRange} {
		if errors.Is(m.Err, e) {
			k.w.violate("protocol", "%s on %s stops: %v", c.name, n, m.Err)
		}
	}
}
