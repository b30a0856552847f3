package core_test

import (
	"fmt"
	"slices"

	"github.com/rawl-db/rawl/raft/core"
)

// node hosts one server: its log in memory and on the disk, its timers, its view of the others.
type node struct {
	w    *world
	k    int
	self core.Identity
	srv  *core.Server
	up   bool
	gone bool

	log      []core.Entry // above snapshot
	snapshot core.SnapshotMeta
	disk     disk
	queue    []record // what is not yet durable, in order
	stalled  int64    // nothing becomes durable until then
	full     bool     // the log refuses entries
	timers   map[core.Timer]deadline
	downs    map[int]bool
	checked  core.Index
	b        *branch
	paused   int64 // it does nothing until then
	started  int64
	detect   int64     // when it finds out about its contacts, 0 for not at all
	led      core.Term // 0 when it does not lead
	refused  bool      // its log just refused entries
	// What was true after the last step.
	commit   core.Index
	term     core.Term
	config   core.Configuration
	matches  map[peerKey]matched
	transfer uint64
	machine  uint64
	lastRole core.Role
	sends    []core.Send // waiting to be read
	installs []install
}

// disk is what survives a crash.
type disk struct {
	state    core.HardState
	snapshot core.SnapshotMeta
	log      []core.Entry
	commit   core.Index
}

// record is one change on its way to the disk.
type record struct {
	state    *core.HardState
	truncate *core.EntryID
	entries  []core.Entry
	install  *core.SnapshotMeta
	release  *core.SnapshotMeta
}

type deadline struct {
	at         int64
	generation uint64
}

type install struct {
	at       int64
	transfer uint64
	from     int
	broken   bool // the sender is gone
}

// stream is a transfer that broke at its receiver: the sender hears of it.
type stream struct {
	to core.ServerID
	install
}

// fresh gives the node a new life with an empty disk.
func (n *node) fresh() {
	n.w.incs++
	n.self = core.Identity{
		ID:  core.ServerID{Name: "s", Node: core.NodeID(fmt.Sprintf("n%d", n.k))},
		UID: core.UID(fmt.Sprintf("uid%d", n.k)), Incarnation: core.Incarnation(n.w.incs),
	}
	n.disk = disk{}
	n.gone = false
	n.b = n.w.main
}

func (n *node) start() {
	d := &n.disk
	n.snapshot, n.log = d.snapshot, slices.Clone(d.log)
	n.queue, n.sends, n.installs, n.full = nil, nil, nil, false
	n.timers = map[core.Timer]deadline{}
	n.downs = map[int]bool{}
	n.checked = d.snapshot.ID.Index
	n.commit, n.term, n.paused, n.matches = 0, d.state.Term, 0, map[peerKey]matched{}
	n.started = n.w.now
	n.leading()
	r := core.Restore{State: d.state, Snapshot: d.snapshot, Last: d.snapshot.ID, Commit: d.commit}
	term := d.snapshot.ID.Term
	for k, e := range d.log {
		if k == 0 || e.Term != term {
			r.Terms, term = append(r.Terms, e.ID()), e.Term
		}
		if e.Type < core.FirstShellKind {
			r.Entries = append(r.Entries, e)
		}
		r.Last = e.ID()
	}
	srv, err := core.New(core.Options{
		Self: n.self, Machine: n.machine, Strategy: n.w.strategy, BatchEntries: 4, WindowEntries: 16, SnapshotMS: 2000, AwaitMS: 1000,
	}, r)
	if err != nil {
		n.w.fatalf("node %d: %v", n.k, err)
	}
	n.srv, n.up, n.lastRole = srv, true, core.RoleRecover
	n.config, _ = srv.Configuration()
	if p := n.b.parent; p != nil && n.b.by == n && n.config.Epoch == p.epoch {
		n.b, n.w.main = p, p // the shrink was lost
	}
	n.w.note("node %d starts: %v last %v commit %d snapshot %v", n.k, d.state, r.Last, d.commit, d.snapshot.ID)
	n.step(core.Recovered{})
}

func (n *node) last() core.EntryID {
	if len(n.log) == 0 {
		return n.snapshot.ID
	}
	return n.log[len(n.log)-1].ID()
}

// entry returns the entry at i from memory.
func (n *node) entry(i core.Index) (core.Entry, bool) {
	base := n.snapshot.ID.Index
	if i <= base || i > base+core.Index(len(n.log)) {
		return core.Entry{}, false
	}
	return n.log[i-base-1], true
}

