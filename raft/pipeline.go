package raft

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rawl-db/rawl/internal/sched"
)

// PipelineOptions say how a pipeline sends. Notify must be set.
type PipelineOptions struct {
	// Notify is called with what became of commands, one call at a time, in batches that it owns: those of one
	// priority that were applied in the order in which they were. It may send again. It must not wait for Close.
	Notify func([]Notice)
	// Priority is that of Send. Default Normal; Low lets commands of others overtake.
	Priority Priority
	// Outstanding bounds the commands whose notice was not yet handed to Notify. Default 1,024; in a session its
	// window bounds them too.
	Outstanding int
	// Patience is how long an answer may take before the command counts as lost: in a session it is sent again then,
	// else Notify hears ErrNoAnswer. Default 10 s.
	Patience time.Duration
	// Session, if not nil, has every command applied exactly once: one that is lost or refused for a while is
	// sent again, until it is answered. The session stays the caller's.
	Session *ClientSession
}

// Notice says what became of a command of a pipeline.
type Notice struct {
	// Correlation is what Send was given.
	Correlation uint64
	// Reply is the answer, when Err is nil.
	Reply Reply
	// Err is a *ProposalError otherwise. Its causes are those of Node.Process, and ErrNoAnswer; with ErrNotLeader and
	// ErrUnreachable the pipeline has turned to another member already. Without a session the command is the
	// caller's to send again.
	Err error
}

// Pipeline sends commands to a cluster without waiting for answers. Those of one priority are appended in the order in which
// they were sent, but for those that are refused or lost, and sent again. Its methods may be called by any
// goroutine.
type Pipeline struct {
	node    *Node
	route   *route
	opts    PipelineOptions
	notices batcher[Notice]

	order sync.Mutex // held while a command is handed to a server, so that the order is that of Send
	mu    sync.Mutex
	late  lateList
	// flight is how many commands' notices were not handed to Notify.
	flight  int
	free    []*piped // to be used again, without a session
	handing bool     // Notify is being called
	closed  bool
	drained chan struct{} // closed when flight is 0 and nothing is sent any more
}

// piped is a command on its way. What changes is guarded by its pipeline's mu, but for command, which belongs to
// whoever holds order.
type piped struct {
	correlation uint64
	priority    Priority
	sequence    uint64 // in its session
	command     Command
	attempt     int // numbers the sendings; the answer to an earlier one counts too
	answered    bool
	maybe       bool // an earlier attempt may have been applied
	// Of an attempt that no other one follows: whom it was sent to, what was sent, and what takes the answer.
	at   ServerID
	op   opCommand
	done func(answer)
}

// OpenPipeline makes a pipeline to a cluster of which to is a member. It asks nobody. Error: ErrMalformed for the options.
func (n *Node) OpenPipeline(to ServerID, o PipelineOptions) (*Pipeline, error) {
	if o.Outstanding == 0 {
		o.Outstanding = 1024
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	if o.Notify == nil || o.Outstanding < 1 || o.Patience < 0 || o.Priority >= priorities {
		return nil, malformed("pipeline of priority %d, %d outstanding, patience %v, or without Notify", o.Priority, o.Outstanding, o.Patience)
	}
	p := &Pipeline{node: n, route: &route{to: to}, opts: o, drained: make(chan struct{})}
	if o.Session != nil {
		p.route = &o.Session.route
	}
	p.notices.node, p.notices.handle = n, p.hand
	p.late.alarm.ring = p.ring
	return p, nil
}

// Send sends a command with the pipeline's priority. The command is not kept after Send returns. It does not block.
// Errors, with which Notify hears nothing: ErrBusy when too many are outstanding, ErrTooLarge, ErrClosed, and in a session
// ErrSessionExpired.
func (p *Pipeline) Send(correlation uint64, command []byte) error {
	return p.SendPriority(p.opts.Priority, correlation, command)
}

// SendPriority is Send with another priority. Error: also ErrMalformed for the priority.
func (p *Pipeline) SendPriority(priority Priority, correlation uint64, command []byte) error {
	switch {
	case len(command) > p.node.opts.MaxCommandBytes:
		return ErrTooLarge
	case priority >= priorities:
		return malformed("priority %d", priority)
	}
	p.order.Lock()
	defer p.order.Unlock()
	x, err := p.enter(correlation, priority)
	if err != nil {
		return err
	}
	if x.command.Payload = command; p.opts.Session != nil { // it may be sent again
		x.command.Payload = append([]byte(nil), command...)
	}
	p.send(x)
	return nil
}

// enter counts a new command, and numbers it in its session.
func (p *Pipeline) enter(correlation uint64, priority Priority) (*piped, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed || p.node.closed.Load():
		return nil, ErrClosed
	case p.flight >= p.opts.Outstanding:
		return nil, ErrBusy
	}
	command := Command{Kind: KindUser, Priority: priority, Reply: ReplyFromLeader}
	if s := p.opts.Session; s != nil {
		h, err := s.next(priority)
		if err != nil {
			return nil, err
		}
		command.Session = h
	}
	p.flight++
	var x *piped
	if n := len(p.free); n > 0 {
		x, p.free = p.free[n-1], p.free[:n-1]
		x.answered = false
	} else {
		x = &piped{}
		x.done = func(a answer) { p.answered(x, x.attempt, x.at, a) }
	}
	x.correlation, x.priority, x.sequence, x.command = correlation, priority, command.Session.Sequence, command
	return x, nil
}

