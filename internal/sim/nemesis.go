package sim

import (
	"errors"
	"strings"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/transport"
)

// What a world is to have lived through before it is left in peace.
const (
	enoughProposals = 300
	enoughFaults    = 10
)

// faults are what may befall a world, each with its part in what does. One that cannot happen now returns false.
var faults = []struct {
	name  string
	share int
	do    func(*world) bool
}{
	{"crash", 4, (*world).crashOne},
	{"crash of all", 1, (*world).crashAll},
	{"ambush", 3, (*world).layAmbush},
	{"stop", 2, (*world).stopOne},
	{"pause", 4, (*world).pauseOne},
	{"clock step", 1, (*world).stepClock},
	{"bad network", 3, (*world).badNetwork},
	{"partition", 3, (*world).partition},
	{"one-way cut", 2, (*world).oneWay},
	{"bridge", 2, (*world).bridge},
	{"flapping", 2, (*world).flap},
	{"duel", 6, (*world).duel},
	{"isolation", 4, (*world).isolate},
	{"slow disk", 2, (*world).slowDisk},
	{"connection reset", 2, (*world).resetLink},
	{"disk stall", 2, (*world).stallDisk},
	{"full disk", 2, (*world).fillDisk},
	{"failed commit", 2, (*world).failCommit},
	{"failing files", 2, (*world).failFiles},
	{"damage", 2, (*world).damageOne},
}

// mood is the part that each fault has in a world: some are more frequent in it than in others.
func (w *world) mood() (shares []int, total int) {
	for _, f := range faults {
		shares = append(shares, f.share)
	}
	for range 3 {
		shares[w.random.IntN(len(shares))] *= 5
	}
	for _, share := range shares {
		total += share
	}
	return shares, total
}

// harm does harm until there was enough of it, and of work.
func (w *world) harm() {
	shares, total := w.mood()
	for w.failure == "" && (w.acked < enoughProposals || w.faults < enoughFaults) {
		w.pause(w.within(50*time.Millisecond, 900*time.Millisecond))
		if w.faults >= 2*enoughFaults && w.acked < enoughProposals {
			w.settle() // so that there is some work between two faults
			w.pause(w.within(0, 3*time.Second))
		}
		k := w.random.IntN(total)
		for i, f := range faults {
			if k -= shares[i]; k >= 0 {
				continue
			}
			if f.do(w) {
				w.faults++
				w.sometimes(f.name)
			}
			break
		}
	}
}

// one draws a node for something that takes it out of service. When that would leave no majority it is
// mostly nobody.
func (w *world) one() *node {
	living := w.living()
	if len(living) == 0 || 2*(len(living)-1) <= len(w.nodes) && w.random.IntN(4) != 0 {
		return nil
	}
	return living[w.random.IntN(len(living))]
}

func (w *world) powerCut() memfs.CrashOptions {
	return memfs.CrashOptions{Unsynced: memfs.Unsynced(w.random.IntN(3)), Seed: w.random.Uint64()}
}

// later calls f after a time between two, unless everything has been set right before.
func (w *world) later(least, most time.Duration, f func()) {
	epoch := w.peace
	w.after(int64(w.within(least, most)), func() {
		if w.peace == epoch {
			f()
			w.outside.changed = true
		}
	})
}

func (w *world) crashOne() bool {
	n := w.one()
	if n == nil {
		return false
	}
	n.crash(w.powerCut())
	w.later(10*time.Millisecond, 2*time.Second, n.boot)
	return true
}

func (w *world) crashAll() bool {
	for _, n := range w.nodes {
		n.crash(w.powerCut())
	}
	w.settleNetwork()
	for _, n := range w.nodes {
		w.later(10*time.Millisecond, time.Second, n.boot)
	}
	return true
}

// stopOne closes a node orderly.
func (w *world) stopOne() bool {
	n := w.one()
	if n == nil {
		return false
	}
	n.stop()
	w.later(10*time.Millisecond, time.Second, n.boot)
	return true
}

func (w *world) pauseOne() bool {
	n := w.one()
	if _, leader := w.anyLeader(); leader != nil && w.random.IntN(2) == 0 {
		n = leader
	}
	if n == nil {
		return false
	}
	w.standStill(n)
	return true
}

// standStill has a node stand still for a while. Where it leads, the others elect meanwhile, and clients come as soon as it
// goes on.
func (w *world) standStill(n *node) {
	least := 100 * time.Millisecond
	for _, c := range w.clusters {
		if n.leads(c) {
			least = time.Second
		}
	}
	w.note("%s stands still", n)
	n.hold(true)
	w.later(least, 3*time.Second, func() {
		n.hold(false)
		for _, c := range w.clusters {
			w.trust(c, n)
		}
	})
}