// step feeds an input and carries out what follows.
func (n *node) step(in core.Input) {
	if !n.up {
		return
	}
	e := n.srv.Step(in)
	if e.Fault != nil {
		n.w.fatalf("node %d: %v", n.k, e.Fault)
	}
	var again []core.Input
	if e.Refused == core.RefusedEpoch {
		n.w.hit["epoch refused"]++
	}
	if e.HardState != nil {
		n.queue = append(n.queue, record{state: e.HardState})
	}
	if !n.appendLog(e) {
		again = append(again, core.AppendFailed{Last: n.last()})
		n.refused = true
	}
	if e.Install != nil {
		meta := *e.Install
		n.queue = append(n.queue, record{install: &meta})
	}
	for _, m := range e.Messages {
		n.checkMessage(m)
		n.w.send(m)
	}
	n.sends = append(n.sends, e.Sends...)
	for _, h := range e.Snapshots {
		again = append(again, n.offer(h))
	}
	if e.Accept != nil {
		n.installs = append(n.installs, install{n.w.now + int64(n.w.rng.IntN(60)), e.Accept.Transfer, index(e.Accept.From.Node), false})
	}
	if e.Abort != 0 {
		n.w.hit["abort"]++
		n.installs = slices.DeleteFunc(n.installs, func(i install) bool {
			if i.transfer == e.Abort {
				n.w.broken = append(n.w.broken, stream{n.self.ID, i})
			}
			return i.transfer == e.Abort
		})
	}
	n.fork()
	n.w.commits(n, e.Commit)
	for _, m := range e.Markers {
		n.w.hit[m.Role.String()]++
		n.w.note("node %d becomes %v in term %d after %d", n.k, m.Role, m.Term, m.After)
		if m.Role == core.RoleLeader {
			n.w.leads(n, m.Term)
		}
	}
	n.setTimers(e.Timers)
	for _, r := range e.Results {
		n.w.result(n, r)
	}
	if e.Ended != 0 {
		n.w.hit[fmt.Sprintf("ended %d", e.Ended)]++
	}
	ended, moved := e.Ended != 0, e.Truncate || e.Reconfigured
	n.check()
	if moved {
		n.checkConfiguration()
	}
	n.refused = false
	if ended {
		n.up, n.gone = false, true
		n.w.forget(n)
	}
	n.leading()
	for _, in := range again { // e is not valid any more
		n.step(in)
	}
}

// fork begins a history of its own when a forced shrink put the server into a new epoch.
func (n *node) fork() {
	c, _ := n.srv.Configuration()
	if c.Epoch == n.b.epoch || !c.Has(n.self.ID, n.self.Incarnation) || n.srv.Role() != core.RoleLeader {
		return
	}
	was := n.b
	n.b = &branch{epoch: c.Epoch, parent: was, by: n, committed: slices.Clone(was.committed[:n.commit]),
		terms: slices.Clone(was.terms[:n.commit]), leaders: map[core.Term]int{},
		config: c}
	for _, e := range n.b.committed {
		if v, err := core.UnmarshalNoop(e.Data); err == nil && e.Type == core.KindNoop {
			n.b.machine = v
		}
	}
	n.w.main = n.b
	for ref, p := range n.w.reads {
		if p.node == n.k { // a shrink loses what only the others have
			n.w.reads[ref] = pendingRead{n.k, 0}
		}
	}
	n.w.hit["shrink"]++
}

// appendLog carries out truncation, and appending unless the log is full.
func (n *node) appendLog(e *core.Effects) bool {
	if e.Truncate {
		n.w.hit["truncate"]++
		n.log = n.log[:e.TruncateTo.Index-n.snapshot.ID.Index]
		to := e.TruncateTo
		n.queue = append(n.queue, record{truncate: &to})
	}
	if n.full && len(e.Append) > 0 {
		n.w.hit["refused"]++
		return false
	}
	if len(e.Append) > 0 {
		if e.Prev != n.last() {
			n.w.fatalf("node %d appends behind %v, its log ends at %v", n.k, e.Prev, n.last())
		}
		entries := slices.Clone(e.Append)
		n.log = append(n.log, entries...)
		n.queue = append(n.queue, record{entries: entries})
	}
	return true
}

