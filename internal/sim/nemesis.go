package sim

import (
	"time"

	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// What a world is to have lived through before it is left in peace.
const (
	enoughProposals = 300
	enoughFaults    = 10
)

// harm does harm until there was enough of it, and of work.
func (w *world) harm() {
	for w.acked < enoughProposals || w.faults < enoughFaults {
		w.pause(w.within(50*time.Millisecond, time.Second))
		if w.faults >= 3*enoughFaults {
			continue
		}
		w.faults++
		w.restart()
	}
}

// restart crashes a node and has it come back.
func (w *world) restart() {
	n := w.anyone()
	w.sometimes("crash")
	n.crash(memfs.CrashOptions{Unsynced: memfs.Unsynced(w.random.IntN(3)), Seed: w.random.Uint64()})
	w.after(int64(w.within(10*time.Millisecond, 2*time.Second)), n.boot)
}

// heal ends all harm, and waits until all members are equal again and a new write is committed.
func (w *world) heal() {
	w.note("peace, after %d proposals and %d faults", w.acked, w.faults)
	w.calm = true
	w.until("all nodes are back", 10*time.Second, func() bool { return len(w.living()) == len(w.nodes) })
	w.over = true
	w.pause(patience)
	for _, c := range w.clusters {
		w.converge(c)
	}
}

// converge waits until a new write is applied by all members.
func (w *world) converge(c *cluster) {
	deadline := w.now + int64(10*time.Second)
	for number := uint64(1) << 62; w.failure == ""; number++ {
		if w.perform(c, w.anyone(), operation{client: 99, op: opWrite, kind: register, number: number}) {
			break
		}
		if w.now > deadline {
			w.violate("liveness", "%s: no write is committed after the harm has ended", c.name)
		}
	}
	at := c.newest
	w.until(c.name+": all members are equal", 10*time.Second, func() bool {
		for _, n := range c.members {
			if m, err := n.raft.KeyMetrics(c.name); err != nil || m.Applied < at || m.Err != nil {
				return false
			}
		}
		return true
	})
	for _, number := range c.denied {
		if c.happened[number] != 0 {
			w.violate("outcome", "%s: %x is said not to have been applied, and was", c.name, number)
		}
	}
}