func (w *world) stepClock() bool {
	n := w.nodes[w.random.IntN(len(w.nodes))]
	n.wall = w.random.Int64N(20_000) - 10_000
	w.note("the clock of %s is off by %d ms", n, n.wall)
	return true
}

// quiet is how the network is at its best.
var quiet = transport.Rule{DelayMin: 50 * time.Microsecond, DelayMax: 500 * time.Microsecond}

func (w *world) badNetwork() bool {
	p := func(most float64) float64 { return w.random.Float64() * most }
	bad := transport.Rule{Loss: p(0.2), Duplicate: p(0.2), Reorder: p(0.3), DelayMin: 100 * time.Microsecond, DelayMax: w.within(time.Millisecond, 50*time.Millisecond)}
	w.note("the network has %+v", bad)
	_ = w.net.SetRules(bad) // the rules are sound
	w.later(200*time.Millisecond, 3*time.Second, func() { _ = w.net.SetRules(quiet) })
	return true
}

// split draws a set of nodes, neither none nor all of them, and the others.
func (w *world) split() (a, b []raft.NodeID) {
	order := w.random.Perm(len(w.nodes))
	k := 1 + w.random.IntN(len(order)-1)
	for i, x := range order {
		if i < k {
			a = append(a, w.nodes[x].id)
		} else {
			b = append(b, w.nodes[x].id)
		}
	}
	return a, b
}

// cut notes what is done to the network, and takes it back some time.
func (w *world) cut(what string, err error, a, b []raft.NodeID) bool {
	w.note("%s between %v and %v", what, a, b)
	if err != nil {
		w.violate("simulator", "%v", err)
	}
	w.later(200*time.Millisecond, 4*time.Second, func() {
		w.note("the network is whole")
		w.net.HealAll()
	})
	return true
}

func (w *world) partition() bool {
	a, b := w.split()
	return w.cut("partition", w.net.Partition(a, b), a, b)
}

func (w *world) oneWay() bool {
	a, b := w.split()
	return w.cut("one-way cut", w.net.Cut(a, b), a, b)
}

func (w *world) bridge() bool {
	a, b := w.split()
	if len(b) > 1 {
		b = b[1:] // who is left out reaches all
	} else {
		a = a[1:]
	}
	return w.cut("bridge", w.net.Partition(a, b), a, b)
}

func (w *world) flap() bool {
	a, b := w.split()
	up, down := w.within(20*time.Millisecond, 400*time.Millisecond), w.within(20*time.Millisecond, 900*time.Millisecond)
	return w.cut("flapping", w.net.Flap(a, b, up, down), a, b)
}

func (w *world) resetLink() bool {
	a, b := w.split()
	return w.net.Reset(a[0], b[0]) == nil
}

func (w *world) stallDisk() bool {
	n := w.one()
	if n == nil {
		return false
	}
	d := n.disk
	w.note("the disk of %s stalls", n)
	d.stalled = true
	w.later(200*time.Millisecond, 7*time.Second, func() { d.release() })
	return true
}

func (w *world) fillDisk() bool {
	n := w.nodes[w.random.IntN(len(w.nodes))]
	w.note("the disk of %s is full", n)
	n.mem.SetCapacity(0)
	w.later(200*time.Millisecond, 4*time.Second, func() {
		w.note("the disk of %s has room", n)
		n.mem.SetCapacity(-1)
	})
	return true
}

// failCommit fails a write of the write-ahead log. Its engine is lost by that, and the node has to be started again.
func (w *world) failCommit() bool {
	n := w.one()
	if n == nil {
		return false
	}
	kinds := []errorfs.Fault{errorfs.EIO, errorfs.LateEIO, errorfs.SyncDropped, errorfs.SyncReverted, errorfs.SyncTorn, errorfs.SyncKept}
	fault := kinds[w.random.IntN(len(kinds))]
	w.note("the next commit of %s fails: %v", n, fault)
	n.disk.Arm(errorfs.Plan{K: 1, Fault: fault, Match: func(op errorfs.Op) bool {
		return op.Queued && op.Kind == errorfs.OpWrite && strings.HasSuffix(op.Name, ".wal")
	}})
	life := n.lives
	w.later(500*time.Millisecond, 3*time.Second, func() {
		if n.lives != life || n.place == nil {
			return
		}
		if n.disk.Tripped() {
			w.sometimes("commit failed")
		}
		n.crash(w.powerCut())
		w.later(10*time.Millisecond, time.Second, n.boot)
	})
	return true
}

