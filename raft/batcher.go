package raft

import "sync"

// batcher hands things to a function of the user's, in their order and in batches, by a goroutine that lives while
// there are some: who brings them never waits.
type batcher[T any] struct {
	node   *Node
	handle func([]T) // nil drops everything

	mu      sync.Mutex
	list    []T
	running bool
	closed  bool
}

// put adds a thing; false when there is no room, bound things waiting already, or nobody to hear of it. A bound of 0 is none.
func (b *batcher[T]) put(v T, bound int) bool {
	if b.handle == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || bound > 0 && len(b.list) >= bound {
		return false
	}
	b.list = append(b.list, v)
	if !b.running {
		b.running = true
		b.node.spawn(b.run)
	}
	return true
}

// close drops what waits; one call of the function may still run.
func (b *batcher[T]) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.list = true, nil
}

func (b *batcher[T]) run() {
	for {
		b.mu.Lock()
		list := b.list
		b.list = nil
		if len(list) == 0 {
			b.running = false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		b.handle(list)
	}
}