// releaseLocked keeps an answered command for another one, when the server has nothing of it any more.
func (p *Pipeline) releaseLocked(x *piped, a *answer) {
	if p.opts.Session == nil && a.err == nil && x.at.Node == p.node.id && cap(x.op.data) <= keepCommand {
		p.free = append(p.free, x)
	}
}

// send hands a command to whom the pipeline takes for the leader. It holds order.
func (p *Pipeline) send(x *piped) {
	n := p.node
	if p.opts.Session != nil {
		p.opts.Session.renumber(&x.command)
	}
	c := &x.command
	buffer := x.op.data[:0]
	if p.opts.Session != nil || buffer == nil {
		buffer = make([]byte, 0, len(c.Payload)+MaxCommandHeader)
	}
	data, err := AppendCommand(buffer, c)
	if err != nil {
		p.answered(x, x.attempt, ServerID{}, failed(err, NotApplied, false, ServerID{}))
		return
	}
	at := n.begin(p.route)
	attempt := p.sent(x)
	t := ticket{kind: c.Kind, session: c.Session, priority: c.Priority, data: data}
	if p.opts.Session == nil {
		x.at, x.op.ticket, x.command.Payload = at, t, nil
		n.ask(at, &x.op, len(data), x.done)
		return
	}
	n.ask(at, &opCommand{t}, len(data), func(a answer) { p.answered(x, attempt, at, a) })
}

// answered takes the answer to one attempt. It may be called by any goroutine, also amid send. Without a session x may be
// on its way for another command by now: then the attempt is another one.
func (p *Pipeline) answered(x *piped, attempt int, at ServerID, a answer) {
	if a.err != nil {
		p.turn(at, &a)
	}
	p.mu.Lock()
	if x.answered || p.opts.Session == nil && x.attempt != attempt {
		p.mu.Unlock()
		return
	}
	if p.again(x, &a) {
		x.maybe = x.maybe || a.err != nil && a.err.Outcome == MaybeApplied
		attempt := x.attempt
		p.mu.Unlock()
		p.node.wheel.after(maxPause, func() { p.resend(x, attempt) })
		return
	}
	x.answered = true
	p.late.trim(p.node)
	maybe, correlation, priority, sequence := x.maybe, x.correlation, x.priority, x.sequence
	p.releaseLocked(x, &a)
	p.mu.Unlock()
	if maybe {
		a = a.afterAll(maybe)
	}
	err := a.error()
	if s := p.opts.Session; s != nil {
		s.settle(priority, sequence)
		s.heard(&a, 0)
	}
	p.notices.put(Notice{Correlation: correlation, Err: err, Reply: a.toClient()}, 0)
}

// again reports whether the command is to be sent once more. It holds mu.
func (p *Pipeline) again(x *piped, a *answer) bool {
	if p.opts.Session == nil || p.node.closed.Load() {
		return false
	}
	return a.err != nil && a.err.Retriable || a.err == nil && a.status == StatusOutOfOrder
}

// resend sends a command once more, unless it was answered meanwhile or another attempt is on its way.
func (p *Pipeline) resend(x *piped, attempt int) {
	p.order.Lock()
	defer p.order.Unlock()
	p.mu.Lock()
	stale := x.answered || x.attempt != attempt
	p.mu.Unlock()
	if !stale {
		p.send(x)
	}
}

// turn looks for another member, if a command failed for want of a leader where it was sent.
func (p *Pipeline) turn(at ServerID, a *answer) {
	known := p.route.known.Load()
	switch {
	case !a.err.Retriable || errors.Is(a.err.Err, ErrBusy) || errors.Is(a.err.Err, ErrNoAnswer):
		return
	case known == nil: // whoever knows more tells it
		v := &leaderView{leader: a.leader}
		if p.route.known.CompareAndSwap(nil, v) && !a.leader.IsZero() {
			p.node.refresh(p.route, a.leader)
		}
		return
	case known.leader != at && !known.leader.IsZero():
		return // the pipeline has turned already
	}
	next := *known
	if next.leader = a.leader; next.leader.IsZero() || next.leader == at {
		next.leader = next.after(at)
	}
	if p.route.known.CompareAndSwap(known, &next) && !next.leader.IsZero() {
		p.node.refresh(p.route, next.leader)
	}
}

// after is the member behind that one, in a ring; zero when there is no other.
func (v *leaderView) after(at ServerID) ServerID {
	for k := range v.members {
		if v.members[k].ID == at {
			return v.members[(k+1)%len(v.members)].ID
		}
	}
	if len(v.members) > 0 {
		return v.members[0].ID
	}
	return ServerID{}
}

// hand gives a batch to Notify. What is in it is not outstanding any more.
func (p *Pipeline) hand(list []Notice) {
	p.mu.Lock()
	p.flight -= len(list)
	p.handing = true
	p.mu.Unlock()
	p.opts.Notify(list)
	p.mu.Lock()
	p.handing = false
	p.drainedLocked()
	p.mu.Unlock()
}

func (p *Pipeline) drainedLocked() {
	if !p.closed || p.flight > 0 || p.handing {
		return
	}
	select {
	case <-p.drained:
	default:
		close(p.drained)
	}
}

// Close refuses further commands and waits until Notify has heard of all that were sent, or ctx or the node ends: then
// Notify may still hear of the rest. Errors: ctx's, ErrClosed.
func (p *Pipeline) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.drainedLocked()
	p.mu.Unlock()
	switch _, end := sched.Wait(p.node.world, p.drained, ctx.Done(), p.node.ctx.Done()); end {
	case sched.Stopped:
		return context.Cause(ctx)
	case sched.StoppedToo:
		return ErrClosed
	}
	return nil
}
