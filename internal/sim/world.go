package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/transport"
)

// world is some nodes, what goes on between them, and who uses them.
type world struct {
	*scheduler
	seed     uint64
	net      *transport.Network[raft.Packet]
	nodes    []*node
	clusters []*cluster
	outside  *place // clients, and who does harm
	check    *checker
	play     func()                  // the course of events
	tune     func(*raft.NodeOptions) // changes what nodes are opened with, nil for nothing
	seen     map[string]int          // what happened how often

	lines     []string // the newest of the trace, in a ring
	noted     int
	watch     func(string) // hears of every line, nil for nobody
	failure   string       // the first violation
	acked     int          // proposals that were answered
	faults    int
	laid      [ambushes]bool
	visitors  uint64 // clients that came with one operation
	peace     int    // numbers the times at which all was set right
	clients   int    // that have not ended, operators among them
	operators int
	over      bool  // clients stop
	stamp     int64 // orders the calls and answers of clients
}

// ring is how many lines of the trace are kept.
const ring = 400

func newWorld(seed uint64) *world {
	w := &world{scheduler: newScheduler(seed), seed: seed, seen: make(map[string]int), lines: make([]string, ring), visitors: 1000}
	w.scheduler.failed = func(why string) { w.violate("panic", "%s", why) }
	w.check, w.play = newChecker(w), w.script
	net, err := transport.New[raft.Packet](transport.Options{Seed: seed, Now: func() int64 { return w.now }, Stepped: true})
	if err != nil {
		panic(err)
	}
	w.net = net
	w.network.next, w.network.step = net.Next, net.Step
	w.outside = w.newPlace()
	_ = net.SetRules(quiet) // they are sound
	for k := range 3 + w.random.IntN(5) {
		id := fmt.Sprintf("n%d", k)
		w.nodes = append(w.nodes, &node{w: w, id: id, mem: memfs.New(seed<<8 + uint64(k)), scars: make(map[*cluster]*scar)})
	}
	for k := range 1 + w.random.IntN(2) {
		w.clusters = append(w.clusters, newCluster(w, fmt.Sprintf("c%d", k)))
	}
	return w
}

// note takes a line into the trace, and into the hash of the history.
func (w *world) note(format string, args ...any) {
	line := fmt.Sprintf("%12.6f  %s", float64(w.now)/1e9, fmt.Sprintf(format, args...))
	w.hash = hashOf(w.hash, []byte(line))
	w.lines[w.noted%ring] = line
	w.noted++
	if w.watch != nil {
		w.watch(line)
	}
}

// violate says that something is not as it must be. The first time counts.
func (w *world) violate(what, format string, args ...any) {
	if w.failure == "" {
		w.failure = what + ": " + fmt.Sprintf(format, args...)
		w.note("VIOLATION of %s", w.failure)
	}
}

// sometimes counts something that is to happen in some worlds.
func (w *world) sometimes(what string) { w.seen[what]++ }

// trace is the newest lines.
func (w *world) trace() string {
	from := max(0, w.noted-ring)
	var b strings.Builder
	for k := from; k < w.noted; k++ {
		b.WriteString(w.lines[k%ring] + "\n")
	}
	return b.String()
}

// limit is how long, in virtual time, a world may take.
const limit = 10 * time.Minute

// mostSteps bounds what a world does: ten times what most take.
const mostSteps = 1_000_000

// run goes through the whole history of the world.
func (w *world) run() {
	defer w.end()
	ended := false
	w.outside.Go(func() {
		w.play()
		ended = true
	})
	for !ended && w.failure == "" {
		if !w.step() {
			w.violate("progress", "nothing will ever happen")
		}
		if w.now > int64(limit) || w.steps > mostSteps {
			w.violate("progress", "%d proposals and %d faults after %v and %d steps", w.acked, w.faults, time.Duration(w.now), w.steps)
		}
		w.check.look()
	}
}

// end ends all lives.
func (w *world) end() {
	for _, n := range w.nodes {
		if n.place != nil {
			n.leave()
		}
	}
	w.close()
}

// script is an ordinary course of events: clusters are started, used and harmed, and then left in peace.
func (w *world) script() {
	w.begin()
	for k, c := range w.clusters {
		id := uint64(10 * k)
		w.employ(func() { w.client(id, c) })
		w.employ(func() { w.client(id+1, c) })
		w.employ(func() { w.sessions(id+2, c) })
		w.operators++
		w.employ(func() {
			w.operator(c)
			w.operators--
		})
	}
	w.harm()
	w.heal()
}

// begin opens the nodes and starts the clusters.
func (w *world) begin() {
	for _, n := range w.nodes {
		n.boot()
	}
	w.until("all nodes are open", w.now+int64(recovery), func() bool {
		for _, n := range w.nodes {
			if !n.up() {
				return false
			}
		}
		return true
	})
	for _, c := range w.clusters {
		w.start(c)
	}
}

// employ runs a client until it is over.
func (w *world) employ(f func()) {
	w.clients++
	w.outside.Go(func() {
		f()
		w.clients--
	})
}

// until waits for something that has to be by then.
func (w *world) until(what string, deadline int64, is func() bool) bool {
	for !is() {
		if w.now >= deadline || w.failure != "" {
			for _, c := range w.clusters {
				w.noteMembers(c)
			}
			w.violate("liveness", "not in time: %s", what)
			return false
		}
		w.pause(5 * time.Millisecond)
	}
	return true
}

// noteMembers takes the figures of a cluster's members into the trace.
func (w *world) noteMembers(c *cluster) {
	for _, n := range c.members {
		if n.raft == nil {
			w.note("%s on %s is not there", c.name, n)
			continue
		}
		m, err := n.raft.KeyMetrics(c.name)
		h, cause := n.raft.Engine().Health()
		w.note("%s on %s: %v last %d written %d commit %d applied %d snapshot %d %v, %v; engine %v %v; newest is %d", c.name, n,
			m.Role, m.Last, m.Written, m.Commit, m.Applied, m.Snapshot, m.Err, err, h, cause, c.newest)
	}
}

// pause lets the running task of the outside wait.
func (w *world) pause(d time.Duration) { w.outside.Park(w.now+int64(d), nil) }

// within draws a time between two.
func (w *world) within(least, most time.Duration) time.Duration {
	return least + time.Duration(w.random.Int64N(int64(most-least)+1))
}

// living returns the nodes that can be asked.
func (w *world) living() (list []*node) {
	for _, n := range w.nodes {
		if n.up() {
			list = append(list, n)
		}
	}
	return list
}

// node is the one of a name.
func (w *world) node(id raft.NodeID) *node {
	for _, n := range w.nodes {
		if n.id == id {
			return n
		}
	}
	return nil
}

// anyone draws a node that can be asked, and waits for one; nil when it is over.
func (w *world) anyone() *node {
	for w.failure == "" {
		if list := w.living(); len(list) > 0 {
			return list[w.random.IntN(len(list))]
		}
		w.pause(10 * time.Millisecond)
	}
	return nil
}

var _ sched.Simulator = (*place)(nil)
