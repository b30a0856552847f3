//go:build linux

package nstest

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Clients use a few keys for some time, and then others: histories stay short enough for porcupine.
const (
	clients      = 10
	registers    = 5    // keys at a time that hold anything
	lists        = 1    // keys at a time that are appended to
	windowLength = 1000 // operations, before the next keys are taken
	pause        = 25 * time.Millisecond
	prefix       = "k/" // of all these keys
)

// record is what all clients have done.
type record struct {
	began time.Time
	count atomic.Uint64 // operations that were begun, and numbers of them
	acked atomic.Uint64 // writes and reads that were answered

	mu      sync.Mutex
	keys    map[string][]*operation // without reads that failed and writes that were refused
	refused []*operation            // writes
	lost    int                     // writes of which nothing is known
}

func newRecord() *record { return &record{began: time.Now(), keys: map[string][]*operation{}} }

func (r *record) now() int64 { return int64(time.Since(r.began)) }

// perform has a client do something, and notes how it ended.
func (r *record) perform(o *operation, do func(*operation) outcome) outcome {
	o.call = r.now()
	end := do(o)
	o.end, o.known = r.now(), end == done
	if end == done {
		r.acked.Add(1)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case end != refused:
		r.keys[o.key] = append(r.keys[o.key], o)
	case o.kind != get:
		r.refused = append(r.refused, o)
	}
	if end == unknown {
		r.lost++
	}
	return end
}

// use has the client do one thing after the other until ctx ends.
func (c *client) use(ctx context.Context, r *record) {
	for ctx.Err() == nil {
		n := r.count.Add(1)
		window := n / windowLength
		if i := c.rand.IntN(registers + lists); i < registers {
			c.useRegister(ctx, r, fmt.Sprintf("%s%d/%d", prefix, window, i), n)
		} else {
			c.append(ctx, r, fmt.Sprintf("%s%d/list%d", prefix, window, i), n)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(c.rand.Int64N(int64(2 * pause)))):
		}
	}
	c.abandon(context.WithoutCancel(ctx))
}

// useRegister does something to a key.
func (c *client) useRegister(ctx context.Context, r *record, key string, n uint64) {
	ctx = context.WithoutCancel(ctx) // what was begun is brought to its end
	o := &operation{client: c.number, key: key, value: content(n)}
	switch p := c.rand.IntN(100); {
	case p < 45:
		r.perform(&operation{client: c.number, kind: get, key: key}, func(o *operation) outcome { return c.read(ctx, o) })
		return
	case p < 75:
		o.kind = put
	case p < 82:
		o.kind = put
		r.perform(o, func(o *operation) outcome { return c.write(ctx, o) })
		return
	case p < 87:
		o.kind, o.value = remove, ""
	case p < 91:
		o.kind = create
	default:
		was := &operation{client: c.number, kind: get, key: key}
		if r.perform(was, func(o *operation) outcome { return c.read(ctx, o) }) != done || !was.found {
			return
		}
		o.kind, o.old = swap, was.got
	}
	r.perform(o, func(o *operation) outcome { return c.writeOnce(ctx, o) })
}

// append puts an element at the end of a list.
func (c *client) append(ctx context.Context, r *record, key string, n uint64) {
	ctx = context.WithoutCancel(ctx)
	was := &operation{client: c.number, kind: get, key: key}
	if r.perform(was, func(o *operation) outcome { return c.read(ctx, o) }) != done {
		return
	}
	o := &operation{client: c.number, kind: create, key: key, value: element(n)}
	if was.found {
		o.kind, o.old, o.value = swap, was.got, was.got+o.value
	}
	r.perform(o, func(o *operation) outcome { return c.writeOnce(ctx, o) })
}

// element is what is appended, which no other is.
func element(n uint64) string { return fmt.Sprintf("%d,", n) }

// content is a value that no other write has: up to 4 KiB, by its number.
func content(n uint64) string {
	h := fnv.New32a()
	fmt.Fprint(h, n)
	return fmt.Sprintf("%d:%s", n, strings.Repeat(fmt.Sprintf("%x", h.Sum32()), int(h.Sum32()%512)))
}
