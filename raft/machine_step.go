package raft

import (
	"maps"
	"slices"
)

// finish returns the effects that this member has to carry out of those that the last call asked for. What
// is for the AuxHandler it carries out itself.
func (a *Applier) finish() ([]Effect, error) {
	e := &a.ctx.Effects
	keep := a.collect(e.list[:0], e.list)
	clear(e.list[len(keep):])
	for i := 0; i < len(a.pending); i++ { // what an aux event asks for may add to pending
		list, _, _, err := a.aux(a.pending[i])
		if err != nil {
			return nil, a.fail(err)
		}
		keep = a.collect(keep, list)
	}
	clear(a.pending)
	a.pending = a.pending[:0]
	e.list = keep
	return keep, nil
}

// collect appends those effects to keep that are for this member, and returns it. keep may be the beginning
// of list.
func (a *Applier) collect(keep, list []Effect) []Effect {
	role := a.state.role()
	for i := range list {
		e := &list[i]
		if a.resolve(e) && a.place.realises(e, role) {
			keep = append(keep, *e)
		}
	}
	return keep
}

// resolve carries out what the Applier does itself, finds the node of a session that is sent something, and
// reports whether the effect is one for the server.
func (a *Applier) resolve(e *Effect) bool {
	if e.Kind == EffectAux {
		a.pending = append(a.pending, AuxEvent{Kind: AuxCast, Command: e.Data})
		return false
	}
	if e.Session == 0 {
		return true
	}
	owner, open := a.ownerOf(e.Session)
	switch e.Kind {
	case EffectSendMsg:
		e.Node = owner
		return open
	case EffectMonitor:
		if a.watch(e.Session); !open {
			delete(a.watched, e.Session)
			a.pending = append(a.pending, AuxEvent{Kind: AuxSessionDown, Session: e.Session})
		}
		return false
	case EffectDemonitor:
		delete(a.watched, e.Session)
		return false
	}
	return true
}

// watch has the AuxHandler hear of a session's end.
func (a *Applier) watch(id SessionID) {
	if a.watched == nil {
		a.watched = make(map[SessionID]bool)
	}
	a.watched[id] = true
}

// aux calls the AuxHandler. What comes of the user is reply and refusal; err is a MachineError.
func (a *Applier) aux(event AuxEvent) (list []Effect, reply []byte, refusal, err error) {
	h, ok := optional[AuxHandler](a.machine)
	if !ok {
		return nil, nil, ErrNoAux, nil
	}
	ctx := AuxContext{State: a.state, Applied: a.at, Version: a.version, Time: a.time}
	ctx.begin(a.state.role(), 0)
	if err := guard("HandleAux", a.at.Index, func() { reply, refusal = h.HandleAux(&ctx, event) }); err != nil {
		return nil, nil, nil, err
	}
	if ctx.bad != nil {
		return nil, nil, nil, &MachineError{Op: "HandleAux", Index: a.at.Index, Cause: ctx.bad}
	}
	return ctx.list, reply, refusal, nil
}

// call runs a method of the user's that asks for effects, and returns those for this member. They carry
// the index armed.
func (a *Applier) call(op string, armed Index, f func(effects *Effects)) ([]Effect, error) {
	if a.failed != nil {
		return nil, a.failed
	}
	a.ctx.Effects.begin(a.state.role(), armed)
	if f != nil {
		if err := guard(op, a.at.Index, func() { f(&a.ctx.Effects) }); err != nil {
			return nil, a.fail(err)
		}
	}
	if a.ctx.bad != nil {
		return nil, a.fail(&MachineError{Op: op, Index: a.at.Index, Cause: a.ctx.bad})
	}
	return a.finish()
}

