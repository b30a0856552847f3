package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/transport/tcp"
)

// nodeCommand is the hidden subcommand of a process that is a node. It reads a nodeConfig and then nodeRequests, and answers each
// with a nodeReply. The end of its input closes the node.
const nodeCommand = "_node"

// nodeConfig says which node a process is.
type nodeConfig struct {
	ID  string
	Dir string // of all nodes
	TLS string // the directory of certificates, "" for plain TCP
	Row raftRow
}

// nodeRequest asks for one thing.
type nodeRequest struct {
	Peers map[string]string // where the nodes are
	Roll  bool              // take the WAL through its pool of files
	// Led waits until the servers of that many clusters follow a leader that is not on node Without.
	Led     int
	Without string
	Join    bool // start a member of the first cluster
	Calm    int  // calmBegin has the process watch itself, calmEnd tells what it saw
	// Member asks for what is told of the member, and nothing else: to count stops a process for a moment.
	Member bool
}

const (
	calmBegin = iota + 1
	calmEnd
)

// nodeReply follows the opening of the node and every request.
type nodeReply struct {
	Error  string
	Addr   string // of the node
	Echo   string // of what sends back what it gets
	Counts raftTotals
	// Of the member of the first cluster, if there is one: the snapshot that its log begins with, the one that comes, and what it
	// sent of its own to others, bytes.
	Snapshot raft.Index
	Incoming *raft.TransferInfo
	Sent     uint64
	Calm     calmRecord
}

// addresses is where nodes are, which may change.
type addresses struct {
	mu sync.Mutex
	m  map[string]string
}

// Resolve implements tcp.Resolver.
func (a *addresses) Resolve(_ context.Context, id raft.NodeID) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if addr, ok := a.m[id]; ok {
		return addr, nil
	}
	return "", fmt.Errorf("nobody knows where node %q is", id)
}

func (a *addresses) set(more map[string]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.m == nil {
		a.m = make(map[string]string)
	}
	maps.Copy(a.m, more)
}

func (a *addresses) all() map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.m)
}

// tcpNode is a node of this process that others reach over TCP.
type tcpNode struct {
	*raft.Node
	net *raft.TCP
}

// openTCPNode opens a node on a port of the loopback interface that is free.
func openTCPNode(r *raftRow, id, dir, certificates string, where *addresses, o engine.Options) (*tcpNode, error) {
	opts := tcp.Options{Listen: "127.0.0.1:0", Resolver: where, InsecurePlaintext: certificates == ""}
	if certificates != "" {
		files := certificateFiles(certificates, id)
		opts.TLS = &files
	}
	n := &tcpNode{net: raft.OverTCP(opts)}
	var err error
	n.Node, err = raft.OpenNode(raft.NodeOptions{ID: id, Dir: filepath.Join(dir, id), Network: n.net, Engine: o,
		SnapshotBytesPerSecond: r.SendRate,
		Machines:               map[string]func() raft.Machine{tallyName: newTallies(r.Padding)},
		Queries:                map[string]raft.Query{tallyName: tallyQuery(id)}})
	if err != nil {
		return nil, err
	}
	where.set(map[string]string{id: n.net.Addr().String()})
	return n, nil
}

// tallyQuery returns the node's name, and behind a 0 the tally there.
func tallyQuery(id string) raft.Query {
	return func(m raft.Machine, _ []byte) ([]byte, error) {
		return append([]byte(id+"\x00"), m.(*tallyMachine).tallyBytes()...), nil
	}
}

// counts are those of this process and its node.
func (n *tcpNode) counts() raftTotals {
	t := raftTotals{CPU: cpuSeconds(), Allocs: mallocs(), RSS: peakRSS()}
	st, wire := n.Engine().Stats(), n.net.Stats()
	t.Syncs, t.Unprepared, t.Messages, t.LogBytes = st.Syncs, st.UnpreparedRolls, wire.Sent, wire.LogBytes
	return t
}

// member tells of the member of the first cluster.
func (n *tcpNode) member(r *nodeReply) {
	name := clusterName(0)
	m, err := n.KeyMetrics(name)
	if err != nil {
		return // there is none
	}
	r.Snapshot, r.Sent = m.Snapshot, m.Counters[raft.CounterTransferBytesSent]
	list, _ := n.Transfers(name)
	for i := range list {
		if list[i].Incoming {
			r.Incoming = &list[i]
		}
	}
}

// led waits until the servers of n clusters follow a leader that is not on a node.
func (n *tcpNode) led(ctx context.Context, clusters int, without string) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for k := 0; k < clusters; {
		id, err := n.Leader(clusterName(k))
		switch {
		case err != nil:
			return err
		case !id.IsZero() && id.Node != without:
			k++
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// runNode is a node until the end of its input.
func runNode(ctx context.Context, in io.Reader, out io.Writer) error {
	dec, enc := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	err := serveNode(ctx, dec, enc)
	if err != nil {
		return errors.Join(err, enc.Encode(nodeReply{Error: err.Error()}))
	}
	return nil
}

func serveNode(ctx context.Context, dec *json.Decoder, enc *json.Encoder) (err error) {
	var c nodeConfig
	if err := dec.Decode(&c); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	o, err := c.Row.options()
	if err != nil {
		return err
	}
	var where addresses
	n, err := openTCPNode(&c.Row, c.ID, c.Dir, c.TLS, &where, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeRaftNode(n.Node)) }()
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { _ = echo.Close() }()
	go answerPings(echo) // until echo is closed; its connections end with the process
	r := nodeReply{Addr: n.net.Addr().String(), Echo: echo.Addr().String()}
	var calm *calmWatch
	for {
		if err := enc.Encode(r); err != nil {
			return err
		}
		var q nodeRequest
		switch err := dec.Decode(&q); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		where.set(q.Peers)
		if q.Roll {
			if err := rollPool(ctx, n.Engine(), o.WALFileBytes); err != nil {
				return err
			}
			resetRSS()
		}
		if err := n.led(ctx, q.Led, q.Without); err != nil {
			return err
		}
		if q.Join {
			if _, err := n.StartServer(ctx, raft.ServerConfig{Name: clusterName(0), Cluster: clusterName(0), Machine: tallyName}); err != nil {
				return err
			}
		}
		r = nodeReply{}
		n.member(&r)
		if !q.Member {
			r.Counts = n.counts()
		}
		switch {
		case q.Calm == calmBegin:
			calm = watchCalm(n.Node)
		case q.Calm == calmEnd && calm != nil:
			r.Calm = calm.stop()
		}
	}
}
