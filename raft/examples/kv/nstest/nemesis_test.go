//go:build linux

package nstest

import (
	"context"
	"syscall"
	"time"
)

// strike is harm that is done to the cluster until heal ends it.
type strike struct {
	heal func()
	hold time.Duration // how long it lasts at least
	// Either may be nil: goOn does more while it lasts, beside that of others, check looks for what must be seen when nothing else is done to the cluster.
	goOn, check func()
	// effect reports, after heal, that it has done something.
	effect func() bool
}

// nemesis does one thing to the cluster.
type nemesis struct {
	name, kind string // those of two kinds can act at once
	do         func(w *world) strike
}

var nemeses = []nemesis{
	{"two nodes cut off from each other", "cut", (*world).cutPair},
	{"cut one way", "cut", (*world).cutOneWay},
	{"bridge between two halves", "cut", (*world).cutBridge},
	{"leader isolated", "cut", (*world).isolateLeader},
	{"minority cut off", "cut", (*world).cutMinority},
	{"connections reset", "reset", (*world).resets},
	{"disk full", "disk", (*world).fillDisk},
	{"killed", process, (*world).killNode},
	{"stopped", process, (*world).stopNodes},
}

const (
	combined = "two at once"
	process  = "process" // kind of those that are done to one
)

// detection bounds after what time no connection is left that is cut one way: the transport's WriteTimeout of 5 s, and what a crowded machine
// adds to that.
const detection = 20 * time.Second

// cuts makes cuts for some seconds.
func (w *world) cuts(list []cut) strike {
	before := w.net.dropped()
	w.net.set(list)
	return strike{
		hold:   w.between(time.Second, 5*time.Second),
		heal:   func() { w.net.set(nil) },
		effect: func() bool { return w.net.dropped() > before },
	}
}

// between draws a duration.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.rand.Int64N(int64(most-least)))
}

// victim is any node, and every other time the leader.
func (w *world) victim() int {
	if at := w.leader(); at >= 0 && w.rand.IntN(2) == 0 {
		return at
	}
	return w.rand.IntN(size)
}

// order is all nodes, the given one first.
func (w *world) order(first int) []int {
	list := []int{first}
	for _, i := range w.rand.Perm(size) {
		if i != first {
			list = append(list, i)
		}
	}
	return list
}

func (w *world) cutPair() strike {
	o := w.order(w.victim())
	return w.cuts(both(o[0], o[1]))
}

// cutBridge leaves one node that hears both halves, which do not hear each other.
func (w *world) cutBridge() strike {
	o := w.order(w.victim())
	return w.cuts(between(o[:2], o[2:4]))
}

func (w *world) isolateLeader() strike {
	o := w.order(max(0, w.leader()))
	return w.cuts(between(o[:1], o[1:]))
}

func (w *world) cutMinority() strike {
	o := w.order(w.victim())
	return w.cuts(between(o[:2], o[2:]))
}

// cutOneWay has a node not hear another one. Neither may be left with a connection that it takes for sound, and the deaf one's transport must
// have noticed: nobody acknowledges what it sends.
func (w *world) cutOneWay() strike {
	o := w.order(w.victim())
	c := cut{from: o[0], at: o[1]}
	if w.rand.IntN(2) == 0 {
		c = cut{from: o[1], at: o[0]}
	}
	deaf, unheard := w.nodes[c.at], w.nodes[c.from]
	before := w.figuresOf(deaf)
	s := w.cuts([]cut{c})
	s.check = func() {
		ctx, cancel := context.WithTimeout(context.Background(), detection)
		defer cancel()
		began := time.Now()
		if !poll(ctx, func() bool { return w.net.connections(c.at, c.from)+w.net.connections(c.from, c.at) == 0 }) {
			w.t.Errorf("%s: %s does not hear %s, and they have connections still: %d and %d", w.since(), deaf.id, unheard.id,
				w.net.connections(c.at, c.from), w.net.connections(c.from, c.at))
		}
		w.detections = append(w.detections, time.Since(began).Round(100*time.Millisecond))
		if !poll(ctx, func() bool { f, err := deaf.figures(); return err == nil && f.timedOut() > before.timedOut() }) {
			w.t.Errorf("%s: %s does not hear %s, and its transport has not noticed", w.since(), deaf.id, unheard.id)
		}
	}
	return s
}

// resets ends the connections of some nodes, one after the other.
func (w *world) resets() strike {
	ended := 0
	return strike{
		heal: func() {}, effect: func() bool { return ended > 0 },
		goOn: func() {
			for range 6 {
				ended += w.net.reset(w.victim())
				time.Sleep(w.between(0, 400*time.Millisecond)) // connections come back, or are about to
			}
		},
	}
}

// killNode ends a process, and starts it again.
func (w *world) killNode() strike {
	n := w.nodes[w.victim()]
	n.kill()
	return strike{hold: w.between(0, 4*time.Second), heal: n.start, effect: func() bool { return true }}
}

// stopNodes has processes stand still one after the other, for a moment or longer. What came meanwhile they find when they go on, and
// answer, some of them in the belief that they still lead.
func (w *world) stopNodes() strike {
	stops := 0
	return strike{
		heal: func() {}, effect: func() bool { return stops > 0 },
		goOn: func() {
			for _, most := range []time.Duration{time.Second, 3 * time.Second, 5 * time.Second} {
				n := w.nodes[w.victim()]
				n.signal(syscall.SIGSTOP)
				time.Sleep(w.between(100*time.Millisecond, most))
				n.signal(syscall.SIGCONT)
				stops++
				time.Sleep(w.between(0, 500*time.Millisecond)) // it catches up, or is about to
			}
		},
	}
}
