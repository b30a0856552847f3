package sim

import (
	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// checker compares what the servers show with what must hold. It looks after every step, at what may have changed.
type checker struct {
	w       *world
	entries map[entryKey]uint64            // of every log: what was written, by index and term
	servers map[raft.ServerID]*serverState // of the newest life of each
}

type entryKey struct {
	cluster *cluster
	id      raft.EntryID
}

// serverState is what was last seen of a server.
type serverState struct {
	uid              engine.UID
	last, written    raft.EntryID
	hard             engine.HardState // durable
	metrics          raft.Metrics
	crashedAt        raft.EntryID // what was written when the power was cut
	crashedLast      raft.EntryID
	crashed, lookBig bool
}

func newChecker(w *world) *checker {
	return &checker{w: w, entries: make(map[entryKey]uint64), servers: make(map[raft.ServerID]*serverState)}
}

// look looks at the node whose turn it was.
func (k *checker) look() {
	for _, n := range k.w.nodes {
		if n.raft != nil && n.place != nil && n.place.changed {
			for _, c := range k.w.clusters {
				k.server(n, c)
			}
		}
	}
}

func (k *checker) server(n *node, c *cluster) {
	m, err := n.raft.KeyMetrics(c.name)
	if err != nil {
		return
	}
	l := n.log(c)
	if l == nil {
		return
	}
	id := c.server(n)
	s := k.servers[id]
	if s == nil || s.uid != l.UID() {
		s = &serverState{uid: l.UID()}
		k.servers[id] = s
	}
	k.logOf(n, c, s, l)
	k.metricsOf(n, c, s, m)
}

func (k *checker) metricsOf(n *node, c *cluster, s *serverState, m raft.Metrics) {
	w := k.w
	if m.Role == core.RoleLeader && m.Err == nil {
		if who, known := c.leaders[m.Term]; known && who != n.id {
			w.violate("I5", "%s: %s and %s lead term %d", c.name, who, n.id, m.Term)
		} else if !known {
			c.leaders[m.Term] = n.id
			w.note("%s on %s leads term %d", c.name, n, m.Term)
		}
	}
	if m.Term < s.metrics.Term && m.Err == nil && m.Term != 0 {
		w.violate("I4", "%s on %s: term falls from %d to %d", c.name, n, s.metrics.Term, m.Term)
	}
	if m.Snapshot > m.Applied && m.Applied != 0 {
		w.violate("I13", "%s on %s: snapshot %d above applied %d", c.name, n, m.Snapshot, m.Applied)
	}
	if m.Written > m.Last || m.Applied > max(m.Commit, m.Snapshot) && m.Commit != 0 {
		w.violate("I3", "%s on %s: %+v", c.name, n, m)
	}
	s.metrics = m
}

func (k *checker) logOf(n *node, c *cluster, s *serverState, l *engine.Log) {
	w := k.w
	last, written, hard := l.Last(), l.LastWritten(), l.DurableHardState()
	if written.Index > last.Index {
		w.violate("I3", "%s on %s: written %v above last %v", c.name, n, written, last)
	}
	if hard.Term < s.hard.Term {
		w.violate("I4", "%s on %s: durable term falls from %d to %d", c.name, n, s.hard.Term, hard.Term)
	}
	if hard.Term == s.hard.Term && s.hard.Vote != "" && hard.Vote != s.hard.Vote {
		w.violate("I4", "%s on %s: votes for %s and %s in term %d", c.name, n, s.hard.Vote, hard.Vote, hard.Term)
	}
	s.hard = hard
	if last != s.last {
		k.entriesOf(n, c, l, last)
		s.last = last
	}
	s.written = written
}

// entriesOf compares new entries with what others have there.
func (k *checker) entriesOf(n *node, c *cluster, l *engine.Log, last raft.EntryID) {
	for i := last.Index; i >= l.First() && i > 0; i-- {
		e, err := l.Read(i)
		if err != nil {
			return // what cannot be read is found out elsewhere
		}
		key := entryKey{c, e.ID()}
		h := hashOf(hashOf(14695981039346656037, []byte{byte(e.Type)}), e.Data)
		was, known := k.entries[key]
		switch {
		case !known:
			k.entries[key] = h
		case was != h:
			k.w.violate("I6", "%s on %s: entry %v differs from that of others", c.name, n, e.ID())
			return
		default:
			return // and so does what is below
		}
	}
}

// finally judges what clients were told.
func (k *checker) finally(c *cluster) {
	for _, number := range c.denied {
		if c.happened[number] != 0 {
			k.w.violate("outcome", "%s: %x is said not to have been applied, and was", c.name, number)
		}
	}
}

// crashed remembers what a power cut must leave.
func (k *checker) crashed(n *node) {
	if n.raft == nil {
		return
	}
	for _, c := range k.w.clusters {
		if l := n.log(c); l != nil {
			if s := k.servers[c.server(n)]; s != nil && s.uid == l.UID() {
				s.crashed, s.crashedAt, s.crashedLast = true, l.LastWritten(), l.Last()
				s.hard = l.DurableHardState()
			}
		}
	}
}

// opened compares what a node has recovered with what it had.
func (k *checker) opened(n *node) {
	for _, c := range k.w.clusters {
		l := n.log(c)
		s := k.servers[c.server(n)]
		if l == nil || s == nil || s.uid != l.UID() || !s.crashed {
			continue
		}
		s.crashed = false
		k.w.sometimes("recovery")
		if at := l.LastWritten(); at.Index < s.crashedAt.Index && at.Term <= s.crashedAt.Term {
			k.w.violate("I2", "%s on %s recovers %v, written was %v", c.name, n, at, s.crashedAt)
		}
		if t, err := l.Term(s.crashedAt.Index); err == nil && t < s.crashedAt.Term {
			k.w.violate("I2", "%s on %s recovers term %d at %v", c.name, n, t, s.crashedAt)
		}
		if h := l.DurableHardState(); h.Term < s.hard.Term {
			k.w.violate("I4", "%s on %s recovers term %d, it was %d", c.name, n, h.Term, s.hard.Term)
		}
		s.metrics, s.last = raft.Metrics{}, raft.EntryID{}
	}
}
