package raft

import (
	"context"
	"errors"
	"fmt"
)

// ProcessOptions say how a command is processed. The zero value is that of an ordinary command.
type ProcessOptions struct {
	// Priority orders commands before they reach the log.
	Priority Priority
	// Reply says which member answers: ReplyFromLeader (the default), ReplyFromLocal or ReplyFromMember.
	Reply ReplyMode
	// Member is the node of the member that answers, with ReplyFromMember.
	Member NodeID
}

// Reply is the answer to a command.
type Reply struct {
	// Data is what the machine answered. It must not be changed.
	Data []byte
	// Index and Term name the command's entry; they are 0 when the answer was recalled from a session.
	Index Index
	Term  Term
	// Leader is who led when it was answered, as far as the member that answered knows.
	Leader ServerID
}

// ID is the command's entry, for QueryOptions.Applied: to read on any member what was written.
func (r *Reply) ID() EntryID { return EntryID{Index: r.Index, Term: r.Term} }

// toClient is the answer as clients see it.
func (a *answer) toClient() Reply {
	return Reply{Data: a.reply, Index: a.index, Term: a.term, Leader: a.leader}
}

// Process has a cluster apply a command and returns the reply of its machine. to is any member of the
// cluster: the command finds its way to the leader. It waits until the command is applied or ctx ends. Every error is
// a *ProposalError: its causes are ErrTooLarge, ErrBusy, ErrLost, ErrNoLeader, ErrDeleted, those of ReplyStatus, and
// ctx's. An attempt that is known not to have been applied is made again until ctx ends, unless it was refused for good.
// The command is copied.
func (n *Node) Process(ctx context.Context, to ServerID, command []byte, o ProcessOptions) (Reply, error) {
	return n.process(ctx, to, command, SessionHeader{}, o)
}

func (n *Node) process(ctx context.Context, to ServerID, command []byte, h SessionHeader, o ProcessOptions) (Reply, error) {
	if len(command) > n.opts.MaxCommandBytes {
		return Reply{}, &ProposalError{Err: ErrTooLarge}
	}
	c := Command{Kind: KindUser, Priority: o.Priority, Reply: o.Reply, ReplyNode: o.Member, Session: h, Payload: command}
	if c.Reply == NoReply {
		c.Reply = ReplyFromLeader
	}
	a := n.submit(ctx, to, &c)
	return a.toClient(), a.error()
}

// error is the answer's, as an error of the type that callers look for.
func (a *answer) error() error {
	if a.err != nil {
		return a.err
	}
	if err := a.status.Err(); err != nil {
		o := NotApplied
		if a.status.Applied() {
			o = MaybeApplied
		}
		return &ProposalError{Err: err, Outcome: o, Retriable: errors.Is(err, ErrOutOfOrder), Leader: a.leader}
	}
	return nil
}

// submit finds the leader and has it append the command.
func (n *Node) submit(ctx context.Context, to ServerID, c *Command) answer {
	if ctx.Err() != nil {
		return n.insistOn(ctx, to, c, nil)
	}
	at := to
	if v := n.view(to); v != nil && len(v.members) > 0 && !v.leader.IsZero() {
		at = v.leader
	}
	a := n.attempt(ctx, at, c)
	if !n.worthAgain(&a, c, at, to) { // nearly always
		return a
	}
	return n.insistOn(ctx, to, c, &a)
}

// worthAgain reports whether another attempt may go better.
func (n *Node) worthAgain(a *answer, c *Command, at, to ServerID) bool {
	return a.err != nil && a.err.Retriable && (a.err.Outcome == NotApplied || c.Session.ID != 0) && !n.unknown(a, at, to)
}

// insistOn is submit behind a first attempt that may be made again, if there was one. What an earlier attempt may have
// done, the last one does not take back.
func (n *Node) insistOn(ctx context.Context, to ServerID, c *Command, first *answer) answer {
	var a answer
	unsure := false
	if first != nil {
		a, unsure = *first, first.err.Outcome == MaybeApplied
	}
	err := n.seek(ctx, to, func(at ServerID) (ServerID, bool) {
		if first != nil {
			first = nil
			return a.leader, true
		}
		a = n.attempt(ctx, at, c)
		again := n.worthAgain(&a, c, at, to)
		unsure = unsure || again && a.err.Outcome == MaybeApplied
		return a.leader, again
	})
	if err != nil {
		a = a.outOfTime(err)
	}
	var failure *ProposalError
	if unsure && errors.As(a.error(), &failure) {
		sure := *failure
		sure.Outcome = MaybeApplied
		a.err = &sure
	}
	return a
}

// outOfTime is the answer to a call that was not tried again because its context, or the node, ended: a is that to
// the last attempt, zero when there was none.
func (a *answer) outOfTime(why error) answer {
	last := a.status.Err()
	if a.err != nil {
		last = a.err.Err
	}
	if errors.Is(last, ErrNotLeader) || errors.Is(last, ErrUnreachable) || errors.Is(last, ErrStopped) {
		last = fmt.Errorf("%w: %w", ErrNoLeader, last)
	}
	return failed(errors.Join(why, last), NotApplied, !errors.Is(why, ErrClosed), a.leader)
}

// attempt proposes a command to one server. When another member is to answer, the request is known by its
// origin, and the leader answers only what it refuses.
func (n *Node) attempt(ctx context.Context, at ServerID, c *Command) answer {
	if c.Reply <= ReplyFromLeader && at.Node == n.id {
		return n.propose(ctx, at, c)
	}
	ch := make(chan answer, 2)
	t := ticket{kind: c.Kind, session: c.Session, open: c.Open, priority: c.Priority}
	if c.Reply > ReplyFromLeader {
		id := n.number()
		c.Origin = Origin{Node: n.id, Request: id}
		t.elsewhere = true
		n.calls.Store(id, &outstanding{done: func(a answer) { ch <- a }})
		defer n.calls.Delete(id)
	}
	var err error
	if t.data, err = AppendCommand(make([]byte, 0, len(c.Payload)+MaxCommandHeader), c); err != nil {
		return failed(err, NotApplied, false, ServerID{})
	}
	q := n.ask(at, &opCommand{t}, len(t.data), func(a answer) { ch <- a })
	a, _ := n.answerTo(ctx, q, ch)
	return a
}
