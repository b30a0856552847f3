package raft

// TransferInfo is how far a snapshot is on its way between two members.
type TransferInfo struct {
	// Peer is the other member. Incoming says that the snapshot comes from there, else it goes there.
	Peer     ServerID
	Incoming bool
	// Snapshot is the last entry that it covers.
	Snapshot EntryID
	// Chunks is how many the state has, 0 while the receiver does not know yet. Done are those that need not be sent any more, as
	// far as this side knows; what an interrupted transfer left is among them.
	Chunks, Done int
	// Live is how many live entries are still to be sent. The receiver does not know.
	Live int
}

// Transfers lists the snapshots that are on their way from and to a server of this node. It asks nobody. Error: ErrUnknownServer.
func (n *Node) Transfers(name string) ([]TransferInfo, error) {
	s := n.server(ServerID{Name: name, Node: n.id})
	if s == nil {
		return nil, ErrUnknownServer
	}
	return s.transfers(), nil
}

func (s *server) transfers() (list []TransferInfo) {
	if in := s.incoming.Load(); in != nil {
		in.mu.Lock()
		if !in.closed {
			list = append(list, TransferInfo{Peer: in.accept.From, Incoming: true, Snapshot: in.accept.Snapshot.ID, Chunks: in.chunks, Done: in.next})
		}
		in.mu.Unlock()
	}
	for _, o := range s.outgoing.all() {
		o.mu.Lock()
		t := TransferInfo{Peer: o.to, Snapshot: o.meta.ID, Chunks: o.chunks, Live: len(o.live)}
		if o.started { // what is sent and not yet taken, with the end among it, may have to be sent again
			t.Done = max(0, min(o.next, o.chunks)-(o.parts-o.taken))
		}
		o.mu.Unlock()
		list = append(list, t)
	}
	return list
}
