package raft

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// A member whose log is damaged has lost what it promised: entries, and maybe its term and vote. It does not serve, vote or
// acknowledge again. When a leader sends to it, which shows that the others go on, another server of its name is put in its place, with a
// log and an incarnation of its own: the node draws them and keeps them in its record, asks the leader to replace the
// member, and when that is committed, so that a majority needs the damaged log no more, deletes that and starts the other server. A
// crash in between leaves a record that says what was asked for; whatever the leader sends next goes on with it.

const (
	// rejoinPatience is for how long a member tries: its disk may be slow.
	rejoinPatience = 30 * time.Second
	// rejoinAsk is for how long of that it asks: the cluster may be about another change, or the answer may be lost.
	rejoinAsk = 5 * time.Second
	// rejoinPause is after how long it asks again when it could not be replaced.
	rejoinPause = 5 * time.Second
)

// damaged reports whether a server does not run because of what its disk has of it.
func damaged(err error) bool {
	return (errors.Is(err, engine.ErrQuarantined) || errors.Is(err, engine.ErrCorrupt)) && !errors.Is(err, engine.ErrFailed)
}

// down is why a server of this node does not run, nil while it does.
func (n *Node) down(id ServerID) error {
	if s := n.server(id); s != nil {
		return s.stopError()
	}
	return n.whyAbsent(id.Name)
}

// heardLeader takes note that a leader sends to a server that does not run, or to another life of it. One that is damaged asks it
// for a new place. A leader whose log begins above what it knows of the server sends offers of a snapshot and no entries.
func (n *Node) heardLeader(m *core.Message) {
	switch m.Body.(type) {
	case core.Append, core.Offer:
	default:
		return
	}
	r, _, ok := n.record(m.To.Name)
	switch {
	case !ok || r.Stopped:
		return
	case m.ToInc == r.NextIncarnation && m.ToInc != 0: // it was asked before, and has replaced the member
	case m.ToInc != r.Incarnation || !damaged(n.down(m.To)):
		return
	}
	name, leader := m.To.Name, m.From
	if _, busy := n.rejoining.LoadOrStore(name, nil); busy {
		return
	}
	begun := n.background(func() {
		if err := n.rejoin(name, leader); err != nil && n.ctx.Err() == nil {
			n.opts.Logger.Warn("a member with a damaged log cannot rejoin yet", "server", name, "err", err)
			n.wheel.after(rejoinPause, func() { n.rejoining.Delete(name) })
			return
		}
		n.rejoining.Delete(name)
	})
	if !begun {
		n.rejoining.Delete(name)
	}
}

// rejoin has the leader replace a member, and then does so here.
func (n *Node) rejoin(name string, leader ServerID) error {
	ctx, cancel := n.within(n.ctx, rejoinPatience, context.DeadlineExceeded)
	defer cancel()
	r, err := n.drawNext(ctx, name)
	if err != nil {
		return err
	}
	asks, end := n.within(ctx, rejoinAsk, context.DeadlineExceeded)
	defer end()
	err = n.atLeader(asks, leader, &opReplace{replaces: r.Incarnation,
		by: core.Identity{ID: r.id(n.id), UID: r.NextUID, Incarnation: r.NextIncarnation}})
	switch {
	case err == nil, errors.Is(err, core.ErrAlreadyMember):
		return n.succeed(ctx, r)
	case errors.Is(err, core.ErrDeleting): // the others wait for this member's end
		return n.delete(ctx, name, r.Incarnation, ErrDeleted)
	}
	return err
}

// drawNext returns the record of a server with the one that is to take its place, durably.
func (n *Node) drawNext(ctx context.Context, name string) (*serverRecord, error) {
	unlock, err := n.lockName(ctx, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	r, y, ok := n.record(name)
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknownServer, name)
	}
	if r.NextIncarnation != 0 {
		return r, nil
	}
	next := *r
	next.NextUID, next.NextIncarnation = newUID(n.world, name), newIncarnation(n.world)
	n.opts.Logger.Warn("a member with a damaged log asks to rejoin without it", "server", name, "err", n.down(r.id(n.id)))
	return &next, y.servers.put(ctx, &next)
}

// succeed starts the next server in the place of one that is no member any more, and deletes that one's log.
func (n *Node) succeed(ctx context.Context, old *serverRecord) error {
	unlock, err := n.lockName(ctx, old.Name)
	if err != nil {
		return err
	}
	defer unlock()
	r, y, ok := n.record(old.Name)
	if !ok || r.Incarnation != old.Incarnation || r.NextIncarnation != old.NextIncarnation {
		return fmt.Errorf("%w: %q", ErrUnknownServer, old.Name) // deleted meanwhile, or made anew
	}
	before, err := n.halt(ctx, r, errDeleteServer)
	if err != nil {
		return err
	}
	next := *r
	next.UID, next.Incarnation, next.NextUID, next.NextIncarnation = r.NextUID, r.NextIncarnation, "", 0
	next.Initial = core.Configuration{}
	log, err := y.engine.Create(next.UID)
	if errors.Is(err, engine.ErrExists) { // left by a crash, or by who gave up newer records of the directory: with all that it promised
		log, err = y.engine.Log(next.UID)
	}
	if err != nil {
		return err
	}
	s, err := n.newServer(&next, log)
	if err != nil {
		return err // the log is found again
	}
	at, err := y.servers.append(&next) // before anything that the server writes
	if err != nil {
		s.discard()
		return err
	}
	if before != nil {
		n.servers.CompareAndDelete(r.Name, before)
		n.strike(before)
	}
	if err := n.add(s); err != nil {
		s.discard() // the node closes; its next life runs the server
		return err
	}
	n.failures.Delete(r.Name)
	n.opts.Logger.Warn("a member has rejoined without its damaged log", "server", s.id.String())
	return errors.Join(y.deleteLog(ctx, r), y.servers.wait(ctx, at))
}
