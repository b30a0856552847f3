package main

import (
	"flag"
	"fmt"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// raftRow says what one measurement of clusters does.
type raftRow struct {
	Suite    string
	Nodes    string // inproc or process
	TLS      bool   // between processes
	Clusters int
	// Clients work at the leader of each cluster, each with Outstanding commands under way.
	Clients, Outstanding int
	Size                 int // of a command, bytes
	Duration             time.Duration
	// Reads has the clients read, linearizably, instead of write.
	Reads bool
	// Failovers is how often a leader's node is torn off, or killed where it is a process.
	Failovers int
	// Padding is what the state has beside the tally, SendRate what nodes send of snapshots, bytes and bytes/s.
	Padding, SendRate int64
	Store             row // how the engines work
	Profile           row // CPUProfile and MemProfile
	goal              string
}

const raftSlices = 3

func newRaftRow(clusters, clients int) raftRow {
	r := raftRow{Suite: "raft", Nodes: nodesInProcess, Clusters: clusters, Clients: clients, Outstanding: 1, Size: 256, Duration: 5 * time.Second}
	r.Store = newRow(1, 1)
	return r
}

// label names the row in the table.
func (r *raftRow) label() string {
	s := fmt.Sprintf("%d × %d", r.Clusters, r.Clients)
	if r.Outstanding > 1 {
		s += fmt.Sprintf(" × %d outstanding", r.Outstanding)
	}
	if r.Reads {
		return s + ", reads"
	}
	s += ", " + sizeName(r.Size)
	if r.Failovers > 0 {
		s += fmt.Sprintf(", %d failovers", r.Failovers)
	}
	return s
}

func (r *raftRow) flags(fs *flag.FlagSet) {
	fs.IntVar(&r.Clusters, "clusters", r.Clusters, "number of clusters")
	fs.IntVar(&r.Clients, "clients", r.Clients, "clients of each cluster, at its leader")
	fs.IntVar(&r.Outstanding, "outstanding", r.Outstanding, "commands that each client has under way, through a Pipeline if more than one")
	fs.IntVar(&r.Size, "size", r.Size, "size of a command, bytes")
	fs.DurationVar(&r.Duration, "duration", r.Duration, "measured time")
	fs.BoolVar(&r.Reads, "reads", false, "linearizable reads instead of commands")
	fs.IntVar(&r.Failovers, "failover", 0, "tear the leader's node off that many `times`, or kill its process, instead of working for -duration; alone it means 100")
	fs.StringVar(&r.Nodes, "nodes", r.Nodes, "where the nodes are: inproc, in one process, or process, each in its own, over TCP")
	fs.BoolVar(&r.TLS, "tls", false, "mutual TLS between processes")
	fs.Int64Var(&r.Store.WALFile, "walfile", 0, "size of a WAL file, bytes; 0 is the engine's default")
	fs.StringVar(&r.Profile.CPUProfile, "cpuprofile", "", "write a CPU profile of the measured time to this file")
	fs.StringVar(&r.Profile.MemProfile, "memprofile", "", "write an allocation profile to this file")
	r.Store.storeFlags(fs)
}

func (r *raftRow) validate() error {
	switch {
	case r.Clusters < 1 || r.Clients < 1 || r.Outstanding < 1 || r.Clusters*r.Clients*r.Outstanding > maxClients:
		return fmt.Errorf("clusters × clients × outstanding must be 1 to %d", maxClients)
	case r.Size < commandHeader:
		return fmt.Errorf("size must be at least %d bytes", commandHeader)
	case r.Duration < time.Millisecond || r.Failovers < 0:
		return fmt.Errorf("duration must be at least 1 ms, and failover not below 0")
	case r.Nodes != nodesInProcess && r.Nodes != nodesProcess:
		return fmt.Errorf("-nodes %q is neither %s nor %s", r.Nodes, nodesInProcess, nodesProcess)
	case r.TLS && r.Nodes != nodesProcess:
		return fmt.Errorf("-tls is for -nodes %s", nodesProcess)
	case r.Failovers > 0 && (r.Reads || r.Outstanding > 1):
		return fmt.Errorf("-failover is for commands one at a time")
	case r.Failovers > 0 && r.Clusters != 1 && r.Nodes != nodesProcess:
		return fmt.Errorf("-failover of more than one cluster is for -nodes %s", nodesProcess)
	}
	_, err := r.Store.options()
	return err
}

func (r *raftRow) options() (engine.Options, error) { return r.Store.options() }

// raftRows is the table.
func raftRows(d time.Duration, nodes string, tls bool) []raftRow {
	row := func(clusters, clients int, goal string) raftRow {
		r := newRaftRow(clusters, clients)
		r.Duration, r.Nodes, r.TLS = d, nodes, tls
		if nodes == nodesInProcess { // what is asked of processes is in terms of these rows
			r.goal = goal
		}
		return r
	}
	piped := row(1, 1, "150 k/s")
	piped.Outstanding = 1000
	reads := row(1, 64, "300 k/s, no sync")
	reads.Reads = true
	return []raftRow{row(1, 1, "p50 1.4 × device + 80 µs"), row(1, 64, "80 k/s"), piped, row(10, 16, "90 k/s"),
		row(100, 4, "90 k/s, 22 cpu s/M"), row(1000, 1, "0.6 × 100 × 4"), reads}
}
