package raft

import (
	"context"
	"sync"

	"github.com/rawl-db/rawl/internal/sched"
)

// caller is one who waits for an answer.
type caller struct {
	answers chan answer // room for one
	done    func(answer)
}

// callers are those of a node that nobody uses: their answer was received, so that no other one comes.
type callers struct{ waiting, proposing sync.Pool }

func (p *callers) caller() *caller {
	if c, ok := p.waiting.Get().(*caller); ok {
		return c
	}
	c := newCaller()
	return &c
}

func newCaller() caller {
	answers := make(chan answer, 1)
	return caller{answers: answers, done: func(a answer) { answers <- a }}
}

// answerTo waits for the answer to what was asked. When ctx ends first that is forgotten, and nobody knows what becomes of
// it: received is false then, and an answer may still come.
func (n *Node) answerTo(ctx context.Context, q question, answers <-chan answer) (a answer, received bool) {
	a, end := sched.Wait(n.world, answers, ctx.Done(), nil)
	if end == sched.Stopped {
		q.forget()
		return failed(context.Cause(ctx), MaybeApplied, false, ServerID{}), false
	}
	return a, true
}

// proposal is a command on its way to a server of this node that answers itself. What it is made of is used again once
// the answer says that it was applied: then the server has nothing of it any more.
type proposal struct {
	caller
	op opCommand
}

func (p *callers) proposal() *proposal {
	if c, ok := p.proposing.Get().(*proposal); ok {
		return c
	}
	return &proposal{caller: newCaller()}
}

// keepCommand is how long the memory of a command may be, in bytes, that is kept for other ones.
const keepCommand = 16 << 10

// propose has a server of this node append a command, and waits as answerTo does.
func (n *Node) propose(ctx context.Context, at ServerID, c *Command) answer {
	p := n.callers.proposal()
	data, err := AppendCommand(p.op.data[:0], c)
	if err != nil {
		return failed(err, NotApplied, false, ServerID{})
	}
	p.op.ticket = ticket{kind: c.Kind, session: c.Session, open: c.Open, priority: c.Priority, data: data}
	q := n.ask(at, &p.op, len(data), p.done)
	a, received := n.answerTo(ctx, q, p.answers)
	if received && a.err == nil && cap(data) <= keepCommand {
		n.callers.proposing.Put(p)
	}
	return a
}
