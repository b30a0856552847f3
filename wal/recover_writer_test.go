package wal

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// recPowerCuts recovers images of a world that is still being written.
type recPowerCuts struct {
	*world
	rng   *rand.Rand
	acked raftlog.Batch // the last batch that a log was told of
	got   map[raftlog.LogID][]string
	cuts  int
}

func (c *recPowerCuts) Record(r *Record) error {
	c.got[r.ID] = append(c.got[r.ID], describe(r.Kind, r.Index, r.Term, r.Prev, r.Payload))
	return nil
}

func (c *recPowerCuts) Lost(l Loss) error {
	c.t.Errorf("%v", l)
	return nil
}

func (c *recPowerCuts) FileDone(uint64, raftlog.Batch, raftlog.Batch) error { return nil }

// cut loses power now: acknowledged ⊆ recovered ⊆ queued, in order, without a damage.
func (c *recPowerCuts) cut() {
	c.cuts++
	c.got = map[raftlog.LogID][]string{}
	r, err := Recover(RecoverOptions{
		FS: c.mem.Crash(memfs.CrashOptions{Unsynced: memfs.Random, Seed: c.rng.Uint64()}), Dir: "wal",
		Stream: testStream, Files: slices.Clone(c.registered), Serial: c.rng.IntN(2) == 0, Direct: c.rng.IntN(2) == 0,
	}, c)
	must(c.t, err)
	if max(r.LastDurable, r.TailLast) < c.acked || r.DamageCount > 0 || r.Truncated {
		c.t.Fatalf("batch %d was acknowledged: %+v", c.acked, r)
	}
	for _, l := range c.logs {
		if n := len(c.got[l.ID()]); n > len(l.queued) || !slices.Equal(c.got[l.ID()], l.queued[:n]) {
			c.t.Fatalf("log %s: recovered\n%v\nqueued\n%v", l.name, c.got[l.ID()], l.queued)
		}
	}
}

// work queues records of every kind and size.
func (c *recPowerCuts) work() {
	for range c.rng.IntN(10) {
		l := c.log(string(rune('a' + c.rng.IntN(6))))
		switch c.rng.IntN(12) {
		case 0:
			l.control(Control{Kind: KindHardState, Term: l.term, Payload: []byte("me")})
		case 1:
			if l.last > 2 {
				l.truncate(l.last - 1)
			}
		case 2:
			must(c.t, l.append(1, FragmentSize+c.rng.IntN(FragmentSize/2)))
		default:
			must(c.t, l.append(1+c.rng.IntN(20), c.rng.IntN(2000)))
		}
	}
}

// TestRecoverPowerCuts loses power while the writer works, one of whose operations fails.
func TestRecoverPowerCuts(t *testing.T) {
	every := 29
	if testing.Short() {
		every = 41
	}
	for seed := range uint64(8) {
		c := &recPowerCuts{rng: rand.New(rand.NewPCG(seed, 1))}
		c.world = newWorld(t, func(o *Options) { o.FileSize = 4 << 20 })
		must(t, c.w.pool.Fill())
		c.onWritten = func(b raftlog.Batch) { c.acked = max(c.acked, b) }
		ops := 0
		c.mem.OnOp(func(memfs.Op) {
			if ops++; ops%every == 0 {
				c.cut()
			}
		})
		c.fs.Arm(errorfs.Plan{K: 1 + c.rng.IntN(90), Fault: errorfs.Faults()[seed%uint64(len(errorfs.Faults()))]})
		for range 60 {
			c.work()
			c.w.Step()
			if c.rng.IntN(3) == 0 {
				c.steps()
			}
			if c.rng.IntN(5) == 0 {
				must(t, c.w.Idle())
			}
			c.fill()
		}
		c.steps()
		c.cut()
		if c.cuts < 5 || c.acked < 40 {
			t.Fatalf("seed %d: %d cuts, %d batches", seed, c.cuts, c.acked)
		}
	}
}
