package raft

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/detector"
	"github.com/rawl-db/rawl/raft/transport"
)

// contacts is what a node knows of the others, and who of its servers wants to know.
type contacts struct {
	mu    sync.Mutex
	nodes map[NodeID]*contact
}

// contact is one other node.
type contact struct {
	// down says that the watchers were told that there is no contact; version numbers what they were told.
	down     bool
	version  uint64
	asked    bool             // calls went there: it is watched for as long as this node lives
	watchers map[*server]bool // members of clusters that it has members of
	monitors map[*server]map[MonitorOwner]func(detector.View)
}

// beliefPage is how many beliefs one packet carries, so that a reconnection of ten thousand clusters comes in
// pieces.
const beliefPage = 256

func (n *Node) openContacts() (err error) {
	n.contacts.nodes = make(map[NodeID]*contact)
	n.detector, err = detector.New(detector.Options{
		Node: n.id, Incarnation: n.life, Interval: n.opts.HeartbeatInterval, Bound: n.opts.DetectionBound,
		Send: func(h *detector.Heartbeat) {
			_ = n.net.Send(h.To, transport.Control, h) // a heartbeat that is dropped is a heartbeat lost
		},
		Changed: n.contactChanged,
		Notice:  n.receiveNotice,
	})
	return err
}

func (c *contacts) getLocked(id NodeID) *contact {
	x := c.nodes[id]
	if x == nil {
		x = &contact{watchers: make(map[*server]bool)}
		c.nodes[id] = x
	}
	return x
}

// those returns the watchers of which that holds, in the order of their names. It holds contacts.mu.
func (c *contact) those(of func(*server) bool) (list []*server) {
	for s := range c.watchers {
		if of(s) {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, byName)
	return list
}

func everyServer(*server) bool { return true }

func byName(a, b *server) int { return strings.Compare(a.id.Name, b.id.Name) }

// beginLocked counts one more who is to hear of a node, and returns what is known of it. To the first what others were told
// before is void: since the last of them left nobody has heard of changes.
func (n *Node) beginLocked(id NodeID) (*contact, detector.View) {
	v := n.detector.Watch(n.now(), id) // under the lock: what changes from now on comes behind it
	c := n.contacts.getLocked(id)
	if !c.asked && len(c.watchers)+len(c.monitors) == 0 {
		c.down, c.version = lost(v.State), v.Version
	}
	return c, v
}

// watch lets a server hear of a node's contact. What the others were told it hears at once.
func (n *Node) watch(s *server, id NodeID) {
	n.contacts.mu.Lock()
	defer n.contacts.mu.Unlock()
	c, _ := n.beginLocked(id)
	c.watchers[s] = true
	if c.down {
		s.mail.put(core.NodeDown{Node: id})
	}
}

// unwatch ends that. A loss that the server was told of ends with it: of the node's return nobody would tell.
func (n *Node) unwatch(s *server, id NodeID) {
	n.contacts.mu.Lock()
	defer n.contacts.mu.Unlock()
	n.detector.Unwatch(n.now(), id)
	c := n.contacts.getLocked(id)
	delete(c.watchers, s)
	if c.down {
		s.mail.put(core.NodeUp{Node: id})
	}
}

// monitor lets a machine hear of a node: its present state at once, and each change.
func (n *Node) monitor(s *server, id NodeID, owner MonitorOwner, tell func(detector.View)) {
	n.contacts.mu.Lock()
	c, v := n.beginLocked(id)
	if c.monitors == nil {
		c.monitors = make(map[*server]map[MonitorOwner]func(detector.View))
	}
	if c.monitors[s] == nil {
		c.monitors[s] = make(map[MonitorOwner]func(detector.View))
	}
	c.monitors[s][owner] = tell
	n.contacts.mu.Unlock()
	tell(v)
}

func (n *Node) demonitor(s *server, id NodeID, owner MonitorOwner) {
	n.contacts.mu.Lock()
	defer n.contacts.mu.Unlock()
	n.detector.Unwatch(n.now(), id)
	c := n.contacts.getLocked(id)
	delete(c.monitors[s], owner)
	if len(c.monitors[s]) == 0 {
		delete(c.monitors, s)
	}
}

// forget ends all that a server that stops wanted to know.
func (n *Node) forget(s *server) {
	n.contacts.mu.Lock()
	defer n.contacts.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(n.contacts.nodes)) {
		c := n.contacts.nodes[id]
		if c.watchers[s] {
			delete(c.watchers, s)
			n.detector.Unwatch(n.now(), id)
		}
		for range c.monitors[s] {
			n.detector.Unwatch(n.now(), id)
		}
		delete(c.monitors, s)
	}
}

