package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/transport"
)

// node is a machine with a disk, on which one life of a raft.Node follows another.
type node struct {
	w       *world
	id      raft.NodeID
	mem     *memfs.FS // the disk
	wall    int64     // milliseconds that its clock is off
	version uint64    // of the code of its machines
	lives   int
	scars   map[*cluster]*scar // of members whose logs were damaged and that have not come back without them

	// Of the present life.
	place   *place // nil between lives
	disk    *disk
	end     *transport.Endpoint[raft.Packet]
	raft    *raft.Node // nil until it is open
	err     error      // why it could not be opened
	logs    map[string]*engine.Log
	closing bool // it is being closed
}

// dir is where every node has its engine.
const dir = "/db"

// boot begins a life.
func (n *node) boot() {
	w := n.w
	if n.place != nil {
		return // it is there already
	}
	if n.lives++; n.lives > 1 && w.random.IntN(2) == 0 {
		n.version = 1 // newer machines
	}
	n.place, n.raft, n.err, n.end = w.newPlace(), nil, nil, nil
	n.disk = &disk{FS: errorfs.New(n.mem, errorfs.Plan{}), place: n.place}
	n.logs = make(map[string]*engine.Log)
	w.note("%s boots, life %d", n.id, n.lives)
	place := n.place
	place.Go(func() {
		in := sched.Simulated(place)
		open := func(dir string, o engine.Options) (*engine.Engine, error) {
			return engine.OpenDriven(in, n.disk, dir, o)
		}
		x, err := raft.OpenNodeIn(in, open, n.options())
		if err != nil {
			n.err = err
			w.note("%s cannot open: %v", n.id, err)
			return
		}
		n.raft = x
		w.note("%s is open", n.id)
		w.check.opened(n)
	})
}

func (n *node) options() raft.NodeOptions {
	machines := make(map[string]func() raft.Machine)
	for _, c := range n.w.clusters {
		machines[c.name] = func() raft.Machine { return &machine{heard: c, on: n, version: n.version} }
	}
	o := raft.NodeOptions{
		ID: n.id, Dir: dir, Network: n, Machines: machines, Queries: map[string]raft.Query{"read": query},
		Engine: engine.Options{
			WALFileBytes: 64 << 10, MemoryBytes: 4 << 20, SegmentEntries: 64, OpenSegments: 4, MaxBatchBytes: 4096,
			SnapshotWorkers: 1, Backend: engine.BackendFallback,
		},
		Clock:           func() int64 { return 1_700_000_000_000 + n.w.now/int64(time.Millisecond) + n.wall },
		SnapshotTimeout: 3 * time.Second, SessionGrace: 20 * time.Second, MaxCommandBytes: 4096,
	}
	if n.w.tune != nil {
		n.w.tune(&o)
	}
	return o
}

// Join implements raft.Network.
func (n *node) Join(id raft.NodeID, _ uint64, r transport.Receiver[raft.Packet]) (transport.Transport[raft.Packet], error) {
	e, err := n.w.net.Join(id, &hearing{r, n.place})
	if err != nil {
		return nil, err
	}
	n.end = e
	return &speaking{e, n}, nil
}

// speaking has what a node sends checked before it leaves.
type speaking struct {
	transport.Transport[raft.Packet]
	node *node
}

// Send implements transport.Transport.
func (s *speaking) Send(to raft.NodeID, class transport.Class, p raft.Packet) error {
	if m, ok := raft.MessageOf(p); ok {
		s.node.w.check.says(s.node, m)
	}
	return s.Transport.Send(to, class, p)
}

// hearing marks that what a node receives may be what its tasks wait for.
type hearing struct {
	transport.Receiver[raft.Packet]
	place *place
}

// Receive implements transport.Receiver.
func (h *hearing) Receive(from raft.NodeID, c transport.Class, epoch uint64, p raft.Packet) {
	h.place.changed = true
	h.Receiver.Receive(from, c, epoch, p)
}

// Event implements transport.Receiver.
func (h *hearing) Event(e transport.Event) {
	h.place.changed = true
	h.Receiver.Event(e)
}

// crash cuts the power. What becomes of that which was not synced is drawn.
func (n *node) crash(o memfs.CrashOptions) {
	if n.place == nil {
		return
	}
	n.w.note("%s crashes, unsynced %v", n.id, [...]string{"lost", "kept", "drawn"}[o.Unsynced])
	n.w.check.crashed(n)
	image := n.mem.Crash(o)
	n.leave()
	if n.w.random.IntN(8) == 0 {
		n.w.check.recoverTwice(n, image)
	}
	n.mem = image
}

// stop closes the node, as far as it can be closed within a while.
func (n *node) stop() {
	n.w.note("%s is closed", n)
	place := n.place
	n.closing = true
	n.call(5*time.Second, func(ctx context.Context, r *raft.Node) {
		if err := r.Close(ctx); err != nil {
			n.w.note("%s: %v", n, err)
		}
	})
	if n.place == place {
		n.crash(memfs.CrashOptions{Unsynced: memfs.Kept}) // the process ends, the cache stays
	}
}

// hold has all tasks of the node stand still, or go on.
func (n *node) hold(still bool) {
	if n.place == nil || n.place.paused == still {
		return
	}
	n.place.paused, n.place.changed = still, true
	if still {
		_ = n.w.net.Pause(n.id) // it has a name
	} else {
		_ = n.w.net.Resume(n.id)
	}
}

// leave ends a life without a word.
func (n *node) leave() {
	if n.end != nil {
		n.end.Abandon()
	}
	_ = n.w.net.Resume(n.id) // a node that boots listens
	n.closing = false
	n.w.kill(n.place)
	n.w.outside.changed = true
	n.place, n.raft, n.end, n.disk, n.logs = nil, nil, nil, nil, nil
}

// up reports whether the node can be asked for something.
func (n *node) up() bool { return n.place != nil && n.raft != nil && !n.place.paused && !n.closing }

// call has a task of the node's run f, and waits for its end, or that of the node's life. Of the
// first it returns true. ctx ends by itself after a while.
func (n *node) call(patience time.Duration, f func(ctx context.Context, r *raft.Node)) bool {
	w, place, r := n.w, n.place, n.raft
	ctx, cancel := context.WithCancelCause(context.Background())
	over := false
	w.after(int64(patience), func() {
		if !over {
			cancel(context.DeadlineExceeded)
			place.changed = true
		}
	})
	place.Go(func() {
		f(ctx, r)
		over = true
		w.outside.changed = true
	})
	w.outside.Park(sched.Never, func() bool { return over || place.dead })
	cancel(nil)
	return over
}

// log returns the log of a cluster's member here, nil when there is none.
func (n *node) log(c *cluster) *engine.Log {
	if l := n.logs[c.name]; l != nil && n.scars[c] == nil {
		if x, err := n.raft.Engine().Log(l.UID()); err == nil && x == l {
			return l
		}
		delete(n.logs, c.name) // its server was deleted
	}
	for _, s := range n.raft.Servers() {
		if s.ID.Name != c.name {
			continue
		}
		if l, err := n.raft.Engine().Log(s.UID); err == nil {
			n.logs[c.name] = l
			return l
		}
	}
	return nil
}

func (n *node) String() string { return fmt.Sprintf("%s/%d", n.id, n.lives) }
