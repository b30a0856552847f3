package raft

// lateList is what was sent, oldest first, with one alarm for the oldest: its answer may be lost.
type lateList struct {
	alarm alarm
	list  []lateAttempt
	armed bool
}

type lateAttempt struct {
	command  *piped
	attempt  int
	deadline int64
}

func (l *lateAttempt) over() bool { return l.command.answered || l.command.attempt != l.attempt }

// trim lets go of the oldest that need no watching, and of the alarm when nothing is left.
func (l *lateList) trim(n *Node) {
	k := 0
	for k < len(l.list) && l.list[k].over() {
		k++
	}
	clear(l.list[:k])
	if l.list = l.list[k:]; len(l.list) > 0 {
		return
	}
	l.list = nil
	if l.armed {
		n.wheel.stop(&l.alarm)
		l.armed = false
	}
}

// sent begins to watch an attempt, and returns its number.
func (p *Pipeline) sent(x *piped) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	x.attempt++
	at := p.node.now() + int64(p.opts.Patience)
	p.late.list = append(p.late.list, lateAttempt{x, x.attempt, at})
	p.armLocked()
	return x.attempt
}

func (p *Pipeline) armLocked() {
	if l := &p.late; !l.armed && len(l.list) > 0 {
		l.armed = true
		p.node.wheel.set(&l.alarm, l.list[0].deadline)
	}
}

// ring gives up what is late. It runs on the wheel's goroutine.
func (p *Pipeline) ring() {
	p.mu.Lock()
	p.late.armed = false
	now := p.node.now()
	var late []lateAttempt
	for len(p.late.list) > 0 && (p.late.list[0].over() || p.late.list[0].deadline <= now) {
		if first := &p.late.list[0]; !first.over() {
			late = append(late, *first)
		}
		p.late.list = p.late.list[1:]
	}
	p.late.trim(p.node)
	p.armLocked()
	p.mu.Unlock()
	for _, x := range late {
		p.answered(x.command, x.attempt, ServerID{}, failed(ErrNoAnswer, MaybeApplied, true, ServerID{}))
	}
}
