package raft

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/engine"
)

// Calls are found by their index whatever was added, taken, lost and dropped before.
func TestPendingCalls(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var p pendingCalls
	model := make(map[Index]*ticket)
	next := Index(1)
	for range 20_000 {
		switch random.IntN(8) {
		case 0, 1, 2:
			var calls []*ticket
			var entries []engine.Entry
			for range random.IntN(12) {
				c := &ticket{done: func(answer) {}}
				switch random.IntN(4) {
				case 0:
					c = nil
				case 1:
					c.done = nil
				}
				calls = append(calls, c)
				if c == nil {
					continue
				}
				entries = append(entries, engine.Entry{Index: next, Term: 1})
				if c.done != nil {
					model[next] = c
				}
				next++
			}
			p.add(calls, entries)
		case 7:
			above := next - min(next, Index(random.IntN(40)))
			if random.IntN(10) == 0 {
				above = 0
			}
			for _, c := range ended(&p, above) {
				if c.i <= above || model[c.i] != c.c {
					t.Fatalf("ended %d above %d", c.i, above)
				}
				delete(model, c.i)
			}
			for i := range model {
				if i > above {
					t.Fatalf("call %d is left above %d", i, above)
				}
			}
			next = max(above+1, 1)
		default:
			i := Index(random.Uint64N(uint64(next) + 1))
			if random.IntN(2) == 0 && len(model) > 0 { // in their order
				i = next
				for k := range model {
					i = min(i, k)
				}
			}
			if got := p.take(i); got != model[i] {
				t.Fatalf("take %d: %v, want %v", i, got, model[i])
			}
			delete(model, i)
		}
		if n := len(p.calls) - p.taken; n != len(model) {
			t.Fatalf("%d calls, want %d", n, len(model))
		}
	}
}

type endedCall struct {
	i Index
	c *ticket
}

// ended ends the calls above an index and returns them.
func ended(p *pendingCalls, above Index) (list []endedCall) {
	at := make(map[*ticket]Index)
	for _, c := range p.calls[p.taken:] {
		at[c.call] = c.index
	}
	p.end(above, func(c *ticket) { list = append(list, endedCall{at[c], c}) })
	if !slices.IsSortedFunc(list, func(a, b endedCall) int { return int(a.i) - int(b.i) }) {
		return []endedCall{{0, nil}}
	}
	return list
}
