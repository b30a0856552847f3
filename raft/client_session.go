package raft

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// SessionOptions say what a client's session is. The zero value is that of an ordinary one.
type SessionOptions struct {
	// Window is how many commands of one priority may be under way, 1 to MaxSessionWindow. Default
	// DefaultSessionWindow.
	Window uint32
	// Ordered has commands of one priority applied in the order in which Process numbered them: a command that comes
	// ahead of its order is sent again. Without it each is applied when it comes.
	Ordered bool
	// Events is called with what the machine sends to the session with SendOptions.Event, Messages with what it
	// sends without: one call at a time for each of the two, in the order of the sending member, in batches that the
	// function owns. Across a change of leaders a message may be lost or come twice. SessionEvents of either may
	// wait; the rest is dropped. Neither may close the node. nil drops all.
	Events, Messages func([]SessionEvent)
}

// SessionEvents bounds what may wait for each handler of a session.
const SessionEvents = 4096

// SessionEvent is a message of the machine to the client of a session.
type SessionEvent struct {
	// From is the member that sent it.
	From ServerID
	// Index is the entry whose application asked for it, 0 when a role, a tick or the aux handler did. A machine that
	// sends at most once per entry and session lets the client tell a repetition by it.
	Index Index
	// Data must not be changed.
	Data []byte
}

// maxPatience is the longest wait for one attempt of a session's command.
const maxPatience = 16 * time.Second

// ClientSession is a session whose client is on this node: what Process returned is applied exactly once, also when
// leaders change and members restart. It lives as long as this life of the node, or until Close. Its methods may be
// called by any goroutine.
type ClientSession struct {
	node     *Node
	route    route
	key      sessionKey
	serial   uint64 // in this life of the node
	events   batcher[SessionEvent]
	messages batcher[SessionEvent]

	mu      sync.Mutex
	numbers *SessionNumbers
	err     error // why it has ended, nil while it has not
	done    chan struct{}
}

// OpenSession opens a session with a cluster, owned by this node: the cluster expires it when it had no contact with the
// node for NodeOptions.SessionGrace, or when the node has another life. to is any member. It waits until the
// session is committed or ctx ends; a session that is opened after that is closed again. Every error is a
// *ProposalError; its causes are ErrMalformed for the options, ErrSessionsFull, ErrClosed, ErrUnknownServer,
// ErrUnreachable, and ctx's.
func (n *Node) OpenSession(ctx context.Context, to ServerID, o SessionOptions) (*ClientSession, error) {
	if o.Window == 0 {
		o.Window = DefaultSessionWindow
	}
	c := &ClientSession{node: n, route: route{to: to}, serial: n.number(), done: make(chan struct{})}
	c.events.node, c.events.handle = n, o.Events
	c.messages.node, c.messages.handle = n, o.Messages
	conf, _, leader, err := n.configuration(ctx, to)
	if err != nil {
		return nil, &ProposalError{Err: err, Outcome: NotApplied, Retriable: !errors.Is(err, ErrClosed) && !errors.Is(err, ErrForbidden)}
	}
	c.route.known.Store(&leaderView{leader: leader, members: conf.Members})
	cmd := Command{Kind: KindSessionOpen, Reply: ReplyFromLeader, Window: o.Window, Ordered: o.Ordered,
		Node: n.id, Incarnation: n.life}
	n.world.Read(cmd.Open[:])
	if err := cmd.validate(); err != nil {
		return nil, &ProposalError{Err: err, Outcome: NotApplied}
	}
	a := c.deliver(ctx, &cmd, nil)
	if err := a.error(); err != nil {
		if a.err != nil && a.err.Outcome == MaybeApplied {
			n.spawn(func() { c.abandon(cmd) })
		}
		return nil, err
	}
	c.key = sessionKey{conf.Cluster, a.session}
	c.numbers = NewSessionNumbers(a.session, o.Window)
	n.sessions.Store(c.key, c)
	return c, nil
}

// abandon closes a session of which it is not known whether it was opened: opening it again tells its id. When it takes
// too long the session stays until the node ends.
func (c *ClientSession) abandon(open Command) {
	ctx, cancel := c.node.within(c.node.ctx, c.node.opts.SessionGrace, context.Canceled)
	defer cancel()
	a := c.deliver(ctx, &open, nil)
	if a.err == nil && a.session != 0 {
		c.deliver(ctx, &Command{Kind: KindSessionClose, Reply: ReplyFromLeader, Session: SessionHeader{ID: a.session}}, nil)
	}
}

// ID returns the session's id, by which machines address it.
func (c *ClientSession) ID() SessionID { return c.key.id }

// Done is closed when the session has ended, as far as is known here: by Close, or when a call found it expired.
func (c *ClientSession) Done() <-chan struct{} { return c.done }

// Process has the cluster apply a command, once, and returns the reply of its machine. It sends the command until it is
// answered or ctx ends, and waits that long. Every error is a *ProposalError; its causes are those of Node.Process,
// and ErrBusy, when the window is full. With MaybeApplied the command is given up: it may have been applied, or be applied
// until a later command of the session is, and no later. The command is not kept, and must not be changed until
// Process returns.
func (c *ClientSession) Process(ctx context.Context, command []byte, o ProcessOptions) (Reply, error) {
	if len(command) > c.node.opts.MaxCommandBytes {
		return Reply{}, &ProposalError{Err: ErrTooLarge}
	}
	h, err := c.next(o.Priority)
	if err != nil {
		return Reply{}, &ProposalError{Err: err, Outcome: NotApplied, Retriable: errors.Is(err, ErrBusy)}
	}
	cmd := Command{Kind: KindUser, Priority: o.Priority, Reply: o.Reply, ReplyNode: o.Member, Session: h, Payload: command}
	if cmd.Reply == NoReply {
		cmd.Reply = ReplyFromLeader
	}
	a := c.deliver(ctx, &cmd, c.renumber)
	c.settle(o.Priority, h.Sequence)
	return a.toClient(), a.error()
}

