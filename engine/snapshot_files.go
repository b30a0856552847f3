package engine

import "sync"

// fileGuard keeps snapshot files from being removed while somebody reads them.
type fileGuard struct {
	remove func(path string)

	mu   sync.Mutex
	uses map[string]int
	gone map[string]bool // to be removed when their last use ends
}

func newFileGuard(remove func(string)) *fileGuard {
	return &fileGuard{remove: remove, uses: make(map[string]int), gone: make(map[string]bool)}
}

func (g *fileGuard) acquire(path string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.uses[path]++
}

func (g *fileGuard) release(path string) {
	g.mu.Lock()
	g.uses[path]--
	last := g.uses[path] == 0
	if last {
		delete(g.uses, path)
	}
	due := last && g.gone[path]
	if due {
		delete(g.gone, path)
	}
	g.mu.Unlock()
	if due {
		g.remove(path)
	}
}

// retire removes the file now, or when its last use ends.
func (g *fileGuard) retire(path string) {
	g.mu.Lock()
	used := g.uses[path] > 0
	if used {
		g.gone[path] = true
	}
	g.mu.Unlock()
	if !used {
		g.remove(path)
	}
}

// used counts the uses of a file.
func (g *fileGuard) used(path string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.uses[path]
}
