package raft

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// realiser carries out the effects that this member's machine asks for. It belongs to the goroutine that
// applies.
type realiser struct {
	server   *server
	leading  bool
	captures atomic.Int32 // captures and promotions that run; whoever ends one counts too
	timers   map[string]*machineTimer
	monitors map[monitorKey]bool
	waits    *capturesWaiting // nil for none
	spare    []Effect
}

type monitorKey struct {
	node  NodeID
	owner MonitorOwner
}

func (k monitorKey) compare(l monitorKey) int {
	return cmp.Or(cmp.Compare(k.node, l.node), cmp.Compare(k.owner, l.owner))
}

// machineTimer is a timer of the machine, of one leadership.
type machineTimer struct {
	alarm alarm
	name  string
	armed Index
	dead  bool
}

// entered takes note of a change of role: timers and monitors of the machine end with the leadership.
func (r *realiser) entered(state ServerState, _ Term) {
	was := r.leading
	r.leading = state == StateLeader
	if !was || r.leading {
		return
	}
	r.stopTimers()
	for _, k := range slices.SortedFunc(maps.Keys(r.monitors), monitorKey.compare) {
		if k.owner != ForAux {
			r.demonitor(k)
		}
	}
}

// carry carries out effects, and what their carrying out asks for.
func (r *realiser) carry(list []Effect) {
	if len(list) == 0 {
		return
	}
	work := append(r.spare[:0], list...) // the Applier uses its slice again
	r.spare = nil
	for i := 0; i < len(work); i++ {
		more, err := r.one(&work[i])
		if err != nil {
			r.server.stop(fmt.Errorf("raft: server %v: %w", r.server.id, err))
			return
		}
		work = append(work, more...)
	}
	clear(work)
	r.spare = work[:0]
}

func (r *realiser) one(e *Effect) (more []Effect, err error) {
	switch e.Kind {
	case EffectReply:
		r.reply(e)
	case EffectSendMsg:
		r.server.sendMessage(e)
	case EffectCall:
		return nil, r.server.applies.machine().RunCall(*e)
	case EffectAppend, EffectTryAppend:
		r.append(e)
	case EffectMonitor:
		r.monitor(monitorKey{e.Node, e.Owner}, e.Index)
	case EffectDemonitor:
		r.demonitor(monitorKey{e.Node, e.Owner})
	case EffectTimer:
		r.timer(e)
	case EffectLogRead:
		return r.read(e)
	case EffectReleaseCursor:
		r.server.count(CounterReleaseCursors, 1)
		r.capture(e)
	case EffectCheckpoint:
		r.capture(e)
	case EffectPromoteCheckpoint:
		r.promote(e)
	}
	return nil, nil
}

// reply answers whoever waits for the command: here by its index, or on the node that it came from.
func (r *realiser) reply(e *Effect) {
	a := answer{reply: e.Data, status: e.Status, index: e.Index, session: e.Session, leader: r.server.leader.Load().leader}
	switch at := r.server.applies.machine().At(); {
	case e.Recalled:
		a.index = 0
	case at.Index == e.Index: // the entry that was just applied
		a.term = at.Term
	}
	if e.Origin.Node == "" {
		if c := r.server.pending.take(e.Index); c != nil {
			c.answer(a)
		}
		return
	}
	r.server.node.respond(e.Origin, a)
}

// append puts a command of the machine's own into the log, like any other.
func (r *realiser) append(e *Effect) {
	data, err := AppendCommand(nil, &Command{Kind: KindUser, Priority: e.Append.Priority, Reply: e.Append.Reply,
		Origin: e.Append.Origin, ReplyNode: e.Append.ReplyNode, Payload: e.Data})
	if err != nil {
		return // Effects has checked it
	}
	c := &ticket{kind: KindUser, data: data, priority: e.Append.Priority}
	origin := e.Append.Origin
	switch {
	case origin.Node != "":
		c.done = func(a answer) {
			if a.err != nil {
				r.server.node.respond(origin, a)
			}
		}
	case e.Kind == EffectTryAppend && !r.leading:
		r.server.node.forward(r.server, c)
		return
	}
	r.server.enqueue(c)
}

// enqueue proposes a command.
func (s *server) enqueue(c *ticket) {
	switch {
	case len(c.data) > s.node.opts.MaxCommandBytes+MaxCommandHeader: // the log would not take it
		if c.done == nil {
			s.node.opts.Logger.Warn("a command of the machine's own is too large", "server", s.id.String(), "bytes", len(c.data))
		}
		c.fail(ErrTooLarge, NotApplied, false)
	case !s.mail.propose(c):
		s.count(CounterRefused, 1)
		c.fail(ErrBusy, NotApplied, true)
	}
}

// commandOf proposes a command that the server itself has to say.
func (s *server) commandOf(c Command) {
	data, err := AppendCommand(nil, &c)
	if err != nil {
		s.node.opts.Logger.Error("a command cannot be encoded", "server", s.id.String(), "err", err)
		return
	}
	s.enqueue(&ticket{kind: c.Kind, data: data})
}

func (r *realiser) timer(e *Effect) {
	r.stopTimer(e.Name)
	if e.Cancel {
		return
	}
	after := e.After
	if e.At != 0 {
		after = max(0, time.Duration(e.At-r.server.node.clock())*time.Millisecond)
	}
	t := &machineTimer{name: e.Name, armed: e.Index}
	t.alarm.ring = func() {
		r.server.applies.do(func() error {
			if !t.dead {
				t.dead = true
				delete(r.timers, t.name)
				r.server.commandOf(Command{Kind: KindTimeout, Timer: t.name, Armed: t.armed})
			}
			return nil
		})
	}
	if r.timers == nil {
		r.timers = make(map[string]*machineTimer)
	}
	r.timers[e.Name] = t
	r.server.node.wheel.set(&t.alarm, r.server.node.now()+int64(after))
}

func (r *realiser) stopTimer(name string) {
	if t := r.timers[name]; t != nil {
		t.dead = true
		r.server.node.wheel.stop(&t.alarm)
		delete(r.timers, name)
	}
}

func (r *realiser) stopTimers() {
	for _, name := range slices.Sorted(maps.Keys(r.timers)) {
		r.stopTimer(name)
	}
}

// end stops all timers: nobody is left to ring for.
func (r *realiser) end() {
	r.stopTimers()
	r.waits = nil
}

// read reads users' commands from the log for the machine.
func (r *realiser) read(e *Effect) ([]Effect, error) {
	if e.ReadPlan != nil {
		plan, err := r.server.log.Plan(e.Indexes.All(), engine.PlanOptions{OmitMissing: true})
		if err != nil {
			return nil, err
		}
		return r.server.applies.machine().RunRead(*e, nil, plan)
	}
	var commands []LoggedCommand
	for i := range e.Indexes.All() {
		x, err := r.server.log.Read(i)
		if errors.Is(err, engine.ErrCompacted) || errors.Is(err, engine.ErrOutOfRange) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if c, err := DecodeCommand(CommandKind(x.Type), x.Data); err == nil && c.Kind == KindUser {
			commands = append(commands, LoggedCommand{ID: x.ID(), Time: c.Time, Data: c.Payload})
		}
	}
	return r.server.applies.machine().RunRead(*e, commands, nil)
}
