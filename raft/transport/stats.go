package transport

// Stats counts what a network has done, in messages unless said otherwise.
type Stats struct {
	Sent      uint64 // taken by Send
	Refused   uint64 // dropped by Send: ErrFull, ErrTooLarge, ErrUnreachable
	Delivered uint64 // handed to a Receiver, repetitions included

	Lost       uint64 // by a rule
	Duplicated uint64 // by a rule
	Cut        uint64 // lost to a cut or a dead node, or behind one that was
	Stale      uint64 // lost with their connection

	Waiting      int    // on their way now, repetitions and events included
	WaitingBytes int    // in outboxes now
	Connections  uint64 // made so far
}

// Stats returns the counts of all pairs together.
func (n *Network[M]) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	var sum Stats
	for _, p := range n.mu.pairs {
		p.mu.Lock()
		sum.add(&p.stats)
		for _, l := range p.ends {
			for c := range l.lanes {
				sum.Waiting += l.lanes[c].queue.len()
				sum.WaitingBytes += l.lanes[c].bytes
			}
		}
		p.mu.Unlock()
	}
	return sum
}

func (s *Stats) add(o *Stats) {
	s.Sent += o.Sent
	s.Refused += o.Refused
	s.Delivered += o.Delivered
	s.Lost += o.Lost
	s.Duplicated += o.Duplicated
	s.Cut += o.Cut
	s.Stale += o.Stale
	s.Connections += o.Connections
}
