package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// clientsNode is the name of a node that has clients and no members.
const clientsNode = "clients"

// processHouse is three nodes on the loopback interface, each in a process of its own. The first is in this one, and leads
// all clusters; where nodes are to be killed this one has a node of the clients only.
type processHouse struct {
	ctx     context.Context // kills the processes when it ends
	row     raftRow
	dir     string
	tls     string
	where   addresses
	own     *tcpNode
	others  [houseNodes]*nodeProcess // nil for the node that is in this process
	options engine.Options
}

// nodeProcess is a node in another process, seen from here.
type nodeProcess struct {
	*process
	mu   sync.Mutex // between requests
	addr string
	echo string
}

func newProcessHouse(ctx context.Context, r *raftRow, dir string, o engine.Options) (h *processHouse, err error) {
	h = &processHouse{ctx: ctx, row: *r, dir: dir, options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	own, first := nodeName(0), 1
	if r.Failovers > 0 {
		own, first = clientsNode, 0
	}
	if r.TLS {
		h.tls = filepath.Join(dir, "certificates")
		if err := writeCertificates(h.tls, clientsNode, nodeName(0), nodeName(1), nodeName(2)); err != nil {
			return h, err
		}
	}
	if h.own, err = openTCPNode(r, own, dir, h.tls, &h.where, o); err != nil {
		return h, err
	}
	for i := first; i < houseNodes; i++ {
		if err := h.launch(i); err != nil {
			return h, err
		}
	}
	return h, h.introduce()
}

// launch starts the process of a node.
func (h *processHouse) launch(i int) error {
	p, err := startProcess(h.ctx, nodeCommand)
	if err != nil {
		return err
	}
	n := &nodeProcess{process: p}
	var r nodeReply
	err = p.exchange(nodeConfig{ID: nodeName(i), Dir: h.dir, TLS: h.tls, Row: h.row}, &r)
	if err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	if err != nil {
		p.kill()
		return fmt.Errorf("process of node %s: %w", nodeName(i), err)
	}
	n.addr, n.echo = r.Addr, r.Echo
	h.others[i] = n
	h.where.set(map[string]string{nodeName(i): n.addr})
	return nil
}

// introduce tells all processes where the nodes are.
func (h *processHouse) introduce() error {
	_, err := h.ask(nodeRequest{Peers: h.where.all()})
	return err
}

// ask has all other processes do the same at the same time. One that was killed answers nothing.
func (h *processHouse) ask(q nodeRequest) (replies [houseNodes]nodeReply, err error) {
	var wg sync.WaitGroup
	var errs [houseNodes]error
	for i := range h.others {
		if h.others[i] != nil {
			wg.Go(func() { replies[i], errs[i] = h.tell(i, q) })
		}
	}
	wg.Wait()
	return replies, errors.Join(errs[:]...)
}

// tell has one other process do something.
func (h *processHouse) tell(i int, q nodeRequest) (r nodeReply, err error) {
	n := h.others[i]
	n.mu.Lock()
	defer n.mu.Unlock()
	err = n.exchange(q, &r)
	if err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	if err != nil {
		err = fmt.Errorf("process of node %s: %w", nodeName(i), err)
	}
	return r, err
}

func (h *processHouse) close() (err error) {
	if h.own != nil {
		err = closeRaftNode(h.own.Node)
	}
	for i, n := range h.others {
		if n == nil {
			continue
		}
		h.others[i] = nil
		if e := n.finish(); e != nil {
			err = errors.Join(err, fmt.Errorf("process of node %s: %w", nodeName(i), e))
		}
	}
	return err
}

// start has the first node lead everything.
func (h *processHouse) start(ctx context.Context) error {
	return each(h.row.Clusters, func(k int) error {
		if _, err := h.own.StartCluster(ctx, raft.ClusterConfig{Name: clusterName(k), Machine: tallyName, Members: members(k)}); err != nil {
			return err
		}
		return h.lead(ctx, member(k, 0))
	})
}

// lead has a member lead its cluster.
func (h *processHouse) lead(ctx context.Context, id raft.ServerID) (err error) {
	for again := true; again; again = errors.Is(err, core.ErrTransferTimeout) { // under load once may be too late
		err = h.own.TransferLeadership(ctx, id, id)
	}
	return err
}

func (h *processHouse) roll(ctx context.Context) error {
	var wg sync.WaitGroup
	var own, others error
	wg.Go(func() { own = rollPool(ctx, h.own.Engine(), h.options.WALFileBytes) })
	_, others = h.ask(nodeRequest{Roll: true})
	wg.Wait()
	return errors.Join(own, others)
}

func (h *processHouse) leader(ctx context.Context, k int) (raft.ServerID, error) {
	_, id, err := h.own.Members(ctx, member(k, 0))
	return id, err
}

func (h *processHouse) client(raft.ServerID) *raft.Node { return h.own.Node }

// state implements raftNodes: the member itself answers, nobody for it.
func (h *processHouse) state(ctx context.Context, k, node int) (*tallyMachine, error) {
	b, err := h.own.ConsistentQuery(ctx, member(k, node), tallyName, nil)
	if err != nil {
		return nil, err
	}
	name, state, ok := bytes.Cut(b, []byte{0})
	if !ok || string(name) != nodeName(node) {
		return nil, fmt.Errorf("node %q answered for %q", name, nodeName(node))
	}
	m := newTallyMachine().(*tallyMachine)
	return m, m.restoreTally(state)
}

func (h *processHouse) count(t *raftTotals) error {
	replies, err := h.ask(nodeRequest{})
	if err != nil {
		return err
	}
	own := h.own.counts()
	t.plus(own)
	for i := range replies {
		t.plus(replies[i].Counts)
	}
	t.LogBytes = own.LogBytes
	return nil
}

func (h *processHouse) backend() string { return string(h.own.Engine().Stats().Backend.Backend) }

func (h *processHouse) echo() string {
	for _, n := range h.others {
		if n != nil {
			return n.echo
		}
	}
	return ""
}
