package transport

import (
	"container/heap"
	"math/rand/v2"
)

// agenda knows which lanes have something to deliver, in stepped mode. It is not locked: everything is called by one
// goroutine at a time then.
type agenda[M Message] struct {
	random *rand.Rand
	due    []*lane[M]   // lanes whose first item was due when Step looked last
	later  laterHeap[M] // the others that have one
}

// place is where in the agenda a lane is.
type place struct {
	list list
	at   int // index in that list
}

type list uint8

const (
	nowhere list = iota
	inDue
	inLater
)

func newAgenda[M Message](seed uint64) *agenda[M] {
	return &agenda[M]{random: rand.New(rand.NewPCG(seed, 0))}
}

// touch puts a lane where it belongs after its queue or its receiver has changed.
func (g *agenda[M]) touch(a *lane[M]) {
	g.remove(a)
	if a.queue.len() > 0 && !a.link.to.paused.Load() {
		heap.Push(&g.later, a)
	}
}

func (g *agenda[M]) remove(a *lane[M]) {
	switch a.place.list {
	case inDue:
		last := len(g.due) - 1
		g.due[a.place.at] = g.due[last]
		g.due[a.place.at].place.at = a.place.at
		g.due[last] = nil
		g.due = g.due[:last]
		a.place = place{}
	case inLater:
		heap.Remove(&g.later, a.place.at)
	}
}

// draw returns one of the lanes whose first item is due, nil if there is none.
func (g *agenda[M]) draw(now int64) *lane[M] {
	for len(g.later) > 0 && g.later[0].queue.first().at <= now {
		a := heap.Pop(&g.later).(*lane[M])
		a.place = place{inDue, len(g.due)}
		g.due = append(g.due, a)
	}
	if len(g.due) == 0 {
		return nil
	}
	return g.due[g.random.IntN(len(g.due))]
}

// next returns when the first item is due.
func (g *agenda[M]) next() (at int64, ok bool) {
	if len(g.later) > 0 {
		at, ok = g.later[0].queue.first().at, true
	}
	for _, a := range g.due {
		if first := a.queue.first().at; !ok || first < at {
			at, ok = first, true
		}
	}
	return at, ok
}

// laterHeap orders lanes by when their first item is due.
type laterHeap[M Message] []*lane[M]

func (h laterHeap[M]) Len() int           { return len(h) }
func (h laterHeap[M]) Less(i, j int) bool { return h[i].queue.first().at < h[j].queue.first().at }

func (h laterHeap[M]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place.at, h[j].place.at = i, j
}

// Push is heap.Interface.
func (h *laterHeap[M]) Push(x any) {
	a := x.(*lane[M])
	a.place = place{inLater, len(*h)}
	*h = append(*h, a)
}

// Pop is heap.Interface.
func (h *laterHeap[M]) Pop() any {
	last := len(*h) - 1
	a := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	a.place = place{}
	return a
}

// Step hands over one item, drawn from those that are due, and returns false if none is. An item may be a message, an
// event, or one that a cut or the end of its connection has overtaken: then nobody is called. In production mode it does
// nothing and returns false.
func (n *Network[M]) Step() bool {
	if n.agenda == nil {
		return false
	}
	now := n.opts.Now()
	a := n.agenda.draw(now)
	if a == nil {
		return false
	}
	p := a.link.pair
	p.mu.Lock()
	d := p.take(a, now)
	n.agenda.touch(a)
	p.mu.Unlock()
	d.run()
	return true
}

// Next returns when Step will have something to hand over, on the clock of Options.Now, and false when there
// is nothing. The time may have passed already. In production mode it returns false.
func (n *Network[M]) Next() (at int64, ok bool) {
	if n.agenda == nil {
		return 0, false
	}
	return n.agenda.next()
}