// failFiles fails operations on anything but the write-ahead log.
func (w *world) failFiles() bool {
	n := w.one()
	if n == nil {
		return false
	}
	kinds := []errorfs.Fault{errorfs.EIO, errorfs.LateEIO, errorfs.SyncDropped, errorfs.ShortTransfer}
	fault := kinds[w.random.IntN(len(kinds))]
	w.note("files of %s fail: %v", n, fault)
	d := n.disk
	d.Arm(errorfs.Plan{K: 1 + w.random.IntN(20), Fault: fault, Sticky: w.random.IntN(2) == 0, Match: func(op errorfs.Op) bool {
		return op.Kind != errorfs.OpRead && !strings.Contains(op.Name, "/wal/")
	}})
	w.later(200*time.Millisecond, 3*time.Second, d.Heal)
	return true
}

// settle ends all that has been done, and starts again what is down.
func (w *world) settle() {
	w.note("all is set right")
	w.settleNetwork()
	for _, n := range w.nodes {
		if n.place == nil {
			n.boot()
			continue
		}
		n.disk.Heal()
		n.disk.release()
		n.hold(false)
		if n.broken() {
			n.crash(w.powerCut())
			n.boot()
		}
	}
}

// settleNetwork ends what was to come, and all but what befalls a life of a node.
func (w *world) settleNetwork() {
	w.peace++
	w.net.HealAll()
	_ = w.net.SetRules(quiet) // they are sound
	for _, n := range w.nodes {
		n.mem.SetCapacity(-1)
	}
}

// broken reports whether the node has to be started again to be of any use.
func (n *node) broken() bool {
	if n.raft == nil {
		return n.err != nil
	}
	if h, _ := n.raft.Engine().Health(); h == engine.HealthFailed {
		return true
	}
	for _, c := range n.w.clusters { // a server that could not read its log, for example, stops alone
		if m, err := n.raft.KeyMetrics(c.name); err == nil && m.Err != nil && !errors.Is(m.Err, raft.ErrRemoved) && !n.waitsForHelp(c, m.Err) {
			n.w.sometimes("stopped server")
			return true
		}
	}
	return false
}

// recovery is how long, from peace on, it may take until all members are equal and a new write is committed.
const recovery = 10 * time.Second

// shown is how long it takes at most until an engine's health shows that it has failed: twice the rest between two looks.
const shown = 200 * time.Millisecond

// heal ends all harm, and waits until all members are equal again and a new write is committed.
func (w *world) heal() {
	w.note("peace, after %d proposals and %d faults", w.acked, w.faults)
	deadline, known := w.now+int64(recovery), w.now+int64(shown)
	for _, c := range w.clusters {
		if c.scarred() {
			deadline = w.now + int64(healing)
		}
	}
	w.settle()
	w.over = true
	w.upgrade()
	w.until("all nodes are back", deadline, func() bool {
		for _, n := range w.nodes {
			if n.place != nil && n.broken() { // something had been under way, or did not show yet
				n.crash(w.powerCut())
				n.boot()
			}
		}
		return w.now >= known && len(w.living()) == len(w.nodes)
	})
	w.until("operators have ended", deadline, func() bool { return w.operators == 0 })
	for _, c := range w.clusters {
		w.converge(c, deadline)
	}
	w.until("clients have ended", w.now+int64(2*recovery), func() bool { return w.clients == 0 })
	for _, c := range w.clusters {
		w.check.finally(c)
	}
}

// upgrade gives all nodes the newest machines: a member whose machine is too old for the version in force does not apply.
func (w *world) upgrade() {
	newest := uint64(0)
	for _, n := range w.nodes {
		newest = max(newest, n.version)
	}
	for _, n := range w.nodes {
		if n.version < newest {
			n.version = newest
			n.crash(memfs.CrashOptions{Unsynced: memfs.Kept})
			n.boot()
		}
	}
}

// converge waits until a new write is applied by all members.
func (w *world) converge(c *cluster, deadline int64) {
	committed := false
	for number := uint64(1) << 62; !committed; number++ {
		if w.now > deadline || w.failure != "" {
			w.violate("liveness", "%s: no write is committed within %v", c.name, recovery)
			return
		}
		n := w.anyone()
		committed = n != nil && w.perform(c, n, operation{client: 99, op: opWrite, kind: register, number: number})
	}
	for !w.muster(c) && w.now < deadline {
		w.pause(20 * time.Millisecond)
	}
	at := c.newest
	w.until(c.name+": all members are equal", deadline, func() bool {
		for _, n := range c.members {
			if n.raft == nil {
				return false
			}
			if m, err := n.raft.KeyMetrics(c.name); err != nil || m.Applied < at || m.Err != nil {
				return false
			}
		}
		return true
	})
}
