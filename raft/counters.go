package raft

import (
	"fmt"
	"sync/atomic"

	"github.com/rawl-db/rawl/raft/core"
)

// Counter names what is counted of a server since it was started.
type Counter uint8

// The counters.
const (
	// CounterAppends are appends of leaders that came, with entries; CounterEmptyAppends those without.
	CounterAppends Counter = iota
	CounterEmptyAppends
	// CounterAccepted and CounterRejected are this server's answers to them.
	CounterAccepted
	CounterRejected
	// CounterCommands are commands that it appended as a leader, CounterAppended the turns in which it appended some.
	CounterCommands
	CounterAppended
	// CounterRefused are commands that found no room: ErrBusy.
	CounterRefused
	// CounterLocalQueries, CounterConsistentQueries and CounterAuxCommands are those that were asked for here.
	CounterLocalQueries
	CounterConsistentQueries
	CounterAuxCommands
	// CounterMessages are messages to other members, CounterDroppedMessages those that could not be sent.
	CounterMessages
	CounterDroppedMessages
	// CounterMachineMessages are messages that its machine had sent.
	CounterMachineMessages
	// CounterPreVotes and CounterElections are rounds in which it asked, CounterLeaderships those that it won.
	CounterPreVotes
	CounterElections
	CounterLeaderships
	// CounterHardStates are changes of its term or vote.
	CounterHardStates
	// CounterReleaseCursors are cursors that its machine released.
	CounterReleaseCursors
	// CounterSnapshots are snapshots of its own, written or made of checkpoints; CounterCheckpoints those.
	CounterSnapshots
	CounterCheckpoints
	// CounterPromotions are checkpoints that became snapshots, CounterSnapshotBytes what states took on disk.
	CounterPromotions
	CounterSnapshotBytes
	// CounterEntries are entries that it appended to its log, whoever they were from; CounterColdEntries those that it read again
	// when they were not in memory any more, to apply or to send them.
	CounterEntries
	CounterColdEntries
	// CounterSnapshotsSent and CounterSnapshotsInstalled are transfers from and to this server that came to their end.
	CounterSnapshotsSent
	CounterSnapshotsInstalled
	// CounterRefusedMessages are messages for another life of this server, from another cluster or of another epoch.
	CounterRefusedMessages
	// CounterTransferBytesSent and CounterTransferBytesTaken are what of states and live entries went to other members, and what came and
	// was taken: what is sent twice shows there.
	CounterTransferBytesSent
	CounterTransferBytesTaken

	counterCount = int(CounterTransferBytesTaken) + 1
)

var counterNames = [counterCount]string{"appends", "empty_appends", "accepted", "rejected", "commands", "appended", "refused",
	"local_queries", "consistent_queries", "aux_commands", "messages", "dropped_messages", "machine_messages", "pre_votes",
	"elections", "leaderships", "hard_states", "release_cursors", "snapshots", "checkpoints", "promotions",
	"snapshot_bytes", "entries", "cold_entries", "snapshots_sent", "snapshots_installed", "refused_messages",
	"transfer_bytes_sent", "transfer_bytes_taken"}

// String is the counter's name for exporters: lower case with underscores.
func (c Counter) String() string {
	if int(c) >= counterCount {
		return fmt.Sprintf("counter_%d", uint8(c))
	}
	return counterNames[c]
}

// Counters are the counts of a server, by Counter.
type Counters [counterCount]uint64

// serverCounters are made when something is counted first: a server that was never led needs none.
type serverCounters [counterCount]atomic.Uint64

// count adds to a counter. Any goroutine may call it.
func (s *server) count(c Counter, n int) {
	if n <= 0 {
		return
	}
	have := s.counters.Load()
	if have == nil {
		s.counters.CompareAndSwap(nil, new(serverCounters))
		have = s.counters.Load()
	}
	have[c].Add(uint64(n))
}

// counted copies the counters.
func (s *server) counted() (all Counters) {
	if have := s.counters.Load(); have != nil {
		for c := range have {
			all[c] = have[c].Load()
		}
	}
	return all
}

// countReceived counts what a turn took of the peers' messages.
func (s *server) countReceived(messages []*raftPacket) {
	full, empty := 0, 0
	for _, p := range messages {
		if a, ok := p.Message.Body.(core.Append); ok {
			if len(a.Entries) > 0 {
				full++
			} else {
				empty++
			}
		}
	}
	s.count(CounterAppends, full)
	s.count(CounterEmptyAppends, empty)
}

// countSent counts a message to another member.
func (s *server) countSent(ok bool) {
	if ok {
		s.count(CounterMessages, 1)
	} else {
		s.count(CounterDroppedMessages, 1)
	}
}

// countProposed counts commands that were appended; a nil one was not.
func (s *server) countProposed(calls []*ticket) {
	n := 0
	for _, c := range calls {
		if c != nil {
			n++
		}
	}
	if n > 0 {
		s.count(CounterCommands, n)
		s.count(CounterAppended, 1)
		s.node.figures.batchCommands.Record(uint64(n))
	}
}

// countEffects counts what a step brought about.
func (s *server) countEffects(e *core.Effects) {
	if e.HardState != nil {
		s.count(CounterHardStates, 1)
	}
	if e.Refused != 0 {
		s.count(CounterRefusedMessages, 1)
	}
	accepted, rejected := 0, 0
	for i := range e.Messages {
		switch b := e.Messages[i].Body.(type) {
		case core.AppendReply:
			if b.Rejected == (EntryID{}) {
				accepted++
			} else {
				rejected++
			}
		}
	}
	s.count(CounterAccepted, accepted)
	s.count(CounterRejected, rejected)
	for i := range e.Markers {
		switch e.Markers[i].Role {
		case core.RolePreVote:
			s.count(CounterPreVotes, 1)
		case core.RoleCandidate:
			s.count(CounterElections, 1)
		case core.RoleLeader:
			s.count(CounterLeaderships, 1)
		}
	}
}
