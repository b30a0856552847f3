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
	Clusters int
	// Clients work at the leader of each cluster, each with Outstanding commands under way.
	Clients, Outstanding int
	Size                 int // of a command, bytes
	Duration             time.Duration
	// Reads has the clients read, linearizably, instead of write.
	Reads bool
	// Failovers is how often a leader's node is torn off.
	Failovers int
	Store     row // how the engines work
	Profile   row // CPUProfile and MemProfile
	goal      string
}

const raftSlices = 3

func newRaftRow(clusters, clients int) raftRow {
	r := raftRow{Suite: "raft", Clusters: clusters, Clients: clients, Outstanding: 1, Size: 256, Duration: 5 * time.Second}
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
	fs.IntVar(&r.Failovers, "failover", 0, "tear the leader's node off that many times, instead of working for -duration")
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
	case r.Failovers > 0 && (r.Reads || r.Clusters != 1):
		return fmt.Errorf("-failover is for the commands of one cluster")
	}
	_, err := r.Store.options()
	return err
}

func (r *raftRow) options() (engine.Options, error) { return r.Store.options() }

// raftRows is the table.
func raftRows(d time.Duration) []raftRow {
	row := func(clusters, clients int, goal string) raftRow {
		r := newRaftRow(clusters, clients)
		r.Duration, r.goal = d, goal
		return r
	}
	piped := row(1, 1, "150 k/s")
	piped.Outstanding = 1000
	reads := row(1, 64, "300 k/s, no sync")
	reads.Reads = true
	return []raftRow{row(1, 1, "p50 1.4 × device + 80 µs"), row(1, 64, "80 k/s"), piped, row(10, 16, "90 k/s"),
		row(100, 4, "90 k/s, 22 cpu s/M"), row(1000, 1, "0.6 × 100 × 4"), reads}
}
