package raft

import (
	"maps"
	"slices"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/detector"
)

// NodeOverview is what a node says of itself, for operators.
type NodeOverview struct {
	ID NodeID
	// Life numbers this life of the node: it rises each time that the node is opened.
	Life uint64
	// Systems are its storage engines, the default one first.
	Systems []SystemInfo
	// Servers are ascending by name, those that do not run among them.
	Servers []ServerMetrics
	// Peers are the nodes with which there is to be contact, ascending.
	Peers []PeerInfo
	// Contacts counts what was done to know that, Stats what the servers did.
	Contacts detector.Stats
	Stats    NodeStats
}

// SystemInfo is what a node says of one of its systems.
type SystemInfo struct {
	Name, Dir string
	// Servers is how many have their logs there.
	Servers int
	Stats   engine.Stats
}

// ServerMetrics is what a node says of one of its servers. Metrics are zero, but for Err, when it was not started.
type ServerMetrics struct {
	ServerInfo
	Metrics Metrics
	// Log is what the engine knows of its log: memory, segments, quarantine. It is zero when there is none.
	Log engine.LogStats
	// Transfers are the snapshots on their way from and to it.
	Transfers []TransferInfo
}

// PeerInfo is what a node says of another one.
type PeerInfo struct {
	ID NodeID
	// State is Up, Down or in between.
	State detector.State
	// RTT is the smoothed time that a heartbeat takes there and back, 0 while it is not known.
	RTT time.Duration
}

// Overview returns everything that the node knows of itself. It asks no server, and costs as much as there are servers and
// logs: it is for pages and for support, KeyMetrics and Stats are what to sample.
func (n *Node) Overview() NodeOverview {
	o := NodeOverview{ID: n.id, Life: n.life, Peers: n.peers(), Contacts: n.detector.Stats(), Stats: n.Stats()}
	count := make(map[string]int)
	for _, i := range n.Servers() {
		count[i.System]++
		s := ServerMetrics{ServerInfo: i}
		if y, err := n.system(i.System); err == nil {
			if l, err := y.engine.Log(i.UID); err == nil {
				s.Log = l.Stats()
			}
		}
		if m, err := n.KeyMetrics(i.ID.Name); err == nil {
			s.Metrics = m
			s.Transfers, _ = n.Transfers(i.ID.Name)
		} else {
			s.Metrics.Err = i.Err
		}
		o.Servers = append(o.Servers, s)
	}
	for _, y := range n.systems {
		o.Systems = append(o.Systems, SystemInfo{Name: y.name, Dir: y.dir, Servers: count[y.name], Stats: y.engine.Stats()})
	}
	return o
}

// peers are those that somebody here wants contact with.
func (n *Node) peers() (list []PeerInfo) {
	n.contacts.mu.Lock()
	ids := slices.Sorted(maps.Keys(n.contacts.nodes))
	n.contacts.mu.Unlock()
	now := n.now()
	for _, id := range ids {
		p := PeerInfo{ID: id, State: n.detector.Peer(now, id).State}
		if rtt, ok := n.detector.RTT(id); ok {
			p.RTT = time.Duration(rtt)
		}
		list = append(list, p)
	}
	return list
}
