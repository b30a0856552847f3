package raft

import (
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/sched"
)

// stoppedClock is a world in which nothing but the time is asked for.
type stoppedClock struct {
	sched.Simulator
	now time.Duration
}

// Now implements sched.Simulator.
func (c *stoppedClock) Now() int64 { return int64(c.now) }

// TestRestoresThatHang: machines whose Restore hangs hold up the others for a time only, and give their turns back once.
func TestRestoresThatHang(t *testing.T) {
	clock := &stoppedClock{}
	world := sched.Simulated(clock)
	n := &Node{world: world, wheel: newWheel(world)}
	n.queue = &runQueue{node: n}
	queue := func() *applyQueue { return &applyQueue{server: &server{node: n}} }
	var hung []*restoreTurn
	for range restoreReaders {
		hung = append(hung, n.restores.begin(queue()))
	}
	next := queue()
	if n.restores.begin(next) != nil {
		t.Fatal("more turns than there are")
	}
	clock.now = restorePatience - 1
	n.wheel.step()
	if n.queue.mu.waiting.n != 0 {
		t.Fatal("a turn has ended early")
	}
	clock.now++
	n.wheel.step()
	if r, _ := n.queue.mu.waiting.pop(); r != next {
		t.Fatalf("%v is queued", r)
	}
	for _, turn := range hung {
		n.restores.end(turn)
	}
	if n.restores.reading != 0 || n.wheel.waiting() != 0 {
		t.Errorf("%d read, %d alarms", n.restores.reading, n.wheel.waiting())
	}
}
