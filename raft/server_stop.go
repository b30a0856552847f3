package raft

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/raft/core"
)

// stop ends the server for a reason. It may be called by anybody, also by the server itself, and waits for nothing:
// a turn of the mailbox that runs, and a machine that does, are not interrupted.
func (s *server) stop(err error) {
	s.end.Lock()
	first := s.end.err == nil
	if first {
		s.end.err = err
	}
	s.end.Unlock()
	if !first {
		return
	}
	s.mail.close()
	s.applies.close()
	if !orderly(err) && !errors.Is(err, errDeleteServer) {
		s.node.opts.Logger.Error("a server has stopped", "server", s.id.String(), "err", err)
	}
	s.ended()
}

// stopError is why the server does not run, nil while it does.
func (s *server) stopError() error {
	s.end.Lock()
	defer s.end.Unlock()
	if s.end.err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrStopped, s.end.err)
}

// begun counts one more that ended is to be called for. It is called by what has not ended itself.
func (s *server) begun() {
	s.end.Lock()
	defer s.end.Unlock()
	s.end.left++
}

// ended counts that the mailbox, the applies, or stop itself, run no more. Behind the last of them a server that goes on
// some day leaves a recovery checkpoint.
func (s *server) ended() {
	s.end.Lock()
	s.end.left--
	over := s.end.left == 0
	s.end.Unlock()
	if over && !s.leaveRecovery() {
		s.tellEnd()
	}
}

// tellEnd tells who waits that nothing of the server runs any more.
func (s *server) tellEnd() {
	s.end.Lock()
	defer s.end.Unlock()
	s.end.over = true
	if s.end.done != nil {
		close(s.end.done)
	}
}

// over is closed once nothing of the server runs any more.
func (s *server) over() <-chan struct{} {
	s.end.Lock()
	defer s.end.Unlock()
	if s.end.done == nil {
		s.end.done = make(chan struct{})
		if s.end.over {
			close(s.end.done)
		}
	}
	return s.end.done
}

// wait waits until nothing of a stopped server runs any more.
func (s *server) wait(ctx context.Context) error {
	if _, end := sched.Wait(s.node.world, s.over(), ctx.Done(), nil); end == sched.Stopped {
		return context.Cause(ctx)
	}
	return nil
}

// discard ends a server that was made but never ran.
func (s *server) discard() {
	s.node.forget(s)
	s.log.SetHandler(nil)
}

// mailEnded ends what the server was to others, behind the last turn of the mailbox: whatever that turn has
// begun, a leadership too, ends here. Who waits for the server is answered.
func (s *server) mailEnded() {
	n := s.node
	n.forget(s)
	s.endTransfers(func(ServerID) bool { return true })
	s.outgoing.endLooks(n.wheel)
	if in := s.incoming.Load(); in != nil {
		in.close()
	}
	n.wheel.stop(&s.timers.alarm)
	s.log.SetHandler(nil)
	v := s.leader.Load()
	s.leader.Store(&leaderView{members: v.members})
	s.hide(v)
	if v.leader == s.id {
		n.resigned(s, v)
	}
	s.pending.drop(fmt.Errorf("%w: %w", ErrLost, s.stopError()))
	for _, c := range s.low {
		c.fail(s.stopError(), NotApplied, true)
	}
	s.low = nil
	for _, ref := range slices.Sorted(maps.Keys(s.results)) {
		s.finish(core.Result{Ref: ref, Err: s.stopError(), Maybe: true})
	}
	s.ended()
}

// appliesEnded ends what the machine asked for, behind the last that was applied.
func (s *server) appliesEnded() {
	s.applies.saveApplied()
	s.applies.effects.end()
	s.node.forget(s)
	s.ended()
}
