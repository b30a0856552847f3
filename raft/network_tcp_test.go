package raft_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/transport"
	"github.com/rawl-db/rawl/raft/transport/tcp"
)

// overTCP has the nodes of every house talk over TCP. What a test does to the network in memory does nothing then.
var overTCP = flag.Bool("tcp", false, "have nodes talk over TCP")

// loopback is where the nodes of a house are.
type loopback struct {
	change func(raft.NodeID, *tcp.Options) // nil for none

	mu       sync.Mutex
	addrs    map[raft.NodeID]string
	networks map[raft.NodeID]*raft.TCP
}

// Resolve implements tcp.Resolver.
func (l *loopback) Resolve(_ context.Context, id raft.NodeID) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a, ok := l.addrs[id]; ok {
		return a, nil
	}
	return "", fmt.Errorf("node %q has never been there", id)
}

func (l *loopback) join(id raft.NodeID, life uint64, r transport.Receiver[raft.Packet]) (transport.Transport[raft.Packet], error) {
	o := tcp.Options{Listen: "127.0.0.1:0", Resolver: l, InsecurePlaintext: true}
	if l.change != nil {
		l.change(id, &o)
	}
	n := raft.OverTCP(o)
	t, err := n.Join(id, life, r)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addrs[id], l.networks[id] = n.Addr().String(), n
	return t, nil
}

// check wants nothing to have been wrong with any frame.
func (l *loopback) check(t testing.TB) {
	if l.change != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, n := range l.networks {
		if s := n.Stats(); s.Undecoded+s.Damaged+s.OutOfTurn+s.WrongClass+s.TooLong+s.Malformed > 0 {
			t.Errorf("node %s: %+v", id, s)
		}
	}
}

// TestOverTCP: what clusters do in memory they do over TCP. Tests are left out that count goroutines, and those that want a node
// to know at once that another has left, or is there.
func TestOverTCP(t *testing.T) {
	defer func(before bool) { *overTCP = before }(*overTCP)
	*overTCP = true
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"replies", TestReplyFromMember}, {"queries", TestQueriesAnywhere}, {"operators", TestOperator},
		{"sessions", TestClientSessionExactlyOnce},
		{"events", TestClientSessionEvents}, {"members", TestClusterAddRemove}, {"transfer", TestClusterTransfer},
		{"laggard", TestClusterSnapshotForLaggard}, {"wiped", TestC7WipedMember}, {"servers", TestServersOfAnotherNode}, {"delete", TestClusterDelete}, {"systems", TestSystems},
	} {
		t.Run(c.name, c.test)
	}
}

// slowly is a Resolver that finds a node when it is told to.
type slowly struct {
	addr string
	now  chan struct{} // closed then
}

// Resolve implements tcp.Resolver.
func (s slowly) Resolve(ctx context.Context, _ raft.NodeID) (string, error) {
	select {
	case <-s.now:
		return s.addr, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// A request that waited for a connection which did not come about fails then: the node that was asked may be there a moment later, so
// that nobody finds it to be away.
func TestRequestWithoutConnection(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	resolver := slowly{closed.Addr().String(), make(chan struct{})}
	network := raft.OverTCP(tcp.Options{Listen: "127.0.0.1:0", Resolver: resolver, InsecurePlaintext: true})
	n, err := raft.OpenNode(raft.NodeOptions{ID: "a", Dir: t.TempDir(), Network: network, Machines: tallies(nil).machines,
		HeartbeatInterval: 10 * time.Second, DetectionBound: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctxFor(t), 20*time.Second)
	defer cancel()
	added := make(chan error, 1)
	go func() {
		added <- n.AddMember(ctx, raft.ServerID{Name: "c", Node: "a"}, raft.ServerID{Name: "c", Node: "b"}, raft.MemberOptions{})
	}()
	until(t, ctx, "a heartbeat and the request", func() bool { return network.Stats().Sent >= 2 })
	close(resolver.now)
	if err := <-added; !errors.Is(err, raft.ErrLost) || ctx.Err() != nil {
		t.Errorf("%v; the context: %v", err, ctx.Err())
	}
	if err := n.Close(ctxFor(t)); err != nil {
		t.Error(err)
	}
}

// A TCP is for one node at a time, and says where that is.
func TestTCPIsForOneNode(t *testing.T) {
	net := raft.OverTCP(tcp.Options{Listen: "127.0.0.1:0", Resolver: tcp.Addresses{}, InsecurePlaintext: true})
	if net.Addr() != nil || net.Stats() != (tcp.Stats{}) {
		t.Error("it is somewhere before anybody joined")
	}
	ctx := ctxFor(t)
	open := func(id string) (*raft.Node, error) {
		return raft.OpenNode(raft.NodeOptions{ID: id, Dir: t.TempDir(), Network: net, Machines: tallies(nil).machines})
	}
	n, err := open("a")
	if err != nil {
		t.Fatal(err)
	}
	if net.Addr() == nil {
		t.Error("it is nowhere")
	}
	if other, err := open("b"); err == nil {
		t.Error("a second node joined")
		_ = other.Close(ctx)
	}
	if err := n.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if n, err = open("b"); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(ctx); err != nil {
		t.Fatal(err)
	}
	insecure := raft.OverTCP(tcp.Options{Listen: "127.0.0.1:0", Resolver: tcp.Addresses{}})
	if _, err := insecure.Join("a", 1, nil); !errors.Is(err, tcp.ErrInsecure) {
		t.Error(err)
	}
}
