package wal

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rawl-db/rawl/internal/vfs/errorfs"
)

// runWorld runs fn while committer and pool run on goroutines of their own, in virtual time.
func runWorld(t *testing.T, fn func(t *testing.T, x *world)) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, func(o *Options) { o.Now = func() int64 { return time.Now().UnixNano() } })
		x.mem.OnOp(nil)
		stop, stopPool := make(chan struct{}), make(chan struct{})
		ended := make(chan struct{}, 2)
		go func() { x.w.Run(stop); ended <- struct{}{} }()
		go func() { x.w.Pool().Run(stopPool); ended <- struct{}{} }()
		synctest.Wait()
		fn(t, x)
		close(stop)
		<-ended
		close(stopPool)
		<-ended
		x.check()
		must(t, x.w.Close())
	})
}

func later(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// The committer sleeps without a timer once all is covered, and a lazy record gets its frame
// nevertheless.
func TestRunIdle(t *testing.T) {
	runWorld(t, func(t *testing.T, x *world) {
		l := x.log("a")
		must(t, l.append(1, 10))
		synctest.Wait()
		if s := x.w.Stats(); s.Durable != 1 || s.Idle != 0 || x.w.sleep.Load() != dozing {
			t.Errorf("durable %d, idle %d, sleep %d", s.Durable, s.Idle, x.w.sleep.Load())
		}
		later(idleAfter)
		if s := x.w.Stats(); s.Idle != 1 || x.w.sleep.Load() != asleep {
			t.Errorf("idle %d, sleep %d", s.Idle, x.w.sleep.Load())
		}
		l.control(Control{Kind: KindApplied, Index: 1, Lazy: true})
		synctest.Wait()
		if x.w.Stats().Batches != 2 {
			t.Error("a lazy record made a batch")
		}
		later(idleAfter)
		later(idleAfter)
		if s := x.w.Stats(); s.Batches != 4 || l.controls != 1 || x.w.sleep.Load() != asleep {
			t.Errorf("batches %d, controls %d, sleep %d", s.Batches, l.controls, x.w.sleep.Load())
		}
	})
}

// Stop commits what is queued, also when it needs a file that is not there yet.
func TestRunStops(t *testing.T) {
	runWorld(t, func(t *testing.T, x *world) {
		for range 100 {
			must(t, x.log("a").append(10, 700))
			must(t, x.log("b").append(1, 7000))
		}
	})
}

// What is full when it starts, and gets space later, heals by Retry.
func TestRunHeals(t *testing.T) {
	runWorld(t, func(t *testing.T, x *world) {
		x.fs.Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.NoSpace})
		must(t, x.log("a").append(1, 10))
		synctest.Wait()
		if x.w.Health() != ReadOnly {
			t.Error(x.w.Health())
		}
		x.fs.Heal()
		x.w.Retry()
		later(2 * failurePause)
		x.w.Retry()
		synctest.Wait()
		if x.w.Health() != OK || x.log("a").table.durable != 1 {
			t.Error(x.w.Health(), x.log("a").table.durable)
		}
	})
}
