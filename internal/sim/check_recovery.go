package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// left is what a log said of itself when the power was cut.
type left struct {
	last, written raft.EntryID
	hard          engine.HardState
}

func leftBy(l *engine.Log) left { return left{l.Last(), l.LastWritten(), l.DurableHardState()} }

// crashed remembers what a power cut must leave.
func (k *checker) crashed(n *node) {
	if n.raft == nil {
		return
	}
	for _, c := range k.w.clusters {
		if l := n.log(c); l != nil {
			if s := k.servers[c.server(n)]; s != nil && s.uid == l.UID() && l.Stats().Quarantine == nil {
				if s.metrics.Role == core.RoleReceiveSnapshot {
					k.w.sometimes("interrupted install")
				}
				s.crashed, s.left = true, leftBy(l)
				s.hard = s.left.hard
			}
		}
	}
}

// opened compares what a node has recovered with what it had.
func (k *checker) opened(n *node) {
	n.examined()
	for _, c := range k.w.clusters {
		l := n.log(c)
		s := k.servers[c.server(n)]
		if l == nil || s == nil || s.uid != l.UID() || !s.crashed || l.Stats().Quarantine != nil {
			continue
		}
		s.crashed = false
		k.w.sometimes("recovery")
		k.recovered(n, c, s.left, l)
		s.metrics, s.last = raft.Metrics{}, raft.EntryID{}
	}
}

// survives has what a node says is durable survive a power cut at this moment, on a copy of its disk.
func (k *checker) survives(n *node) {
	image := n.mem.Crash(memfs.CrashOptions{Unsynced: memfs.Lost})
	image.SetCapacity(-1) // where nothing can be written, not all that is recovered counts as written
	e, err := engine.OpenParts(image, dir, n.options().Engine)
	if err != nil {
		k.w.violate("I16", "%s: a recovery on a copy of its disk: %v", n, err)
		return
	}
	k.w.sometimes("power cut on a copy")
	for _, c := range k.w.clusters {
		for l := range e.Logs() {
			if is := n.log(c); is != nil && is.UID() == l.UID() && n.scars[c] == nil {
				k.recovered(n, c, leftBy(is), l)
			}
		}
	}
}

// recovered compares what is recovered of a log with what it said before.
func (k *checker) recovered(n *node, c *cluster, was left, l *engine.Log) {
	w := k.w
	if at := l.LastWritten(); at.Index < was.written.Index && at.Term <= was.written.Term {
		w.violate("I2", "%s on %s recovers %v, written was %v", c.name, n, at, was.written)
	}
	if t, err := l.Term(was.written.Index); err == nil && t < was.written.Term {
		w.violate("I2", "%s on %s recovers term %d at %v", c.name, n, t, was.written)
	}
	// A truncation that was not durable leaves what it had cut: that was appended once.
	at := l.Last()
	if at.Index > max(was.last.Index, l.First()-1) && !k.appended(c, at) {
		w.violate("I16", "%s on %s recovers up to %v, appended was %v", c.name, n, at, was.last)
	}
	if at.Term < was.written.Term {
		w.violate("I16", "%s on %s recovers up to %v, written was %v", c.name, n, at, was.written)
	}
	if at := l.Applied(); at > max(l.LastWritten().Index, l.First()-1) {
		w.violate("I3", "%s on %s recovers applied %d, written %v", c.name, n, at, l.LastWritten())
	}
	h := l.DurableHardState()
	if h.Term == was.hard.Term && was.hard.Vote != "" && h.Vote != was.hard.Vote {
		w.violate("I4", "%s on %s recovers a vote for %q in term %d, it was %q", c.name, n, h.Vote, h.Term, was.hard.Vote)
	}
	if h.Term < was.hard.Term {
		w.violate("I4", "%s on %s recovers term %d, it was %d", c.name, n, h.Term, was.hard.Term)
	}
}

// recoverTwice has an engine recover from a copy of a disk, and again from what that left: the second time must change
// nothing. Recovery flushes nothing by itself, and nobody steps what would.
func (k *checker) recoverTwice(n *node, image *memfs.FS) {
	var found [2]string
	for i := range found {
		image = image.Crash(memfs.CrashOptions{Unsynced: memfs.Kept})
		e, err := engine.OpenParts(image, dir, n.options().Engine)
		if err != nil {
			k.w.note("%s: a recovery on a copy of its disk: %v", n, err)
			return // a full disk, for example; the node itself meets it too
		}
		found[i] = k.contents(e)
	}
	k.w.sometimes("second recovery")
	if found[0] != found[1] {
		k.w.violate("I16", "%s recovers %s, and from that %s", n, found[0], found[1])
	}
}

// contents describes what the logs of an engine hold.
func (k *checker) contents(e *engine.Engine) string {
	var list []string
	for _, c := range k.w.clusters {
		for l := range e.Logs() {
			if !strings.HasPrefix(string(l.UID()), c.name+"-") {
				continue
			}
			var failed error
			h := uint64(14695981039346656037)
			for x, err := range l.ReadRange(l.First(), l.Last().Index) {
				if failed = err; err != nil {
					break
				}
				h = hashOf(h, x.Data)
			}
			list = append(list, fmt.Sprintf("[%s %d-%v %x %v %+v %d]", l.UID(), l.First(), l.Last(), h, failed, l.HardState(), l.Applied()))
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}