// lost reports whether there is no contact in both directions. A node of which nothing is known yet may be there.
func lost(s detector.State) bool { return s == detector.Down || s == detector.OneWay }

// contactChanged hands a change to everybody who wants to know. It is called by the detector's loop.
func (n *Node) contactChanged(ch detector.Change) {
	n.contacts.mu.Lock()
	c := n.contacts.getLocked(ch.Peer)
	if ch.Version <= c.version { // from before those who hear of it began
		n.contacts.mu.Unlock()
		return
	}
	was := c.down
	c.version = ch.Version
	switch {
	case lost(ch.State):
		c.down = true
	case ch.State == detector.Up:
		c.down = false
	}
	for _, s := range c.those(everyServer) {
		if c.down || ch.Restarted {
			s.transfersLost(ch.Peer)
		}
		if ch.Restarted {
			n.endBeliefs(s, ch.Peer, true)
		}
		if c.down && !was {
			s.mail.put(core.NodeDown{Node: ch.Peer})
		} else if was && !c.down {
			s.mail.put(core.NodeUp{Node: ch.Peer})
		}
	}
	var tells []func(detector.View)
	for _, s := range slices.SortedFunc(maps.Keys(c.monitors), byName) {
		for _, owner := range slices.Sorted(maps.Keys(c.monitors[s])) {
			tells = append(tells, c.monitors[s][owner])
		}
	}
	cut := c.down && !was
	n.contacts.mu.Unlock()
	if cut {
		n.failCalls(ch.Peer, ErrLost)
	}
	for _, tell := range tells {
		tell(ch.View)
	}
	if ch.State == detector.Up {
		n.exchangeBeliefs(ch.Peer)
	}
}

// cutOff reports whether a node is known to be out of contact. A node that is asked is watched from then on, so that calls
// to it end when it is lost.
func (n *Node) cutOff(id NodeID) bool {
	n.contacts.mu.Lock()
	defer n.contacts.mu.Unlock()
	c := n.contacts.getLocked(id)
	if !c.asked {
		n.beginLocked(id)
		c.asked = true
	}
	return c.down
}

// endBeliefs tells a server that its leader's node has lost its connection, or, when it is over for good, that it has begun
// another life.
func (n *Node) endBeliefs(s *server, peer NodeID, over bool) {
	if v := s.leader.Load(); v.leader.Node == peer {
		s.mail.put(core.LeaderLost{Leader: v.leader, Term: v.term, Over: over})
	}
}

// linkReset tells the members of clusters that messages to the peer may have been lost.
func (n *Node) linkReset(peer NodeID) {
	var list []*server
	n.contacts.mu.Lock()
	if c := n.contacts.nodes[peer]; c != nil {
		list = c.those(everyServer)
		for _, s := range list {
			s.mail.put(core.LinkReset{Node: peer})
		}
	}
	n.contacts.mu.Unlock()
	for _, s := range list {
		s.holdOn(peer)
	}
	n.exchangeBeliefs(peer)
}

// linkLost ends the beliefs in leaders on a node whose connection was closed by it: its process has ended, or is about
// to. If it lives, what its leaders send restores them.
func (n *Node) linkLost(peer NodeID) {
	n.failCalls(peer, ErrLost)
	n.contacts.mu.Lock()
	defer n.contacts.mu.Unlock()
	if c := n.contacts.nodes[peer]; c != nil {
		for _, s := range c.those(everyServer) {
			n.endBeliefs(s, peer, false)
			s.transfersLost(peer)
		}
	}
}

// transfersLost gives up the snapshots on their way to a node: parts of them are lost.
func (s *server) transfersLost(to NodeID) {
	if s.sending.Load() > 0 {
		s.node.spawn(func() { s.endTransfers(func(id ServerID) bool { return id.Node == to }) })
	}
}

