package sim

import "time"

// ambush is a moment of a member's life at which whoever comes to it next is to crash, or not alone.
type ambush int

// The moments.
const (
	receives ambush = iota // it begins to receive a snapshot
	votes                  // a vote of its own lies on its disk
	stands                 // it asks whether it would be elected
	leads                  // it has been elected
	cuts                   // its log has lost entries to others
	changes                // its log has a configuration that no other log has yet
	ambushes
)

var ambushNames = [ambushes]string{"receives", "votes", "stands", "leads", "cuts", "changes"}

// layAmbush lays one for some moment.
func (w *world) layAmbush() bool {
	a := ambush(w.random.IntN(int(ambushes)))
	was := w.laid[a]
	w.laid[a] = true
	return !was
}

// spring is called at each such moment.
func (w *world) spring(a ambush, c *cluster, n *node) {
	if !w.laid[a] || w.over {
		return
	}
	w.laid[a] = false
	w.sometimes("ambush: " + ambushNames[a])
	switch {
	case a == stands:
		w.note("all members of %s stand for election like %s", c.name, n)
		w.rival(c)
		return
	case a == receives && w.random.IntN(4) == 0: // or who sends it
		n = w.nodes[w.random.IntN(len(w.nodes))]
	}
	soon := []time.Duration{0, 300 * time.Microsecond, 4 * time.Millisecond}[w.random.IntN(3)]
	w.later(0, soon, func() {
		n.crash(w.powerCut())
		if w.random.IntN(2) == 0 {
			w.later(0, time.Millisecond, n.boot)
		} else {
			w.later(10*time.Millisecond, time.Second, n.boot)
		}
	})
}
