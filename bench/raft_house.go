package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/transport"
)

const (
	tallyName   = "tally"
	closingTime = 30 * time.Second
)

// raftHouse is three nodes in this process, each with its own engine and directory.
type raftHouse struct {
	dir      string
	clusters int
	options  engine.Options
	net      *transport.Network[raft.Packet]
	nodes    [houseNodes]atomic.Pointer[raft.Node] // nil while one is away
	ends     [houseNodes]atomic.Pointer[transport.Endpoint[raft.Packet]]
}

// newRaftHouse opens the nodes, in directories that may have been used before.
func newRaftHouse(dir string, clusters int, o engine.Options) (*raftHouse, error) {
	began := time.Now()
	net, err := transport.New[raft.Packet](transport.Options{Now: func() int64 { return int64(time.Since(began)) }})
	if err != nil {
		return nil, err
	}
	h := &raftHouse{dir: dir, clusters: clusters, options: o, net: net}
	for i := range h.nodes {
		if err := h.open(i); err != nil {
			return nil, errors.Join(err, h.close())
		}
	}
	return h, nil
}

func (h *raftHouse) open(i int) error {
	n, err := raft.OpenNode(raft.NodeOptions{
		ID: nodeName(i), Dir: filepath.Join(h.dir, nodeName(i)), Network: houseNetwork{h, i}, Engine: h.options,
		Machines: map[string]func() raft.Machine{tallyName: newTallyMachine},
	})
	if err == nil {
		h.nodes[i].Store(n)
	}
	return err
}

// node returns a node that is there.
func (h *raftHouse) node(i int) *raft.Node { return h.nodes[i].Load() }

// nearest returns a node that is there, i if it is.
func (h *raftHouse) nearest(i int) (*raft.Node, int) {
	for k := range houseNodes {
		if n := h.node((i + k) % houseNodes); n != nil {
			return n, (i + k) % houseNodes
		}
	}
	return nil, i
}

// houseNetwork keeps a node's end of the network, so that it can be torn off.
type houseNetwork struct {
	house *raftHouse
	node  int
}

// Join implements raft.Network.
func (n houseNetwork) Join(id raft.NodeID, _ uint64, r transport.Receiver[raft.Packet]) (transport.Transport[raft.Packet], error) {
	e, err := n.house.net.Join(id, r)
	if err != nil {
		return nil, err
	}
	n.house.ends[n.node].Store(e)
	return e, nil
}

func (h *raftHouse) close() error {
	var errs []error
	for i := range h.nodes {
		errs = append(errs, h.closeNode(i))
	}
	return errors.Join(append(errs, h.net.Close())...)
}

func (h *raftHouse) closeNode(i int) error {
	if n := h.nodes[i].Swap(nil); n != nil {
		return closeRaftNode(n)
	}
	return nil
}

func closeRaftNode(n *raft.Node) error {
	ctx, cancel := context.WithTimeout(context.Background(), closingTime)
	defer cancel()
	return n.Close(ctx)
}

// start starts all clusters, those of one node after the other's, so that leaders are spread evenly.
func (h *raftHouse) start(ctx context.Context) error {
	return h.each(func(k int) error {
		_, err := h.node(k%houseNodes).StartCluster(ctx, raft.ClusterConfig{Name: clusterName(k), Machine: tallyName, Members: members(k)})
		return err
	})
}

// each runs f for all clusters, many at a time.
func (h *raftHouse) each(f func(k int) error) error { return each(h.clusters, f) }

// roll takes the WALs of all nodes through their pools of files.
func (h *raftHouse) roll(ctx context.Context) error {
	var wg sync.WaitGroup
	var errs [houseNodes]error
	for i := range h.nodes {
		wg.Go(func() { errs[i] = rollPool(ctx, h.node(i).Engine(), h.options.WALFileBytes) })
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}

// settle waits until no engine has files to flush.
func (h *raftHouse) settle(ctx context.Context) error {
	for i := range h.nodes {
		if err := settle(ctx, h.node(i).Engine()); err != nil {
			return err
		}
	}
	return nil
}

// leader returns who leads a cluster, as the members see it, once they agree on one.
func (h *raftHouse) leader(ctx context.Context, k int) (raft.ServerID, error) {
	n, i := h.nearest(0)
	if n == nil {
		return raft.ServerID{}, raft.ErrClosed
	}
	_, id, err := n.Members(ctx, member(k, i))
	return id, err
}

// led waits until all members of a cluster follow one leader.
func (h *raftHouse) led(ctx context.Context, k int) error {
	leader, err := h.leader(ctx, k)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := 0; i < houseNodes && err == nil; {
		var id raft.ServerID
		if id, err = h.node(i).Leader(clusterName(k)); id == leader {
			i++
			continue
		}
		select {
		case <-tick.C:
			leader, err = h.leader(ctx, k)
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	return err
}

// logEnds are where the logs of all members end, and in which terms.
func (h *raftHouse) logEnds() (lasts, terms []uint64, err error) {
	for k := range h.clusters {
		for i := range houseNodes {
			m, err := h.node(i).KeyMetrics(clusterName(k))
			if err != nil {
				return nil, nil, err
			}
			lasts, terms = append(lasts, uint64(m.Last)), append(terms, uint64(m.Term))
		}
	}
	return lasts, terms, nil
}

// state is what a member has applied once it has everything that was acknowledged before the call.
func (h *raftHouse) state(ctx context.Context, k, node int) (*tallyMachine, error) {
	m, err := h.node(node).ConsistentRead(ctx, clusterName(k), func(m raft.Machine) (any, error) {
		return m.(*tallyMachine).clone(), nil
	})
	if err != nil {
		return nil, err
	}
	return m.(*tallyMachine), nil
}

// syncs are those of all three engines, and the rolls that met no prepared file.
func (h *raftHouse) syncs() (syncs, unprepared uint64) {
	for i := range h.nodes {
		st := h.node(i).Engine().Stats()
		syncs += st.Syncs
		unprepared += st.UnpreparedRolls
	}
	return syncs, unprepared
}

// count implements raftNodes: everything is in this process.
func (h *raftHouse) count(t *raftTotals) error {
	t.CPU, t.Allocs, t.RSS = cpuSeconds(), mallocs(), peakRSS()
	t.Syncs, t.Unprepared = h.syncs()
	return nil
}

func (h *raftHouse) client(leader raft.ServerID) *raft.Node { return h.node(nodeOf(leader)) }

func (h *raftHouse) echo() string { return "" }

func (h *raftHouse) backend() string { return string(h.node(0).Engine().Stats().Backend.Backend) }

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
