package raft

import (
	"maps"
	"slices"
)

// statusNew never leaves this package: the machine has to apply the command.
const statusNew ReplyStatus = 254

// beginCommand judges a command of a session. For what is not new the status is final, and the reply with it.
func (a *Applier) beginCommand(c *Command) (ReplyStatus, []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch status := a.mu.table.begin(a.ctx.Index, c.Session, c.Priority); status {
	case StatusApplied:
		return statusNew, nil
	case statusDuplicate:
		return a.mu.table.recall(c.Session, c.Priority)
	default:
		return status, nil
	}
}

// sessionCommand opens, renews or ends sessions.
func (a *Applier) sessionCommand(c *Command) error {
	touched := [2]NodeID{c.Node, a.ownerBefore(c)}
	var before [2]int
	for i, node := range touched {
		before[i] = a.mu.table.owners[node]
	}
	status, opened, ended, spared := a.changeSessions(c)
	for i, node := range touched {
		if i == 0 || node != touched[0] {
			a.watchChange(node, before[i])
		}
	}
	if spared { // the leader has to judge the node anew
		a.ctx.add(Effect{Kind: EffectDemonitor, Node: c.Node, Owner: ForSessions})
		a.ctx.add(Effect{Kind: EffectMonitor, Node: c.Node, Owner: ForSessions})
	}
	reason := SessionClosed
	if c.Kind == KindSessionExpire {
		reason = SessionExpired
	}
	for _, id := range ended {
		if err := a.event(SessionDown{Session: id, Reason: reason}); err != nil {
			return err
		}
		if a.watched[id] {
			delete(a.watched, id)
			a.pending = append(a.pending, AuxEvent{Kind: AuxSessionDown, Session: id})
		}
	}
	a.answer(c, status, nil, opened)
	return nil
}

// ownerBefore is the node that owns the session that the command is about, "" when there is none. Only the
// owner's goroutine changes the table, so here and below it reads without the lock.
func (a *Applier) ownerBefore(c *Command) NodeID {
	id := c.Session.ID
	if c.Kind == KindSessionOpen {
		id = a.mu.table.opened[c.Open]
	}
	owner, _ := a.ownerOf(id)
	return owner
}

func (a *Applier) changeSessions(c *Command) (status ReplyStatus, opened SessionID, ended []SessionID, spared bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.mu.table
	switch c.Kind {
	case KindSessionOpen:
		opened, status = t.open(a.ctx.Index, c)
	case KindSessionKeepAlive:
		status = t.keepAlive(a.ctx.Index, c)
	case KindSessionClose:
		if status = StatusSessionExpired; t.end(c.Session.ID) {
			status, ended = StatusApplied, []SessionID{c.Session.ID}
		}
	case KindSessionExpire:
		ended, spared = t.expire(c)
	}
	return status, opened, ended, spared
}

// ownerOf is the node that owns a session, and whether it is open.
func (a *Applier) ownerOf(id SessionID) (NodeID, bool) {
	s := a.mu.table.sessions[id]
	if s == nil {
		return "", false
	}
	return s.owner, true
}

// watchChange has the leader watch a node that owns sessions since now, or watch it no longer.
func (a *Applier) watchChange(node NodeID, before int) {
	now := a.mu.table.owners[node]
	switch {
	case before == 0 && now > 0:
		a.ctx.add(Effect{Kind: EffectMonitor, Node: node, Owner: ForSessions})
	case before > 0 && now == 0:
		a.ctx.add(Effect{Kind: EffectDemonitor, Node: node, Owner: ForSessions})
	}
}

// watchOwners has a new leader watch all nodes that own sessions.
func (a *Applier) watchOwners() {
	for _, node := range slices.Sorted(maps.Keys(a.mu.table.owners)) {
		a.ctx.add(Effect{Kind: EffectMonitor, Node: node, Owner: ForSessions})
	}
}

// Admit is a leader's verdict on a user's command before it appends it. Commands of no session pass.
// Errors: ErrBusy, ErrStale, ErrSessionExpired; then the command must not be appended. It takes no longer
// than finding the command, and waits for no machine.
func (a *Applier) Admit(h SessionHeader, p Priority) (Admission, error) {
	if h.ID == 0 {
		return Admission{}, nil
	}
	if err := h.validate(); err != nil || p >= priorities {
		return Admission{}, malformed("session %d, number %d, priority %d", h.ID, h.Sequence, p)
	}
	applied := Index(a.applied.Load())
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mu.table.admit(applied, h, p)
}

// AdmitOpen is a leader's verdict on the opening of a session before it appends it. Error: ErrSessionsFull.
func (a *Applier) AdmitOpen(id OpenID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mu.table.admitOpen(id)
}

// Sessions is the number of open sessions, and what they count for in bytes, at most MaxSessionTable. Any
// goroutine may ask.
func (a *Applier) Sessions() (count, bytes int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.mu.table.sessions), a.mu.table.bytes
}
