package sim

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// liveBy goes through a world by a course of events of its own, between the start of its clusters and peace.
func liveBy(t *testing.T, w *world, play func()) {
	t.Helper()
	if *show {
		w.watch = func(line string) { fmt.Println(line) }
	}
	w.play = func() {
		w.begin()
		play()
		w.heal()
	}
	w.run()
	if w.failure != "" {
		t.Fatalf("%s\nseed %d: %s", w.trace(), w.seed, w.failure)
	}
	judge(t, w)
	t.Logf("seed %d: %d nodes, %d clusters, %.1f s, %d steps, %d proposals", w.seed, len(w.nodes), len(w.clusters), float64(w.now)/1e9, w.steps, w.acked)
}

// used goes through a world of two clusters, and judges what their clients saw.
func used(t *testing.T, seed uint64, tune func(*raft.NodeOptions), play func(*world)) {
	t.Helper()
	w := newWorld(seed)
	w.tune = tune
	if len(w.clusters) < 2 {
		w.clusters = append(w.clusters, newCluster(w, "c1"))
	}
	liveBy(t, w, func() {
		for k, c := range w.clusters {
			w.employ(func() { w.client(uint64(10*k), c) })
			w.employ(func() { w.client(uint64(10*k)+1, c) })
		}
		play(w)
	})
}

// each goes through worlds in which something happens so many times, fewer where they are slow.
func each(t *testing.T, worlds, times int, play func(w *world, times int)) {
	t.Helper()
	eachTuned(t, worlds, times, nil, play)
}

// eachTuned is each with options of its own for all nodes.
func eachTuned(t *testing.T, worlds, times int, tune func(*raft.NodeOptions), play func(w *world, times int)) {
	if testing.Short() {
		worlds, times = 1, (times+2)/3
	}
	for seed := range uint64(worlds) {
		t.Run(fmt.Sprint(*from+seed), func(t *testing.T) {
			t.Parallel()
			used(t, *from+seed, tune, func(w *world) { play(w, times) })
		})
	}
}

// leading waits until a cluster has a leader that can be asked.
func (w *world) leading(c *cluster) (n *node) {
	w.until(c.name+" has a leader", w.now+int64(recovery), func() bool {
		n = w.leaderOf(c)
		return n != nil
	})
	return n
}

// newest is the newest term of a cluster in which somebody led.
func (c *cluster) newestTerm() (newest raft.Term) {
	for t := range c.leaders {
		newest = max(newest, t)
	}
	return newest
}

// commits wants a new write to be committed by then, asked for at any node.
func (w *world) commits(c *cluster, deadline int64) {
	w.visitors++
	for number := w.visitors << 32; w.failure == ""; number++ {
		if n := w.anyone(); n != nil && w.perform(c, n, operation{client: w.visitors, op: opWrite, kind: register, number: number, plain: true}) {
			break
		}
	}
	if w.now > deadline {
		w.violate("liveness", "%s: a write was committed %v late", c.name, time.Duration(w.now-deadline))
	}
}

// TestFigure19Pauses: nodes, mostly those that lead, stand still for 0.1 to 30 s, ten times in a world. Whoever reads from them
// meanwhile and afterwards reads what is true.
func TestFigure19Pauses(t *testing.T) {
	each(t, 5, 10, func(w *world, times int) {
		for _, k := range w.random.Perm(times) {
			_, n := w.anyLeader()
			if n == nil || w.random.IntN(4) == 0 {
				n = w.anyone()
			}
			d := time.Duration(float64(100*time.Millisecond) * math.Pow(300, float64(k)/float64(times-1)))
			w.note("%s stands still for %v", n, d)
			for _, c := range w.clusters {
				w.trust(c, n)
			}
			n.hold(true)
			w.pause(d)
			n.hold(false)
			for _, c := range w.clusters {
				w.trust(c, n)
			}
			w.pause(w.within(0, time.Second))
		}
	})
}

// TestFigure21DiskHangs: the disk of a leader hangs, for 2 s, for 30 s, and for ever. Writes go on, and the node has handed over, within
// what it takes to notice, two seconds, and three times the detection bound. Clusters that are led elsewhere keep their leaders.
func TestFigure21DiskHangs(t *testing.T) {
	const within = 5 * time.Second
	each(t, 2, 3, func(w *world, times int) {
		c, other := w.clusters[0], w.clusters[1]
		for _, d := range []time.Duration{2 * time.Second, 30 * time.Second, time.Hour}[3-times:] {
			n, calm := w.leading(c), w.leading(other)
			if n == nil || calm == nil {
				return
			}
			term, disk, end := other.newestTerm(), n.disk, w.now+int64(within)
			w.note("the disk of %s stalls for %v", n, d)
			disk.stalled = true
			w.later(d, d, disk.release)
			w.commits(c, end)
			if d > within {
				w.until("another leader", end, func() bool { now := w.leaderOf(c); return now != nil && now != n })
			}
			w.commits(c, end)
			w.pause(min(d, time.Minute))
			if now := other.newestTerm(); calm != n && now != term {
				w.violate("figure 21", "%s was led in %d, and is in %d", other.name, term, now)
			}
		}
	})
}

// TestFigure23Partitions: partitions, some of them with a bridge, come and go. When one is healed there is at most one change of the leader
// more, and writes go on within 5 s.
func TestFigure23Partitions(t *testing.T) {
	each(t, 2, 5, func(w *world, times int) {
		for k := range times {
			a, b := w.split()
			if k%2 == 0 && len(a)+len(b) > 2 {
				if len(b) > 1 {
					b = b[1:] // who is left out reaches all
				} else {
					a = a[1:]
				}
			}
			w.note("%v and %v do not see each other", a, b)
			if err := w.net.Partition(a, b); err != nil {
				w.violate("simulator", "%v", err)
			}
			w.pause(w.within(200*time.Millisecond, 6*time.Second))
			w.note("the network is whole")
			w.net.HealAll()
			healed := w.now
			led := make(map[*cluster]int)
			for _, c := range w.clusters {
				led[c] = len(c.leaders)
			}
			for _, c := range w.clusters {
				w.commits(c, healed+int64(5*time.Second))
			}
			w.pause(time.Duration(healed + int64(5*time.Second) - w.now))
			for _, c := range w.clusters {
				if more := len(c.leaders) - led[c]; more > 1 {
					w.violate("figure 23", "%s has changed its leader %d times", c.name, more)
				}
			}
		}
	})
}