// exchangeBeliefs has a peer confirm the leaders that servers here believe to be there.
func (n *Node) exchangeBeliefs(peer NodeID) {
	var list []belief
	n.contacts.mu.Lock()
	if c := n.contacts.nodes[peer]; c != nil {
		for _, s := range c.those(func(s *server) bool { return s.leader.Load().leader.Node == peer }) {
			v := s.leader.Load()
			list = append(list, belief{leader: v.leader, term: v.term})
		}
	}
	n.contacts.mu.Unlock()
	for len(list) > 0 {
		k := min(beliefPage, len(list))
		_ = n.net.Send(peer, transport.Control, &beliefs{list: list[:k]}) // the next connection asks again
		list = list[k:]
	}
}

// receiveBeliefs denies those that are false.
func (n *Node) receiveBeliefs(from NodeID, p *beliefs) {
	for _, b := range p.list {
		s := n.server(b.leader)
		if s == nil {
			n.notify(from, b.leader, b.term)
			continue
		}
		if v := s.leader.Load(); v.leader != b.leader || v.term != b.term {
			n.notify(from, b.leader, b.term)
		}
	}
}

// leads takes note of whom a server follows now. That it does not lead any more its peers are told.
func (n *Node) leads(s *server, old, now *leaderView) {
	if old.leader != s.id || now.leader == s.id && now.term == old.term {
		return
	}
	n.resigned(s, old)
}

// resigned tells the nodes of the other members that this server does not lead that term any more.
func (n *Node) resigned(s *server, old *leaderView) {
	seen := make(map[NodeID]bool)
	for i := range old.members {
		if id := old.members[i].ID.Node; id != n.id && !seen[id] {
			seen[id] = true
			n.notify(id, s.id, old.term)
		}
	}
}

// notify sends a notice that rides in heartbeats until it is acknowledged: a server leads a term no longer.
func (n *Node) notify(to NodeID, leader ServerID, term Term) {
	if err := n.detector.Notify(n.now(), to, appendNotice(nil, term, leader.Name)); err != nil && !errors.Is(err, detector.ErrSelf) {
		n.spawn(func() { // the watchdog notifies on the goroutine of all timers, and a logger may hang
			n.opts.Logger.Warn("a notice is lost", "to", to, "err", err)
		})
	}
}

// appendNotice encodes a notice; what later code puts behind it is left alone:
//
//	uvarint  term
//	name     of the server on the sending node
func appendNotice(b []byte, term Term, name string) []byte {
	return appendName(binary.AppendUvarint(b, uint64(term)), name)
}

// decodeNotice reports false for bytes that are none.
func decodeNotice(b []byte) (term Term, name string, ok bool) {
	d := commandDecoder{in: b}
	term, name = Term(d.uvarint()), d.name()
	return term, name, !d.bad
}

func (n *Node) receiveNotice(from NodeID, _ uint64, notice []byte) {
	term, name, ok := decodeNotice(notice)
	if !ok {
		return
	}
	leader := ServerID{Name: name, Node: from}
	n.contacts.mu.Lock()
	defer n.contacts.mu.Unlock()
	for _, s := range n.membersBesideLocked(leader) {
		if v := s.leader.Load(); v.leader == leader && v.term == term {
			s.mail.put(core.LeaderLost{Leader: leader, Term: term, Over: true})
		}
	}
}

// membersBesideLocked returns the servers here that may follow a leader elsewhere. Notices come by the thousand when a node
// is lost: where the members of a cluster have one name, as they mostly have, not all servers are looked at for each.
func (n *Node) membersBesideLocked(leader ServerID) (list []*server) {
	if s := n.server(ServerID{Name: leader.Name, Node: n.id}); s != nil {
		members := s.leader.Load().members
		if slices.ContainsFunc(members, func(m core.Member) bool { return m.ID == leader }) {
			for i := range members {
				if s := n.server(members[i].ID); s != nil {
					list = append(list, s)
				}
			}
			return list
		}
	}
	if c := n.contacts.nodes[leader.Node]; c != nil {
		list = c.those(everyServer)
	}
	return list
}

// roundTrip is that to the farthest of some nodes, 1 ms where it is not known.
func (n *Node) roundTrip(nodes []NodeID) time.Duration {
	most := time.Millisecond
	for _, id := range nodes {
		if rtt, ok := n.detector.RTT(id); ok {
			most = max(most, time.Duration(rtt))
		}
	}
	return most
}
