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
