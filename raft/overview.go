package raft

import (
	"slices"

	"github.com/rawl-db/rawl/internal/histogram"
	"github.com/rawl-db/rawl/raft/core"
)

// Metrics are figures of a server that can be had without it, also when it hangs.
type Metrics struct {
	// Role is its state, Term its term, Leader whom it takes for the leader.
	Role   core.Role
	Term   Term
	Leader ServerID
	// Last is the end of its log, Written what of it is durable, Commit, Applied and Snapshot the indexes of these names.
	Last, Written, Commit, Applied, Snapshot Index
	// Configuration is the entry with which the configuration in effect came, as MemberOptions.Expected names it: 0 is
	// that of the cluster's beginning.
	Configuration Index
	// MachineVersion is the newest version of the machine that its log names.
	MachineVersion uint64
	// Dropped counts messages that found its mailbox full.
	Dropped uint64
	// Counters are its counts since it was started: of what happens, where those above are of what is.
	Counters Counters
	// Err is why it does not run, nil while it does.
	Err error
}

// KeyMetrics returns the figures of a server of this node. It asks nobody. Error: ErrUnknownServer.
func (n *Node) KeyMetrics(name string) (Metrics, error) {
	s := n.server(ServerID{Name: name, Node: n.id})
	if s == nil {
		return Metrics{}, ErrUnknownServer
	}
	f := &s.figures
	s.mail.mu.Lock()
	dropped := s.mail.dropped
	s.mail.mu.Unlock()
	return Metrics{
		Role: core.Role(s.role.Load()), Term: Term(f.term.Load()), Leader: s.leader.Load().leader,
		Last: Index(f.last.Load()), Written: Index(f.written.Load()), Commit: Index(f.commit.Load()),
		Applied: Index(f.applied.Load()), Snapshot: Index(f.snapshot.Load()), Dropped: dropped, Err: s.stopError(),
		Configuration: Index(f.configuration.Load()), MachineVersion: f.version.Load(), Counters: s.counted(),
	}, nil
}

// overview is everything that a server says of itself. It belongs to whoever runs the mailbox.
func (s *server) overview() map[string]any {
	c, at := s.core.Configuration()
	last, written := s.core.Last()
	return map[string]any{
		"server": s.id.String(), "uid": string(s.record.UID), "cluster": s.record.Cluster, "role": s.core.Role().String(),
		"term": uint64(s.core.State().Term), "leader": s.core.Leader().String(), "last": last, "written": written,
		"commit": uint64(s.core.Commit()), "applied": s.figures.applied.Load(), "snapshot": s.figures.snapshot.Load(),
		"machine_version": s.core.Machine(), "configuration": c.Members, "configuration_index": uint64(at),
		"removed": uint64(s.core.Removed()),
	}
}

// NodeStats are figures of a node, over all its servers and since it was opened. Those of its device and its logs are
// an engine's: Node.EngineOf, Stats.
type NodeStats struct {
	// CommitNanos is how long leaders here took from appending an entry until it was committed, of one entry in some turns
	// of each.
	CommitNanos Histogram
	// BatchCommands is how many commands leaders appended at once, ApplyEntries how many entries servers applied in a round.
	BatchCommands, ApplyEntries Histogram
	// DroppedMessages are those of machines that found no room, or no mailbox.
	DroppedMessages uint64
}

// Histogram counts values; see its methods.
type Histogram = histogram.Histogram

// nodeFigures are what NodeStats copies.
type nodeFigures struct{ commitNanos, batchCommands, applyEntries histogram.Recorder }

// Stats returns the node's figures. It asks nobody.
func (n *Node) Stats() NodeStats {
	f := &n.figures
	return NodeStats{CommitNanos: f.commitNanos.Snapshot(), BatchCommands: f.batchCommands.Snapshot(),
		ApplyEntries: f.applyEntries.Snapshot(), DroppedMessages: n.droppedMessages.Load()}
}

// ServerInfo is what the directory of a node holds about a server.
type ServerInfo struct {
	ID ServerID
	// System is the name of the system that has its log, UID names that there.
	System string
	UID    core.UID
	// Cluster is the name of its cluster, Machine the registered name of what it runs.
	Cluster, Machine string
	// Options are the server's own.
	Options ServerOptions
	// Err is why it does not run, nil while it does: ErrStopped, with the cause behind it unless it was StopServer.
	Err error
}

// Servers lists the servers of this node, also those that do not run, ascending by name.
func (n *Node) Servers() []ServerInfo {
	var list []ServerInfo
	for _, y := range n.systems {
		for _, r := range y.servers.all() {
			list = append(list, n.infoOf(r, y))
		}
	}
	slices.SortFunc(list, func(a, b ServerInfo) int { return a.ID.Compare(b.ID) })
	return list
}

func (n *Node) infoOf(r *serverRecord, y *system) ServerInfo {
	i := ServerInfo{ID: r.id(n.id), System: y.name, UID: r.UID, Cluster: r.Cluster, Machine: r.Machine}
	if r.Options != nil {
		i.Options = *r.Options
	}
	if s := n.server(i.ID); s != nil {
		i.Err = s.stopError()
	} else {
		i.Err = n.whyAbsent(r.Name)
	}
	return i
}
