package raft

import (
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/sched"
)

// TestLateTurns: the watchdog allows each server's turn as many looks as fit its own system, and begins anew when a look of its own
// came late.
func TestLateTurns(t *testing.T) {
	quick, slow := new(system), new(system)
	quick.stall.after, slow.stall.after = 200*time.Millisecond, 450*time.Millisecond
	d := watchdog{every: int64(quick.stall.after) / 2}
	a, b := &server{}, &server{}
	home := map[*server]*system{a: quick, b: slow}
	q := newRunQueue(&Node{world: sched.Real()})
	q.mu.workers = []*worker{{mail: &mailbox{server: a}}, {mail: &mailbox{server: b}}, {}}
	seen := make(map[*server]int)
	for look := 1; look <= 10; look++ {
		for _, s := range q.late(look == 2, func(s *server) int { return d.looksFor(home[s]) }) {
			if seen[s] != 0 {
				t.Errorf("a turn is late again at look %d", look)
			}
			seen[s] = look
		}
	}
	if seen[a] != 4 || seen[b] != 7 {
		t.Errorf("turns were late at looks %d and %d", seen[a], seen[b])
	}
}

// TestLateTurnsHoldUpNobody: turns of a slow system's servers that take all workers are seen late by the looks of the quickest
// system, and what waits behind them runs then. Their servers are late by their own system, as if nothing had been replaced.
func TestLateTurnsHoldUpNobody(t *testing.T) {
	world := sched.Real()
	n := &Node{world: world, work: world.Group()}
	q := newRunQueue(n)
	slow, behind := &server{}, &mailbox{running: true}
	for range q.limit {
		q.mu.workers = append(q.mu.workers, &worker{mail: &mailbox{server: slow}})
	}
	q.push(behind)
	allowed := func(*server) int { return lookedLate + 2 }
	for range lookedLate {
		if list := q.late(false, allowed); len(list) > 0 {
			t.Errorf("%d servers are late by the looks of another system", len(list))
		}
	}
	q.close()
	_ = n.work.Wait(nil)
	if behind.running {
		t.Error("what waits is held up by the turns of a slow system")
	}
	var list []*server
	for look := range allowed(slow) { // the first of them comes late itself
		list = q.late(look == 0, allowed)
	}
	if len(list) != q.limit {
		t.Errorf("%d of %d servers are late by their own system", len(list), q.limit)
	}
	if q.mu.held != q.limit {
		t.Errorf("%d workers are held, not %d", q.mu.held, q.limit)
	}
}