// checkMessage checks what a server may say before its disk has it (I2, I4).
func (n *node) checkMessage(m core.Message) {
	if _, ok := m.Body.(core.PreVote); ok {
		return
	}
	if m.Term > n.disk.state.Term {
		n.w.fatalf("node %d names term %d in %T, durable is %v", n.k, m.Term, m.Body, n.disk.state)
	}
	switch b := m.Body.(type) {
	case core.AppendReply:
		if !n.durable(b.Durable) {
			n.w.fatalf("node %d says that %v is durable", n.k, b.Durable)
		}
	case core.VoteReply:
		if b.Granted && n.disk.state.Vote == "" {
			n.w.fatalf("node %d grants a vote that is not durable", n.k)
		}
	}
}

func (n *node) durable(id core.EntryID) bool {
	base := n.disk.snapshot.ID
	if id.Index <= base.Index {
		return true
	}
	k := int(id.Index - base.Index - 1)
	return k < len(n.disk.log) && n.disk.log[k].Term == id.Term
}

func (n *node) setTimers(list []core.SetTimer) {
	for _, t := range list {
		if t.MaxMS == 0 {
			delete(n.timers, t.Timer)
			continue
		}
		span := int64(t.MinMS) + int64(n.w.rng.IntN(int(t.MaxMS-t.MinMS)+1))
		if t.Timer == core.TimerRetransmit {
			span = min(1000, int64(20)<<t.Attempt)
		}
		n.timers[t.Timer] = deadline{n.w.now + span, t.Generation}
	}
}

// offer answers for a peer that needs a snapshot.
func (n *node) offer(h core.Head) core.Input {
	if n.snapshot.ID.Index == 0 {
		n.w.fatalf("node %d is to send a snapshot and has none", n.k)
	}
	n.w.incs++
	n.transfer = n.w.incs
	n.w.hit["offer"]++
	return core.SnapshotOffered{To: h.To, Transfer: n.transfer, Snapshot: n.snapshot}
}

// tick lets the disk, the readers, the snapshots and the timers get on.
func (n *node) tick() {
	if !n.up || n.paused > n.w.now {
		return
	}
	n.watch()
	if n.w.rng.IntN(100) == 0 { // lazily, as the applied index is kept
		_, written := n.srv.Last()
		n.disk.commit = max(n.disk.commit, min(n.srv.Commit(), written.Index))
	}
	if n.w.now >= n.stalled && n.w.rng.IntN(3) > 0 {
		n.sync(1 + n.w.rng.IntN(4))
	}
	sends := n.sends
	n.sends = nil
	for _, s := range sends {
		n.fill(s)
	}
	n.receiveSnapshots()
	for t := core.Timer(0); t < 16 && n.up; t++ {
		if d, ok := n.timers[t]; ok && d.at <= n.w.now {
			delete(n.timers, t)
			n.step(core.Timeout{Timer: t, Generation: d.generation})
		}
	}
}

// sync makes up to k records durable.
func (n *node) sync(k int) {
	k = min(k, len(n.queue))
	if k == 0 {
		return
	}
	done := n.queue[:k]
	n.queue = slices.Clone(n.queue[k:])
	for i := range done {
		n.settle(&done[i])
	}
	for i := range done {
		if h := done[i].state; h != nil {
			n.step(core.HardStateWritten{State: *h})
		}
		if m := done[i].install; m != nil {
			n.snapshot, n.log, n.checked = *m, nil, max(n.checked, m.ID.Index)
			n.w.hit["install"]++
			n.step(core.Installed{Snapshot: *m})
		}
	}
	n.announce()
}

// announce says what is durable. What a truncation on its way will cut counts for nothing, also where
// the same entry follows it.
func (n *node) announce() {
	id := n.disk.last()
	for i := range n.queue {
		if t := n.queue[i].truncate; t != nil && t.Index < id.Index {
			id = *t
		}
		if n.queue[i].install != nil {
			return
		}
	}
	if id.Index > 0 {
		n.step(core.Written{ID: id})
	}
}

func (d *disk) last() core.EntryID {
	if m := len(d.log); m > 0 {
		return d.log[m-1].ID()
	}
	return d.snapshot.ID
}

// settle writes one record to the disk.
func (n *node) settle(r *record) {
	d := &n.disk
	switch {
	case r.state != nil:
		if r.state.Term < d.state.Term {
			n.w.fatalf("node %d: term falls from %v to %v", n.k, d.state, *r.state)
		}
		d.state = *r.state
		key := voteKey{n.k, n.self.Incarnation, d.state.Term}
		if v := n.w.votes[key]; v != "" && v != d.state.Vote {
			n.w.fatalf("node %d votes for %q and %q in term %d", n.k, v, d.state.Vote, d.state.Term)
		}
		n.w.votes[key] = d.state.Vote
	case r.truncate != nil:
		d.log = d.log[:r.truncate.Index-d.snapshot.ID.Index]
	case r.install != nil:
		d.snapshot, d.log = *r.install, nil
		d.commit = max(d.commit, r.install.ID.Index)
	case r.release != nil:
		d.log = slices.Clone(d.log[r.release.ID.Index-d.snapshot.ID.Index:])
		d.snapshot = *r.release
		d.commit = max(d.commit, r.release.ID.Index)
	default:
		d.log = append(d.log, r.entries...)
	}
}

