package raft

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// ServerID is the address of a server: its name, unique on its node, and the node.
type ServerID = core.ServerID

// server is one member on this node: an actor. A goroutine runs it only while its mailbox holds something; what is
// applied runs on another one in the same way.
type server struct {
	node   *Node
	record *serverRecord
	id     ServerID
	log    *engine.Log

	mail    mailbox
	applies applyQueue

	// Owned by whoever runs the mailbox.
	core     *core.Server
	known    core.HardState // the durable one that the core was told last
	turn     *turn          // that runs, nil between two
	sample   paceSample
	timers   timers
	low      []*ticket // commands of low priority that wait for a turn
	results  map[uint64]func(core.Result)
	ref      uint64
	watching []NodeID // nodes of the other members and of the leader, each once
	owed     *owed    // what the log has still to take, nil for nothing
	dead     bool     // the log or the core has failed: nothing is fed to the core any more

	// Read by anybody. cursorWaits says that a released cursor waits for something to be durable, or for the end of one of the
	// captures that run or of the snapshots that are sent, or that a promotion waits for the end of a capture.
	cursorWaits atomic.Bool
	sending     atomic.Int32  // snapshots on their way to other members
	role        atomic.Uint32 // a figure too; it fits in here
	leader      atomic.Pointer[leaderView]
	board       *Leaderboard // of its cluster, set before it runs
	figures     figures
	counters    atomic.Pointer[serverCounters]
	incoming    atomic.Pointer[incoming] // the snapshot that is received
	outgoing    outgoingTable
	pending     pendingCalls

	end struct {
		sync.Mutex
		err  error         // why it stopped, nil while it runs
		left int32         // of mailbox, applies, stop and what cuts the log those that still run
		over bool          // none does, and what a stopped server leaves behind is written
		done chan struct{} // closed then; nil until somebody waits
	}
}

// leaderView is what a server believes of its cluster.
type leaderView struct {
	leader  ServerID
	term    Term
	members []core.Member
}

// memberOn reports whether a node has a member, or a voter.
func (v *leaderView) memberOn(n NodeID, voter bool) bool {
	for i := range v.members {
		if m := &v.members[i]; m.ID.Node == n && (!voter || m.Membership == core.Voter) {
			return true
		}
	}
	return false
}

// has reports whether a server is a member.
func (v *leaderView) has(id ServerID) bool {
	return slices.ContainsFunc(v.members, func(m core.Member) bool { return m.ID == id })
}

// figures are counters of one server, all read without it.
type figures struct {
	term, configuration, version   atomic.Uint64
	last, written, commit, applied atomic.Uint64
	snapshot                       atomic.Uint64
}

// newServer makes the server of a record, with a log that is open, and begins its recovery.
func (n *Node) newServer(r *serverRecord, log *engine.Log) (*server, error) {
	s := &server{
		node: n, record: r, id: r.id(n.id), log: log}
	s.end.left = 3
	s.leader.Store(&leaderView{})
	s.mail.running = true // until start: what comes in waits
	s.mail.server, s.applies.server = s, s
	s.timers.alarm.ring = s.mail.ring
	restore, err := s.recover()
	if err != nil {
		return nil, err
	}
	o := n.optionsOf(s.record)
	s.core, err = core.New(core.Options{
		Self: r.identity(n.id), Machine: s.applies.machine().Known(), Strategy: n.opts.MachineVersions,
		BatchEntries: n.opts.BatchEntries, BatchBytes: n.opts.BatchBytes,
		WindowEntries: o.WindowEntries, WindowBytes: o.WindowBytes,
		SnapshotMS: uint32(o.SnapshotTimeout.Milliseconds()), AwaitMS: uint32(o.AwaitTimeout.Milliseconds()),
	}, restore)
	if err != nil {
		return nil, err
	}
	s.known = restore.State
	log.SetHandler(&s.mail)
	s.applies.replayTo = restore.Commit
	s.reconfigured()
	return s, nil
}

// recover reads what the log knows: of the newest captured state all but its bytes, and for the core where terms begin and its own
// entries.
func (s *server) recover() (r core.Restore, err error) {
	if err := s.log.Stats().Quarantine; err != nil { // its hard state may be lost, though all that is to be read be there
		return r, fmt.Errorf("raft: server %v: %w", s.id, err)
	}
	r = core.Restore{State: s.log.HardState(), Snapshot: core.SnapshotMeta{
		Configuration: s.record.Initial, Machine: s.record.Version}}
	s.applies.config = s.record.Initial
	a, err := s.newApplier()
	if err != nil {
		return r, err
	}
	s.applies.applier.Store(a)
	if err := s.beginState(&r); err != nil {
		return r, err
	}
	s.figures.snapshot.Store(uint64(r.Snapshot.ID.Index))
	r.Last = r.Snapshot.ID
	term := Term(0)
	for e, err := range s.log.ReadRange(r.Snapshot.ID.Index+1, s.log.Last().Index) {
		if err != nil {
			return r, fmt.Errorf("raft: server %v: %w", s.id, err)
		}
		if e.Term != term {
			r.Terms, term = append(r.Terms, e.ID()), e.Term
		}
		if e.Type < core.FirstShellKind {
			e.Data = append([]byte(nil), e.Data...)
			r.Entries = append(r.Entries, e)
		}
		r.Last = e.ID()
	}
	r.Commit = max(r.Commit, r.Snapshot.ID.Index, min(s.log.Applied(), r.Last.Index))
	return r, nil
}

func (s *server) newApplier() (*Applier, error) {
	m, ok := s.node.machine(s.record.Machine)
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknownMachine, s.record.Machine)
	}
	return NewApplier(ApplierOptions{New: m, InitialVersion: s.record.Version, Place: Place{
		Node:     s.id.Node,
		VoterOn:  func(n NodeID) bool { return s.leader.Load().memberOn(n, true) },
		MemberOn: func(n NodeID) bool { return s.leader.Load().memberOn(n, false) },
	}})
}

// newestSnapshot is the captured state up to which the log is released.
func (s *server) newestSnapshot() (engine.Snapshot, bool) {
	list := s.log.Snapshots()
	for k := len(list) - 1; k >= 0; k-- {
		if list[k].Kind == engine.KindSnapshot {
			return list[k], true
		}
	}
	return engine.Snapshot{}, false
}

// metaOf reads what a captured state says of itself.
func (s *server) metaOf(snap engine.Snapshot) (core.SnapshotMeta, error) {
	r, err := s.log.OpenSnapshot(snap)
	if err != nil {
		return core.SnapshotMeta{}, err
	}
	defer r.Close()
	meta, _, err := openContext(r.Context())
	meta.ID = snap.ID
	return meta, err
}
