package raft

import "github.com/rawl-db/rawl/raft/detector"

// monitor watches a node for the machine, its companion, or the session table: its present state is told at once.
func (r *realiser) monitor(k monitorKey, armed Index) {
	if r.monitors[k] {
		return
	}
	if r.monitors == nil {
		r.monitors = make(map[monitorKey]bool)
	}
	r.monitors[k] = true
	r.server.node.monitor(r.server, k.node, k.owner, func(v detector.View) {
		r.server.applies.do(func() error { return r.tell(k, armed, v) })
	})
}

func (r *realiser) demonitor(k monitorKey) {
	if r.monitors[k] {
		delete(r.monitors, k)
		r.server.node.demonitor(r.server, k.node, k.owner)
	}
}

// tell hands on what the detector says of a monitored node.
func (r *realiser) tell(k monitorKey, armed Index, v detector.View) error {
	if !r.monitors[k] || v.State == detector.Unknown {
		return nil
	}
	up := v.State == detector.Up
	switch k.owner {
	case ForAux:
		kind := AuxNodeDown
		if up {
			kind = AuxNodeUp
		}
		effects, err := r.server.applies.aux(AuxEvent{Kind: kind, Node: k.node})
		if err == nil {
			r.carry(effects)
		}
		return err
	case ForMachine:
		kind := KindNodeDown
		if up {
			kind = KindNodeUp
		}
		r.server.commandOf(Command{Kind: kind, Node: k.node, Incarnation: v.Incarnation, Armed: armed})
	case ForSessions:
		r.owner(k.node, v)
	}
	return nil
}

// owner ends the sessions of a node that is gone: of lives that have ended at once, of the present life when
// there was no contact for the node's session grace.
func (r *realiser) owner(node NodeID, v detector.View) {
	at := r.server.applies.applied
	if v.Incarnation > 1 {
		r.server.commandOf(Command{Kind: KindSessionExpire, Node: node, Incarnation: v.Incarnation - 1, Armed: at})
	}
	name := "\x00session\x00" + node // names of the machine's own timers are not empty and are told apart by it
	r.stopTimer(name)
	if v.State == detector.Up {
		return
	}
	t := &machineTimer{name: name}
	t.alarm.ring = func() {
		r.server.applies.do(func() error {
			if !t.dead && r.leading {
				t.dead = true
				delete(r.timers, name)
				r.server.commandOf(Command{Kind: KindSessionExpire, Node: node, Incarnation: v.Incarnation, Armed: at})
			}
			return nil
		})
	}
	if r.timers == nil {
		r.timers = make(map[string]*machineTimer)
	}
	r.timers[name] = t
	r.server.node.wheel.set(&t.alarm, r.server.node.now()+int64(r.server.node.opts.SessionGrace))
}
