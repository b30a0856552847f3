package sim

import (
	"errors"
	"io"
	"syscall"

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
	uid           engine.UID
	last, written raft.EntryID
	hard          engine.HardState // durable
	metrics       raft.Metrics
	left          left // behind by a power cut
	crashed       bool
}

func newChecker(w *world) *checker {
	return &checker{w: w, entries: make(map[entryKey]uint64), servers: make(map[raft.ServerID]*serverState)}
}

// look looks at the node whose turn it was.
func (k *checker) look() {
	for _, n := range k.w.nodes {
		if n.raft != nil && n.place != nil && n.place.changed {
			n.mended()
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
	k.metricsOf(n, c, s, l, m)
}

func (k *checker) metricsOf(n *node, c *cluster, s *serverState, l *engine.Log, m raft.Metrics) {
	w := k.w
	if m.Err != nil {
		k.broke(n, c, m)
	} else {
		k.counts(n, c, s, l, m)
		k.configuredBy(n, c, l, m)
	}
	if m.Role == core.RoleLeader && m.Err == nil {
		if who, known := c.leaders[m.Term]; known && who != n.id {
			w.violate("I5", "%s: %s and %s lead term %d", c.name, who, n.id, m.Term)
		} else if !known {
			c.leaders[m.Term] = n.id
			w.note("%s on %s leads term %d", c.name, n, m.Term)
			k.elected(n, c, m.Term)
			w.spring(leads, c, n)
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
	if m.Role == core.RolePreVote && s.metrics.Role != core.RolePreVote {
		w.spring(stands, c, n)
	}
	s.metrics = m
}

func (k *checker) logOf(n *node, c *cluster, s *serverState, l *engine.Log) {
	w := k.w
	last, written, hard := l.Last(), l.LastWritten(), l.DurableHardState()
	if written.Index > last.Index {
		w.violate("I3", "%s on %s: written %v above last %v", c.name, n, written, last)
	} else if t, err := l.Term(written.Index); written != s.written && err == nil && t != written.Term {
		w.violate("I3", "%s on %s: written %v, its log has term %d there", c.name, n, written, t)
	}
	if hard.Term < s.hard.Term {
		w.violate("I4", "%s on %s: durable term falls from %d to %d", c.name, n, s.hard.Term, hard.Term)
	}
	if hard.Term == s.hard.Term && s.hard.Vote != "" && hard.Vote != s.hard.Vote {
		w.violate("I4", "%s on %s: votes for %s and %s in term %d", c.name, n, s.hard.Vote, hard.Vote, hard.Term)
	}
	if hard != s.hard && hard.Vote != "" {
		w.spring(votes, c, n)
	}
	s.hard = hard
	if last != s.last {
		k.truncated(n, c, s, l, last)
		k.entriesOf(n, c, l, last)
		s.last = last
	}
	s.written = written
}

// truncated counts entries that have left a log for others, or for nothing.
func (k *checker) truncated(n *node, c *cluster, s *serverState, l *engine.Log, last raft.EntryID) {
	t, err := l.Term(s.last.Index)
	if s.last.Index < l.First() || s.last.Index <= last.Index && (err != nil || t == s.last.Term) {
		return
	}
	k.w.sometimes("conflict truncation")
	k.survives(n)
	k.w.spring(cuts, c, n)
	for _, x := range c.configs {
		if t, err := l.Term(x.at.Index); x.at.Index <= s.last.Index && x.at.Term <= s.last.Term && x.at.Index >= l.First() &&
			(x.at.Index > last.Index || err == nil && t != x.at.Term) {
			k.w.sometimes("overwritten configuration")
			return
		}
	}
}

// entriesOf compares new entries with what others have there.
func (k *checker) entriesOf(n *node, c *cluster, l *engine.Log, last raft.EntryID) {
	for i := last.Index; i >= l.First() && i > 0; i-- {
		e, err := l.Read(i)
		if err != nil {
			if h, _ := n.raft.Engine().Health(); h != engine.HealthFailed && i >= l.First() && !tolerable(err) && !n.waitsForHelp(c, err) {
				k.w.violate("I10", "%s on %s: entry %d, of %d to %d, cannot be read: %v", c.name, n, i, l.First(), last.Index, err)
			}
			return
		}
		key := entryKey{c, e.ID()}
		h := hashOf(hashOf(14695981039346656037, []byte{byte(e.Type)}), e.Data)
		was, known := k.entries[key]
		switch {
		case !known:
			k.entries[key] = h
			c.terms[e.Index] = max(c.terms[e.Index], e.Term)
			if e.Type == core.KindConfiguration {
				k.configured(c, &e)
				k.w.spring(changes, c, n)
			}
		case was != h:
			k.w.violate("I6", "%s on %s: entry %v differs from that of others", c.name, n, e.ID())
			return
		default:
			return // and so does what is below
		}
	}
}

// acknowledged has an entry whose command was answered lie on a majority's disks.
func (k *checker) acknowledged(c *cluster, at raft.Index) {
	if at == 0 {
		return // recalled
	}
	c.answered = max(c.answered, at)
	is, known := c.history[at]
	if !known {
		k.w.violate("I1", "%s: %d is answered, and nobody has applied it", c.name, at)
		return
	}
	for i := c.inEffect(at); i < len(c.configs); i++ {
		have, voters := 0, 0
		for _, m := range c.configs[i].config.Members {
			if m.Membership != core.Voter {
				continue
			}
			voters++
			s := k.servers[m.ID]
			if s != nil && s.uid == m.UID && s.durable(raft.EntryID{Index: at, Term: is.term}) {
				have++
			}
		}
		if 2*have > voters {
			return
		}
	}
	k.w.violate("I1", "%s: %d/%d is answered, and is not on a majority's disks", c.name, is.term, at)
}

// elected has a new leader's votes lie on the disks of a majority.
func (k *checker) elected(n *node, c *cluster, term raft.Term) {
	l := n.log(c)
	k.complete(n, c, l, term)
	vote := l.HardState()
	if vote.Term != term || len(c.configs) == 0 {
		return // it has gone on meanwhile, or the cluster is just being made
	}
	for i := max(0, c.inEffect(l.Last().Index)-1); i < len(c.configs); i++ {
		have, voters := 0, 0
		for _, m := range c.configs[i].config.Members {
			if m.Membership != core.Voter {
				continue
			}
			voters++
			if s := k.servers[m.ID]; s != nil && s.uid == m.UID && (s.hard.Term > term || s.hard == vote) {
				have++
			}
		}
		if 2*have > voters {
			return
		}
	}
	k.w.violate("I4", "%s on %s leads term %d, and no majority has a vote for it on its disks", c.name, n, term)
}

// durable reports whether the server's disk has an entry that is committed.
func (s *serverState) durable(id raft.EntryID) bool {
	at := s.written
	if s.crashed {
		at = s.left.written
	}
	return at.Index >= id.Index && at.Term >= id.Term
}

// configAt is a configuration that stood, or stands, in a log.
type configAt struct {
	at     raft.EntryID
	config core.Configuration
}

// configList is all that ever stood in a log of a cluster, by index.
type configList []configAt

// inEffect is the place of the newest configuration at or below an index that no other entry has replaced.
func (c *cluster) inEffect(at raft.Index) int {
	k := 0
	for i := range c.configs {
		if x := c.configs[i].at; x.Index <= at && x.Term == c.terms[x.Index] {
			k = i
		}
	}
	return k
}

// configured takes note of a configuration in a log.
func (k *checker) configured(c *cluster, e *engine.Entry) {
	config, err := core.UnmarshalConfiguration(e.Data)
	if err != nil {
		k.w.violate("I6", "%s: %v", c.name, err)
		return
	}
	i := len(c.configs)
	for i > 0 && c.configs[i-1].at.Index > e.Index {
		i--
	}
	c.configs = append(c.configs[:i], append(configList{{e.ID(), config}}, c.configs[i:]...)...)
}

// finally judges what clients were told, and has every way of reading give the same.
func (k *checker) finally(c *cluster) {
	for _, n := range c.members {
		if l := n.log(c); l != nil {
			k.readsOf(n, c, l)
		}
	}
	for _, number := range c.denied {
		if c.happened[number] != 0 {
			k.w.violate("outcome", "%s: %x is said not to have been applied, and was", c.name, number)
		}
	}
}

// appended reports whether an entry ever stood in a log of the cluster.
func (k *checker) appended(c *cluster, id raft.EntryID) bool {
	_, known := k.entries[entryKey{c, id}]
	return known
}

// tolerable reports whether a log may say so while its files fail, or it is deleted.
func tolerable(err error) bool {
	for _, e := range []error{engine.ErrDeleted, engine.ErrClosed, engine.ErrFailed, syscall.EIO, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.Is(err, engine.ErrCompacted)
}

// readsOf reads a whole log in every way that there is.
func (k *checker) readsOf(n *node, c *cluster, l *engine.Log) {
	first, last := l.First(), l.Last()
	next := first
	see := func(how string, e engine.Entry, err error) bool {
		if n.waitsForHelp(c, err) {
			return false // nobody has needed what was damaged
		}
		h := hashOf(hashOf(14695981039346656037, []byte{byte(e.Type)}), e.Data)
		if was, known := k.entries[entryKey{c, e.ID()}]; err != nil || e.Index != next || known && was != h {
			k.w.violate("I7", "%s on %s: %s gives %v, %v, wanted was entry %d of %d to %v", c.name, n, how, e.ID(), err, next, first, last)
			return false
		}
		if is, known := c.history[e.Index]; known && is.term != e.Term {
			k.w.violate("I7", "%s on %s: %s gives %v, applied was term %d", c.name, n, how, e.ID(), is.term)
			return false
		}
		next++
		return true
	}
	for i := first; i <= last.Index; i++ {
		if e, err := l.Read(i); !see("Read", e, err) {
			return
		}
	}
	next = first
	for e, err := range l.ReadRange(first, last.Index) {
		if !see("ReadRange", e, err) {
			return
		}
	}
	next = first
	for list, err := range l.ReadBatches(first, last.Index) {
		if err != nil {
			see("ReadBatches", engine.Entry{}, err)
			return
		}
		for _, e := range list {
			if !see("ReadBatches", e, nil) {
				return
			}
		}
	}
	if next != last.Index+1 {
		k.w.violate("I7", "%s on %s: reading ends at %d of %v", c.name, n, next, last)
	}
}
