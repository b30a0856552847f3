package raft_test

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/transport"
	"github.com/rawl-db/rawl/raft/transport/tcp"
)

// houseOptions vary a house.
type houseOptions struct {
	machines map[string]func() raft.Machine
	queries  map[string]raft.Query
	change   func(*raft.NodeOptions)
	network  transport.Options // but for Now
	// watchful has nodes find out within a second that another is lost. Without it they take ten: a busy machine may keep a processor from
	// one node for longer than a second, and the others, which run, suspect it; what a test asks for is lost then.
	watchful bool
	devices  []vfs.FS // of the nodes, nil for the real one
	// tcp has the nodes talk over TCP, with options that it changes; whoever sets it looks after what was wrong with frames.
	tcp func(raft.NodeID, *tcp.Options)
}

// hang is after how long a test is taken for one that hangs. Where it is known to, there is no need to wait for so long.
var hang = flag.Duration("hang", 2*time.Minute, "after how long a test is taken for one that hangs")

// engineOf opens a node's engine on its device.
func (o *houseOptions) engineOf(i int) func(string, engine.Options) (*engine.Engine, error) {
	if o.devices == nil {
		return engine.Open
	}
	return func(dir string, e engine.Options) (*engine.Engine, error) { return engine.OpenOn(o.devices[i], dir, e) }
}

// newHouseWith is newHouse with other machines, and a check that nothing of it is left running.
func newHouseWith(t testing.TB, count int, o houseOptions) *house {
	var dirs []string
	for range count {
		dirs = append(dirs, t.TempDir())
	}
	return newHouseIn(t, dirs, o)
}

// newHouseIn is newHouseWith with directories that may have been used.
func newHouseIn(t testing.TB, dirs []string, o houseOptions) *house {
	before := runtime.NumGoroutine()
	t.Cleanup(func() { wantGoroutines(t, before) })
	h := &house{t: t, options: o}
	if *overTCP || o.tcp != nil {
		h.loopback = &loopback{addrs: make(map[raft.NodeID]string), networks: make(map[raft.NodeID]*raft.TCP), change: o.tcp}
		t.Cleanup(func() { h.loopback.check(t) })
	}
	if *wired {
		h.wire = &wire{}
		t.Cleanup(func() { h.wire.check(t) })
	}
	began := time.Now()
	net, err := transport.New[raft.Packet](networkOptions(o.network, began))
	if err != nil {
		t.Fatal(err)
	}
	h.net = net
	for i, dir := range dirs {
		h.dirs = append(h.dirs, dir)
		h.nodes = append(h.nodes, nil)
		h.ends = append(h.ends, nil)
		h.open(i)
	}
	t.Cleanup(func() {
		h.closeAll()
		_ = net.Close()
	})
	return h
}

func (h *house) closeAll() {
	for i := range h.nodes {
		h.close(i)
	}
}

func networkOptions(o transport.Options, began time.Time) transport.Options {
	o.Now = func() int64 { return int64(time.Since(began)) }
	return o
}

// wantGoroutines waits until no more run than before.
func wantGoroutines(t testing.TB, most int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), *hang)
	defer cancel()
	for runtime.NumGoroutine() > most {
		if ctx.Err() != nil {
			buf := make([]byte, 1<<20)
			t.Errorf("%d goroutines, want at most %d:\n%s", runtime.NumGoroutine(), most, buf[:runtime.Stack(buf, true)])
			return
		}
		pause(ctx)
	}
}

func numGoroutine() int { return runtime.NumGoroutine() }

// pause lets others run between two looks at a condition.
func pause(ctx context.Context) {
	select {
	case <-time.After(2 * time.Millisecond):
	case <-ctx.Done():
	}
}

// until waits for a condition.
func until(t testing.TB, ctx context.Context, what string, ok func() bool) {
	t.Helper()
	for !ok() {
		if ctx.Err() != nil {
			t.Fatalf("waiting for %s: %v", what, ctx.Err())
		}
		pause(ctx)
	}
}

// joining is the in-process network that remembers what a test cuts off.
type joining struct {
	h *house
	i int
}

