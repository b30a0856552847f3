package raft

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/raft/core"
)

// Pauses between attempts to find a leader.
const (
	minPause = time.Millisecond
	maxPause = 50 * time.Millisecond
)

// route is the way of one client to the leader of a cluster.
type route struct {
	to ServerID // the member that the client named
	// known is what was heard of a cluster that has no member here; nil is nothing.
	known atomic.Pointer[leaderView]
}

// seek calls try with one server after the other, beginning with the leader that is known here, until try says
// that it need not go on, or ctx ends: then try is not called any more, and not at all when it had ended before. try
// returns whom the server took for the leader.
func (n *Node) seek(ctx context.Context, to ServerID, try func(ServerID) (leader ServerID, again bool)) error {
	return n.follow(ctx, &route{to: to}, try)
}

// insist asks one server after the other, as seek does, as long as again holds for the answer and there is anybody to
// ask.
func (n *Node) insist(ctx context.Context, to ServerID, once func(at ServerID) answer, again func(a *answer, at ServerID) bool) answer {
	var a answer
	err := n.seek(ctx, to, func(at ServerID) (ServerID, bool) {
		a = once(at)
		return a.leader, again(&a, at) && !n.unknown(&a, at, to)
	})
	if err != nil {
		return a.outOfTime(err)
	}
	return a
}

// insistAnywhere is insist for what any member can do: to is asked first, then one after the other.
func (n *Node) insistAnywhere(ctx context.Context, to ServerID, once func(at ServerID) answer, again func(a *answer, at ServerID) bool) answer {
	first := true
	return n.insist(ctx, to, func(at ServerID) answer {
		if first {
			first, at = false, to
		}
		a := once(at)
		a.leader = ServerID{}
		return a
	}, again)
}

// ifRetriable has a call made again that failed, but may go well later: for calls that change nothing.
func ifRetriable(a *answer, _ ServerID) bool { return a.err != nil && a.err.Retriable }

// ifNotApplied has a call made again only if it is known that nothing came of it.
func ifNotApplied(a *answer, at ServerID) bool {
	return ifRetriable(a, at) && a.err.Outcome == NotApplied
}

// follow is seek for a client that stays.
func (n *Node) follow(ctx context.Context, r *route, try func(ServerID) (leader ServerID, again bool)) error {
	at := n.begin(r)
	pause := minPause
	for k := 0; ; k++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		leader, again := try(at)
		if !again {
			return nil
		}
		switch {
		case leader.IsZero():
			if n.along(r) == nil {
				n.refresh(r, at) // one that was removed, or is cut off, still knows where the others were
			}
			at = n.another(r, at, k)
		case leader != at:
			at = leader
			if k < 3 {
				continue // a redirection costs no pause, unless they lead round in a circle
			}
		}
		if err := n.sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, maxPause)
	}
}

// sleep waits that long. Errors: ctx's cause, ErrClosed.
func (n *Node) sleep(ctx context.Context, d time.Duration) error {
	over := make(chan struct{})
	a := &alarm{ring: func() { close(over) }}
	n.wheel.set(a, n.now()+int64(d))
	switch _, end := sched.Wait(n.world, over, ctx.Done(), n.ctx.Done()); end {
	case sched.Stopped:
		n.wheel.stop(a)
		return context.Cause(ctx)
	case sched.StoppedToo:
		return ErrClosed
	}
	return nil
}

// within is a context that ends with ctx, and by itself, for that cause, after a while. The function gives it up.
func (n *Node) within(ctx context.Context, d time.Duration, cause error) (context.Context, func()) {
	limited, cancel := context.WithCancelCause(ctx)
	late := &alarm{ring: func() { cancel(cause) }}
	n.wheel.set(late, n.now()+int64(d))
	return limited, func() {
		n.wheel.stop(late)
		cancel(nil)
	}
}

// begin is whom to try first.
func (n *Node) begin(r *route) ServerID {
	if v := n.along(r); v != nil && !v.leader.IsZero() {
		return v.leader
	}
	return r.to
}

// along is what is known of the cluster: by a server here, or by what the client heard. nil is nothing.
func (n *Node) along(r *route) *leaderView {
	if v := n.view(r.to); v != nil && len(v.members) > 0 {
		return v
	}
	return r.known.Load()
}

// unknown reports whether an answer says that there is nobody to ask: to, the member that the caller knows, is not there, and
// nothing is known here of others.
func (n *Node) unknown(a *answer, at, to ServerID) bool {
	return a.err != nil && errors.Is(a.err.Err, ErrUnknownServer) && at == to && n.view(to) == nil
}

// view is what a server here knows of a member's cluster, nil when there is none. One that has stopped
// still knows where the others were.
func (n *Node) view(to ServerID) *leaderView {
	if s := n.server(to); s != nil {
		return s.leader.Load()
	}
	return nil
}

// another is the next member to try: each in turn, and in between the one that is said to lead.
func (n *Node) another(r *route, at ServerID, k int) ServerID {
	v := n.along(r)
	switch {
	case v == nil || len(v.members) == 0:
		return r.to
	case !v.leader.IsZero() && v.leader != at:
		return v.leader
	}
	return v.members[k/2%len(v.members)].ID
}

// learn takes over what a member says of its cluster.
func (r *route) learn(a answer) {
	if c, ok := a.any.(core.Configuration); ok && a.err == nil {
		r.known.Store(&leaderView{leader: a.leader, members: c.Members})
	}
}

// leads takes note of who answered as the leader.
func (r *route) leads(leader ServerID) {
	v := r.known.Load()
	if v == nil || leader.IsZero() || v.leader == leader {
		return
	}
	r.known.CompareAndSwap(v, &leaderView{leader: leader, members: v.members})
}

// refresh asks a member for the members, without waiting.
func (n *Node) refresh(r *route, at ServerID) {
	n.ask(at, &opMembers{}, 0, r.learn)
}
