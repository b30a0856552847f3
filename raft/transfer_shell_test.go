package raft

import (
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft/core"
)

// TestTransferRate: what a node sends of snapshots keeps to its rate, whoever asks, and makes up for little.
func TestTransferRate(t *testing.T) {
	r := transferRate{perSecond: 1000}
	now := int64(time.Hour)
	sent := 0
	for end := now + int64(10*time.Second); now < end; {
		if d := r.wait(now); d > 0 {
			now += d
			continue
		}
		r.spend(100, now)
		sent += 100
	}
	if sent < 10_000 || sent > 10_000+100+50 {
		t.Errorf("%d bytes in 10 s at 1,000 a second", sent)
	}
	r.perSecond = -1
	for range 100 {
		if r.spend(1<<30, now+int64(time.Hour)); r.wait(now+int64(time.Hour)) != 0 {
			t.Fatal("no bound, and it waits")
		}
	}
}

// TestTransferPause: a member where transfers fail is asked ever more rarely, until something is taken.
func TestTransferPause(t *testing.T) {
	var table outgoingTable
	const inc, other = core.Incarnation(7), core.Incarnation(8)
	table.begin(ServerID{Name: "s", Node: "n"})
	before := time.Duration(0)
	for range 20 {
		table.fault(inc)
		d := table.pause(inc)
		if d < before || d > maxTransferPause {
			t.Fatalf("%v after %v", d, before)
		}
		before = d
	}
	if before != maxTransferPause || table.pause(other) != 0 {
		t.Errorf("%v, %v for another member", before, table.pause(other))
	}
	if table.forgive(inc); table.pause(inc) != 0 {
		t.Error("nothing is forgiven")
	}
	for range 20 {
		table.postpone(inc)
	}
	if d := table.pause(inc); d != minTransferPause {
		t.Errorf("%v for a member that is busy", d)
	}
}

// told are the inputs of a kind that wait for a server that is held.
func told[T core.Input](s *server) (list []T) {
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	if s.mail.in == nil {
		return nil
	}
	for _, p := range s.mail.in.inputs {
		if in, ok := p.in.(T); ok {
			list = append(list, in)
		}
	}
	return list
}

// TestOffersAreOne: while a snapshot is being opened for a peer it is not opened again; when there is none the core hears that once, and
// the next attempt waits.
func TestOffersAreOne(t *testing.T) {
	s, _ := heldServer(t, NodeOptions{})
	h := core.Head{To: ServerID{Name: "s", Node: "away"}, ToInc: 9}
	if !s.outgoing.begin(h.To) {
		t.Fatal("nothing is opened yet")
	}
	s.offer(h)
	s.openOffered(h)
	if list := told[core.SnapshotSent](s); len(list) != 1 || list[0] != (core.SnapshotSent{To: h.To}) {
		t.Errorf("the core hears %+v", list)
	}
	if s.outgoing.pause(h.ToInc) != minTransferPause || !s.outgoing.begin(h.To) {
		t.Error("there is no next attempt, or no pause before it")
	}
}

// TestAtWork: who is at work on what takes longer than a part says so, again and again.
func TestAtWork(t *testing.T) {
	s, _ := heldServer(t, NodeOptions{SnapshotTimeout: 8 * time.Millisecond})
	in := &incoming{server: s, accept: core.Accept{From: ServerID{Name: "s", Node: "away"}, Transfer: 5}}
	stop := in.atWork()
	defer stop()
	for len(told[core.SnapshotProgress](s)) < 3 {
		if t.Context().Err() != nil {
			t.Fatal(t.Context().Err())
		}
		time.Sleep(time.Millisecond)
	}
	if p := told[core.SnapshotProgress](s)[0]; p.Transfer != 5 {
		t.Errorf("%+v", p)
	}
}