// Join implements raft.Network.
func (j joining) Join(id raft.NodeID, life uint64, r transport.Receiver[raft.Packet]) (transport.Transport[raft.Packet], error) {
	if j.h.loopback != nil {
		return j.h.loopback.join(id, life, r)
	}
	if j.h.wire != nil {
		r = decoder{r, j.h.wire, id}
	}
	e, err := j.h.net.Join(id, r)
	if err != nil {
		return nil, err
	}
	j.h.ends[j.i] = e
	if j.h.wire != nil {
		return encoder{e, j.h.wire}, nil
	}
	return e, nil
}

// lose loses what one node sends another in some classes.
func (h *house) lose(from, to int, classes ...transport.Class) {
	h.t.Helper()
	if err := h.net.SetRule(ids(from)[0], ids(to)[0], transport.Rule{Loss: 1}, classes...); err != nil {
		h.t.Fatal(err)
	}
}

// heal makes the network perfect.
func (h *house) heal() {
	h.t.Helper()
	h.net.HealAll()
	if err := h.net.SetRules(transport.Rule{}); err != nil {
		h.t.Fatal(err)
	}
}

// start starts a cluster with a member on each of some nodes, and waits until all follow.
func (h *house) start(ctx context.Context, name, machine string, nodes ...int) []raft.ServerID {
	h.t.Helper()
	var list []raft.ServerID
	for _, i := range nodes {
		list = append(list, h.id(i, name))
	}
	started, err := h.nodes[nodes[0]].StartCluster(ctx, raft.ClusterConfig{Name: name, Machine: machine, Members: list})
	if err != nil || len(started) != len(list) {
		h.t.Fatal(started, err)
	}
	h.follow(ctx, name, nodes...)
	return list
}

// follow waits until the members on some nodes follow one leader. Until then one of them may be about to ask for votes in a
// later term.
func (h *house) follow(ctx context.Context, name string, nodes ...int) {
	h.t.Helper()
	until(h.t, ctx, "a leader that all follow", func() bool {
		first := h.metrics(nodes[0], name)
		return !slices.ContainsFunc(nodes, func(i int) bool {
			m := h.metrics(i, name)
			return m.Leader.IsZero() || m.Leader != first.Leader || m.Term != first.Term
		})
	})
}

func (h *house) id(i int, name string) raft.ServerID {
	return raft.ServerID{Name: name, Node: fmt.Sprintf("n%d", i)}
}

// leader waits until a node knows a leader that is not one of some others.
func (h *house) leader(ctx context.Context, i int, name string, not ...int) (at int) {
	h.t.Helper()
	until(h.t, ctx, "a leader", func() bool {
		l, err := h.nodes[i].Leader(name)
		if err != nil || l.IsZero() {
			return false
		}
		at = int(l.Node[1] - '0')
		for _, k := range not {
			if at == k {
				return false
			}
		}
		return true
	})
	return at
}

// add has the counter of a cluster count, and returns what it came to.
func (h *house) add(ctx context.Context, i int, name string) uint64 {
	h.t.Helper()
	r, err := h.nodes[i].Process(ctx, h.id(i, name), one(), raft.ProcessOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	return binary.LittleEndian.Uint64(r.Data)
}

// total is the state of a counter's member, -1 when it cannot be had.
func (h *house) total(ctx context.Context, i int, name string) int64 {
	v, err := h.nodes[i].LocalQuery(ctx, name, stateOf, raft.QueryOptions{})
	if err != nil {
		return -1
	}
	return int64(v.(uint64))
}

// stateOf reads a counter.
func stateOf(m raft.Machine) (any, error) {
	if c, ok := m.(*tally); ok {
		return c.n, nil
	}
	return nil, errors.New("not a tally")
}

// metrics are a member's.
func (h *house) metrics(i int, name string) raft.Metrics {
	m, err := h.nodes[i].KeyMetrics(name)
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

func ids(nodes ...int) (list []transport.NodeID) {
	for _, i := range nodes {
		list = append(list, transport.NodeID(fmt.Sprintf("n%d", i)))
	}
	return list
}
