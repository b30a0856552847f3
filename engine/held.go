package engine

import (
	"context"
	"fmt"
	"sync"

	"github.com/rawl-db/rawl/internal/sched"
)

// heldBack keeps files as they are while a backup reads them: removals and the recycling of WAL files wait
// for its end. The zero value holds nothing.
type heldBack struct {
	mu    sync.Mutex
	holds int
	later []func()
	ended chan struct{} // closed when the last hold ends, nil without one
}

// do runs fn now, or when the last hold ends; in their order.
func (h *heldBack) do(fn func()) {
	h.mu.Lock()
	held := h.holds > 0
	if held {
		h.later = append(h.later, fn)
	}
	h.mu.Unlock()
	if !held {
		fn()
	}
}

func (h *heldBack) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.holds++; h.holds == 1 {
		h.ended = make(chan struct{})
	}
}

// letGo ends a hold. The last one does what waited.
func (h *heldBack) letGo() {
	h.mu.Lock()
	var due []func()
	var ended chan struct{}
	if h.holds--; h.holds == 0 {
		due, ended = h.later, h.ended
		h.later, h.ended = nil, nil
	}
	h.mu.Unlock()
	for _, fn := range due {
		fn()
	}
	if ended != nil {
		close(ended)
	}
}

// wait waits until nothing is held. Error: ErrStalled when ctx ends first.
func (h *heldBack) wait(ctx context.Context, w *sched.World) error {
	h.mu.Lock()
	ended := h.ended
	h.mu.Unlock()
	if ended == nil {
		return nil
	}
	if _, end := sched.Wait(w, ended, ctx.Done(), nil); end == sched.Stopped {
		return fmt.Errorf("%w: close: a backup goes on: %w", ErrStalled, context.Cause(ctx))
	}
	return nil
}
