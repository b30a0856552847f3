package core_test

import (
	"slices"

	"github.com/rawl-db/rawl/raft/core"
)

// lostLife is a member whose log was lost, and that waits to be put in its own place.
type lostLife struct {
	node *node
	old  core.Incarnation
	disk disk
}

// acknowledged reports whether the life may have acknowledged an entry: that may come late, and counts, for the others vote without
// it as long as it is a member.
func (l *lostLife) acknowledged(id core.EntryID, m *core.Member) bool {
	if l == nil || m.Incarnation != l.old {
		return false
	}
	return id.Index <= l.disk.snapshot.ID.Index ||
		slices.ContainsFunc(l.disk.log, func(e core.Entry) bool { return e.ID() == id })
}

// lose has a member lose its log, where the others are enough: they have all that it had acknowledged, and no change among them
// is on its way. Its node runs another life at once.
func (w *world) lose(n *node) {
	if w.lost != nil || w.deletes || !n.up || n.b != w.main || !w.main.config.Has(n.self.ID, n.self.Incarnation) {
		return
	}
	voters := 0
	for i := range w.main.config.Members {
		if w.main.config.Members[i].Membership == core.Voter {
			voters++
		}
	}
	if voters < 3 {
		return
	}
	for _, o := range w.nodes {
		if _, at := o.srv.Configuration(); !o.up || o.b == w.main && at > o.srv.Commit() {
			return
		}
	}
	w.hit["lost"]++
	n.crash()
	w.lost = &lostLife{n, n.self.Incarnation, n.disk}
	n.fresh()
	n.start()
	w.contact()
}

// readmit asks a leader to put the new life in the place of the old one, until that is committed.
func (w *world) readmit(n *node) {
	l := w.lost
	if l == nil || w.rng.IntN(20) > 0 {
		return
	}
	if !w.main.config.Has(l.node.self.ID, l.old) {
		w.hit["replaced"]++
		w.lost = nil
		return
	}
	if n.srv.Role() != core.RoleLeader {
		return
	}
	w.ask(n, func(ref uint64) core.Input {
		return core.ChangeMembership{Ref: ref, Change: core.ReplaceMember, Member: core.Member{Identity: l.node.self}, Replaces: l.old}
	})
}
