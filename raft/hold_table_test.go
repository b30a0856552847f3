package raft

import (
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft/core"
)

// TestHoldsOfTwoTransfers: the end of one transfer does not end the waiting for another, one that is interrupted among them.
func TestHoldsOfTwoTransfers(t *testing.T) {
	var table outgoingTable
	table.fillLocked()
	const b, c = core.Incarnation(1), core.Incarnation(2)
	wants := func(what string, now int64, held bool, at Index, left time.Duration) {
		t.Helper()
		if got := table.held(500, now); got != held {
			t.Errorf("%s: held is %v", what, got)
		}
		if i, d := table.telling(now); i != at || d != left {
			t.Errorf("%s: the members are told %d for %d, want %d for %d", what, i, d, at, left)
		}
	}
	wants("nothing", 0, false, 0, 0)
	table.beginsLocked(b, hold{at: 100, until: 30})
	wants("nothing taken", 0, true, 0, 0)
	if !table.goesOn(b, 100, 40) || table.goesOn(b, 100, 50) {
		t.Error("the members are to be told once")
	}
	table.goesOn(c, 200, 60)
	wants("two", 10, true, 100, 50)
	if table.held(100, 10) {
		t.Error("what is sent is no newer than itself")
	}
	if !table.over(c) {
		t.Error("the members have heard of it")
	}
	wants("one has ended", 10, true, 100, 40)
	table.beginsLocked(b, hold{at: 100, until: 80}) // it was interrupted and is sent again
	wants("again", 10, true, 100, 40)
	table.endsAsItBegan(b)
	wants("interrupted before anything was taken", 10, true, 100, 40)
	table.beginsLocked(b, hold{at: 300, until: 80})
	wants("a newer one", 10, true, 0, 0)
	wants("no progress", 80, false, 0, 0)
	table.endsAsItBegan(b)
	wants("the end", 10, false, 0, 0)
}

// TestHoldsOfTwoLeaders: what a former leader takes back is its own only.
func TestHoldsOfTwoLeaders(t *testing.T) {
	var table outgoingTable
	old, now := ServerID{Name: "c", Node: "old"}, ServerID{Name: "c", Node: "new"}
	table.asked(old, hold{at: 100, until: 30})
	table.asked(now, hold{at: 100, until: 40})
	table.asked(old, hold{})
	if !table.held(101, 35) || table.held(101, 40) {
		t.Error("the leader's hold has ended, or does not end")
	}
	if at, left := table.telling(0); left != 0 {
		t.Errorf("others' holds are told: %d for %d", at, left)
	}
}

// TestSnapshotHold: who is no member, or means a former member, is not listened to; a hold runs out, and nothing is left of it.
func TestSnapshotHold(t *testing.T) {
	s, _ := heldServer(t, NodeOptions{SnapshotTimeout: 20 * time.Millisecond})
	from := s.id
	p := snapshotHold{to: s.id, toInc: s.record.Incarnation, from: from, at: 1, left: 100 * time.Hour}
	other, former := p, p
	other.from.Name = "t"
	former.toInc++
	s.node.receiveHold(&other)
	s.node.receiveHold(&former)
	if s.outgoing.held(2, 0) {
		t.Fatal("held")
	}
	s.node.receiveHold(&p)
	if s.outgoing.held(1, s.node.now()) || !s.outgoing.held(2, s.node.now()) || s.outgoing.held(2, s.node.now()+int64(maxHold)) {
		t.Error("it does not hold what it is to, for an hour at most")
	}
	p.left = 5 * time.Millisecond
	s.node.receiveHold(&p)
	for len(s.outgoing.list) == 0 { // none is ever on its way
		s.outgoing.mu.Lock()
		left, looks := len(s.outgoing.holds), s.outgoing.looks
		s.outgoing.mu.Unlock()
		if left == 0 && !looks {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal(t.Context().Err())
		}
		time.Sleep(time.Millisecond)
	}
}

// TestInterruptedTransfers: a transfer that is interrupted is waited for, but not again and again at the same place.
func TestInterruptedTransfers(t *testing.T) {
	var table outgoingTable
	table.fillLocked()
	at := EntryID{Term: 1, Index: 100}
	for i, c := range []struct {
		chunk int
		waits bool
	}{{5, true}, {5, true}, {3, true}, {5, false}, {4, false}, {6, true}, {6, true}} {
		if got := table.interrupted(7, at, c.chunk); got != c.waits {
			t.Errorf("%d: %v", i, got)
		}
	}
	if table.interrupted(7, EntryID{Term: 1, Index: 200}, 1) != true {
		t.Error("another snapshot")
	}
	table.interrupted(8, at, 1)
	table.fault(8)
	table.fault(9)
	table.goesOn(7, 100, 30)
	table.beginsLocked(8, hold{at: 90, until: 30})
	table.asked(ServerID{Name: "c", Node: "b"}, hold{at: 80, until: 30})
	members := []core.Member{{Identity: core.Identity{Incarnation: 7}}}
	if table.keep(members) || len(table.reached) != 1 || len(table.failed) != 0 || len(table.holds) != 2 {
		t.Errorf("kept of members that have gone: %v, %v, %v", table.reached, table.failed, table.holds)
	}
	if !table.keep(nil) || len(table.reached) != 0 || len(table.holds) != 1 {
		t.Errorf("kept of nobody: %v, %v", table.reached, table.holds)
	}
	table.fault(7)
	if table.done(7, 79); len(table.holds) != 1 {
		t.Error("another transfer is not waited for")
	}
	if table.done(7, 80); len(table.holds) != 0 {
		t.Errorf("a former leader's transfer, which has come to its end, is waited for: %v", table.holds)
	}
	if len(table.reached)+len(table.failed) != 0 {
		t.Errorf("kept of what was done: %v, %v", table.reached, table.failed)
	}
}