// KeepAlive tells the cluster that the session is in use and owned by this node, and which replies it need not
// keep any longer; a session that sends commands has no need of it. It returns when that is applied. Errors: those
// of Process.
func (c *ClientSession) KeepAlive(ctx context.Context) error {
	c.mu.Lock()
	acked, ended := c.numbers.Acked(), c.err
	c.mu.Unlock()
	if ended != nil {
		return &ProposalError{Err: ended, Outcome: NotApplied}
	}
	a := c.deliver(ctx, &Command{Kind: KindSessionKeepAlive, Reply: ReplyFromLeader, Session: SessionHeader{ID: c.key.id},
		Node: c.node.id, Incarnation: c.node.life, Acked: acked}, nil)
	return a.error()
}

// Close ends the session and returns when that is applied. Here it has ended at once: what is under way fails with
// ErrSessionExpired, unless it was applied, and no handler is called any more, but for a call that runs already. When it returns an error, the
// cluster may keep the session until this node's life ends. Errors: those of Process, but for ErrBusy and
// ErrSessionExpired: to close a session that has ended is no error.
func (c *ClientSession) Close(ctx context.Context) error {
	c.end(fmt.Errorf("%w: closed", ErrSessionExpired))
	a := c.deliver(ctx, &Command{Kind: KindSessionClose, Reply: ReplyFromLeader, Session: SessionHeader{ID: c.key.id}}, nil)
	if err := a.error(); err != nil && !errors.Is(err, ErrSessionExpired) {
		return err
	}
	return nil
}

// endSessions ends all sessions of clients on this node.
func (n *Node) endSessions(why error) {
	var list []*ClientSession
	n.sessions.Range(func(_, x any) bool {
		list = append(list, x.(*ClientSession))
		return true
	})
	slices.SortFunc(list, func(a, b *ClientSession) int { return cmp.Compare(a.serial, b.serial) })
	for _, c := range list {
		c.end(why)
	}
}

// end takes note that there is nothing to come.
func (c *ClientSession) end(why error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = why
	}
	c.mu.Unlock()
	if first {
		c.node.sessions.CompareAndDelete(c.key, c)
		c.events.close()
		c.messages.close()
		close(c.done)
	}
}

// receive takes a message of the machine's; false when it is dropped.
func (c *ClientSession) receive(m *machineMessage) bool {
	e := SessionEvent{From: m.from, Index: m.index, Data: m.data}
	if m.event {
		return c.events.put(e, SessionEvents)
	}
	return c.messages.put(e, SessionEvents)
}

func (c *ClientSession) next(p Priority) (SessionHeader, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return SessionHeader{}, c.err
	}
	return c.numbers.Next(p)
}

// renumber gives a command that is sent again what is settled now.
func (c *ClientSession) renumber(cmd *Command) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cmd.Session = c.numbers.Again(cmd.Priority, cmd.Session.Sequence)
}

func (c *ClientSession) settle(p Priority, sequence uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.numbers.Settle(p, sequence)
}

// deliver sends a command of the session until it is answered, which is safe: the session table tells repetitions. before,
// if not nil, is called before each attempt. The outcome is that of all attempts.
func (c *ClientSession) deliver(ctx context.Context, cmd *Command, before func(*Command)) answer {
	n := c.node
	var a answer
	maybe, attempts := false, 0
	patience := n.opts.DetectionBound
	err := n.follow(ctx, &c.route, func(at ServerID) (ServerID, bool) {
		if before != nil {
			before(cmd)
		}
		attempts++
		a = n.attemptWithin(ctx, at, cmd, patience)
		if a.err == nil {
			return a.leader, a.status == StatusOutOfOrder
		}
		maybe = maybe || a.err.Outcome == MaybeApplied
		if errors.Is(a.err.Err, ErrNoAnswer) {
			patience = min(2*patience, maxPatience)
		}
		return a.leader, a.err.Retriable
	})
	if err != nil {
		a = a.outOfTime(err)
	}
	c.heard(&a, attempts)
	return a.afterAll(maybe)
}

// afterAll is an answer in the light of earlier attempts, which may have been applied.
func (a answer) afterAll(maybe bool) answer {
	var e *ProposalError
	if maybe && errors.As(a.error(), &e) {
		again := *e
		again.Outcome = MaybeApplied
		a.err = &again
	}
	return a
}

// heard learns from an answer: who leads, who the members are, whether the session is there.
func (c *ClientSession) heard(a *answer, attempts int) {
	if err := a.error(); err != nil {
		if c.key.id != 0 && errors.Is(err, ErrSessionExpired) {
			c.end(ErrSessionExpired)
		}
		return
	}
	if attempts > 1 {
		c.route.leads(a.leader)
		c.node.refresh(&c.route, a.leader)
	}
}

// attemptWithin is attempt that is given up after a while, and may be made again then.
func (n *Node) attemptWithin(ctx context.Context, at ServerID, c *Command, patience time.Duration) answer {
	limited, cancel := n.within(ctx, patience, ErrNoAnswer)
	defer cancel()
	a := n.attempt(limited, at, c)
	if a.err != nil && errors.Is(a.err.Err, ErrNoAnswer) {
		a.err.Retriable = true
	}
	return a
}
