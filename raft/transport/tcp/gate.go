package tcp

import (
	"net"
	"sync"
)

// gate bounds how many connections may be in their handshake, in all and of one address.
type gate struct {
	most, mostOfOne int

	mu     sync.Mutex
	inside int
	of     map[string]int
}

func (g *gate) limit(most, mostOfOne int) {
	g.most, g.mostOfOne, g.of = most, mostOfOne, make(map[string]int)
}

// enter takes a place; leave gives it back, once.
func (g *gate) enter(a net.Addr) (leave func(), ok bool) {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		host = a.String()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside >= g.most || g.of[host] >= g.mostOfOne {
		return nil, false
	}
	g.inside++
	g.of[host]++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.inside--
		if g.of[host]--; g.of[host] == 0 {
			delete(g.of, host)
		}
	}, true
}