// fill reads the entries of a send and lets them go.
func (n *node) fill(s core.Send) {
	if n.w.faults && n.w.rng.IntN(15) == 0 {
		n.sends = append(n.sends, s) // the disk is slow
		return
	}
	a := core.Append{Prev: s.Prev, Commit: s.Commit, Probe: s.Probe}
	bytes := 0
	for i := s.First; i <= s.Last; i++ {
		e, ok := n.entry(i)
		if !ok || i > s.First && bytes+len(e.Data) > s.MaxBytes {
			break
		}
		a.Entries = append(a.Entries, e)
		bytes += len(e.Data)
	}
	prev, ok := n.entry(s.Prev.Index)
	gone := s.Prev != n.snapshot.ID && (!ok || prev.Term != s.Prev.Term)
	if len(a.Entries) == 0 || gone {
		n.step(core.SendFailed{To: s.Head.To})
		return
	}
	last := s.First + core.Index(len(a.Entries)) - 1
	n.w.send(core.Message{Head: s.Head, Body: a})
	n.step(core.Sent{To: s.Head.To, Last: last, Bytes: bytes})
}

func (n *node) receiveSnapshots() {
	list := n.installs
	n.installs = nil
	for _, i := range list {
		switch {
		case i.at > n.w.now:
			n.installs = append(n.installs, i)
		case i.broken || n.w.cut[[2]int{i.from, n.k}] || n.w.faults && n.w.rng.IntN(4) == 0:
			n.w.hit["transfer failed"]++
			n.step(core.SnapshotFailed{Transfer: i.transfer})
			n.sender(i, false)
		default:
			n.step(core.SnapshotProgress{Transfer: i.transfer})
			n.step(core.SnapshotReceived{Transfer: i.transfer})
			n.sender(i, true)
		}
	}
}

func (n *node) sender(i install, ok bool) {
	n.w.nodes[i.from].step(core.SnapshotSent{To: n.self.ID, Transfer: i.transfer, OK: ok})
}

// crash loses what is not durable, but for as many records as luck keeps.
func (n *node) crash() {
	if !n.up {
		return
	}
	keep := n.w.rng.IntN(len(n.queue) + 1)
	for i := range n.queue[:keep] {
		n.settle(&n.queue[i])
	}
	n.up = false
	n.leading()
	n.w.forget(n)
	for _, i := range n.installs {
		n.w.broken = append(n.w.broken, stream{n.self.ID, i})
	}
	for _, o := range n.w.nodes {
		for k := range o.installs {
			o.installs[k].broken = o.installs[k].broken || o.installs[k].from == n.k
		}
	}
	n.w.note("node %d crashes: %v, %d entries kept", n.k, n.disk.state, len(n.disk.log))
}

// capture takes a snapshot of what is committed, once the log is durable up to there.
func (n *node) capture() {
	if !n.up {
		return
	}
	commit := min(n.srv.Commit(), core.Index(len(n.disk.log))+n.disk.snapshot.ID.Index)
	if commit <= n.snapshot.ID.Index || commit > n.last().Index || len(n.queue) > 0 {
		return
	}
	e, _ := n.entry(commit)
	m := core.SnapshotMeta{ID: e.ID(), Configuration: n.snapshot.Configuration, ConfigurationIndex: n.snapshot.ConfigurationIndex, Machine: n.snapshot.Machine}
	for i := n.snapshot.ID.Index + 1; i <= commit; i++ {
		e, _ := n.entry(i)
		switch e.Type {
		case core.KindDelete:
			return
		case core.KindConfiguration:
			m.Configuration, _ = core.UnmarshalConfiguration(e.Data)
			m.ConfigurationIndex = i
		case core.KindNoop:
			m.Machine, _ = core.UnmarshalNoop(e.Data)
		}
	}
	n.log = slices.Clone(n.log[commit-n.snapshot.ID.Index:])
	n.snapshot = m
	n.settle(&record{release: &m})
	n.w.hit["snapshot"]++
	n.step(core.SnapshotTaken{ID: m.ID})
}
