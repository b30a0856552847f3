package tcp

// taken is how many connections are in their handshake.
func (g *gate) taken() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside
}