// EnterState is the role marker: the entries that follow are applied in this state. A machine that is a
// StateEnterer hears of it. A new leader is asked to watch the nodes that own sessions. The
// effects are as those of Apply, the error a MachineError.
func (a *Applier) EnterState(state ServerState) ([]Effect, error) {
	a.state = state
	enterer, ok := optional[StateEnterer](a.machine)
	return a.call("StateEnter", 0, func(effects *Effects) {
		if state == StateLeader {
			a.watchOwners()
		}
		if ok {
			enterer.StateEnter(state, effects)
		}
	})
}

// Tick calls the machine's Tick with the present time, milliseconds since 1970 (UTC), if it has one and the
// server leads. The effects are as those of Apply, the error a MachineError.
func (a *Applier) Tick(millis int64) ([]Effect, error) {
	t, ok := optional[Ticker](a.machine)
	if !ok || a.state != StateLeader {
		return nil, a.failed
	}
	return a.call("Tick", 0, func(effects *Effects) { t.Tick(millis, effects) })
}

// Ticks reports whether the machine in force is a Ticker or an AuxHandler.
func (a *Applier) Ticks() bool {
	_, ticker := optional[Ticker](a.machine)
	_, aux := optional[AuxHandler](a.machine)
	return ticker || aux
}

// Aux has the machine's AuxHandler handle an event. The effects are as those of Apply. Errors: ErrNoAux,
// the handler's own, and a MachineError, which ends the applying.
func (a *Applier) Aux(event AuxEvent) (reply []byte, effects []Effect, err error) {
	if a.failed != nil {
		return nil, nil, a.failed
	}
	list, reply, refusal, err := a.aux(event)
	if err != nil {
		return nil, nil, a.fail(err)
	}
	a.ctx.Effects.begin(a.state.role(), 0)
	a.ctx.Effects.list = append(a.ctx.Effects.list, list...)
	effects, err = a.finish()
	if err != nil {
		return nil, nil, err
	}
	return reply, effects, refusal
}

// Installed puts a, which was just restored, in the place of old: it goes on in the same server state, and a
// machine that is a SnapshotInstalled hears of it. old is not used any more. Sessions that the AuxHandler of old
// monitored stay monitored. The effects are as those of Apply, the error a MachineError.
func (a *Applier) Installed(old *Applier) ([]Effect, error) {
	a.state = old.state
	for _, id := range slices.Sorted(maps.Keys(old.watched)) {
		if _, open := a.ownerOf(id); open {
			a.watch(id)
		} else {
			a.pending = append(a.pending, AuxEvent{Kind: AuxSessionDown, Session: id})
		}
	}
	m, ok := optional[SnapshotInstalled](a.machine)
	if !ok {
		return a.call("", 0, nil)
	}
	return a.call("SnapshotInstalled", 0, func(effects *Effects) {
		m.SnapshotInstalled(a.at, old.machine, old.at, effects)
	})
}

// RunCall carries out an EffectCall. It may be called amid the effects that another method returned.
func (a *Applier) RunCall(e Effect) error {
	if a.failed != nil {
		return a.failed
	}
	if err := guard("Call", a.at.Index, e.Call); err != nil {
		return a.fail(err)
	}
	return nil
}

// RunRead hands what an EffectLogRead asked for to its function; plan counts when Effect.ReadPlan is set, and
// belongs to the function then. The effects are as those of Apply.
func (a *Applier) RunRead(e Effect, commands []LoggedCommand, plan *Plan) ([]Effect, error) {
	return a.call("LogRead", e.Index, func(effects *Effects) {
		if e.ReadPlan != nil {
			e.ReadPlan(plan)
			return
		}
		e.Read(commands, effects)
	})
}

// Overview is what the machine tells of itself, nil when it is no Overviewer. A panic in it is returned as a
// MachineError and ends nothing.
func (a *Applier) Overview() (map[string]any, error) {
	o, ok := optional[Overviewer](a.machine)
	if !ok {
		return nil, nil
	}
	var overview map[string]any
	if err := guard("Overview", a.at.Index, func() { overview = o.Overview() }); err != nil {
		return nil, err
	}
	return overview, nil
}
