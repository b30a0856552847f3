package raft

import (
	"cmp"
	"slices"
	"sync"

	"github.com/rawl-db/rawl/engine"
)

// ticket is a command on its way into the log, and who wants to hear of it.
type ticket struct {
	kind     CommandKind
	data     []byte // as AppendCommand made it, stamped when it is appended
	session  SessionHeader
	open     OpenID // of a session to open
	priority Priority
	// elsewhere says that another member may answer.
	elsewhere bool
	done      func(answer) // called once, by any goroutine; nil when nobody wants to know
}

// answer is what became of a call.
type answer struct {
	reply   []byte
	status  ReplyStatus
	index   Index
	term    Term // of a command's entry
	session SessionID
	any     any // of calls that are no commands
	err     *ProposalError
	leader  ServerID
}

func (c *ticket) answer(a answer) {
	if c.done != nil {
		c.done(a)
	}
}

func (c *ticket) fail(err error, o Outcome, retriable bool) {
	c.answer(answer{err: &ProposalError{Err: err, Outcome: o, Retriable: retriable}})
}

// pendingCalls are the commands that this server appended as a leader, by their index, and how many bytes
// of them are not applied. The mailbox's goroutine adds, that of the applies takes.
type pendingCalls struct {
	mu    sync.Mutex
	calls []pendingCall // from taken on, ascending by index
	taken int
	term  Term // of the leadership that they belong to
	bytes int
}

type pendingCall struct {
	index Index
	call  *ticket
}

// begin forgets what an earlier leadership had on its way.
func (p *pendingCalls) begin(t Term) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.term, p.bytes = t, 0
}

// flight is how many bytes of this leadership's commands are not applied.
func (p *pendingCalls) flight() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}

// add takes over the commands that were appended as entries, one for each; a nil one was not.
func (p *pendingCalls) add(calls []*ticket, entries []engine.Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := 0
	for _, c := range calls {
		if c == nil {
			continue
		}
		p.bytes += len(c.data)
		if c.done != nil {
			p.calls = append(p.calls, pendingCall{entries[k].Index, c})
		}
		k++
	}
}

// take removes the call whose entry was applied, nil when nobody waits for it.
func (p *pendingCalls) take(i Index) *ticket {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.takeLocked(i)
}

func (p *pendingCalls) takeLocked(i Index) (c *ticket) {
	rest := p.calls[p.taken:]
	k, found := 0, len(rest) > 0 && rest[0].index == i // entries are applied in their order
	if !found {
		if k, found = p.findLocked(i); !found {
			return nil
		}
	}
	c = rest[k].call
	copy(rest[1:k+1], rest[:k])
	rest[0] = pendingCall{}
	p.taken++
	p.shrinkLocked()
	return c
}

// findLocked returns where the first call at or above i is among those that are not taken.
func (p *pendingCalls) findLocked(i Index) (int, bool) {
	return slices.BinarySearchFunc(p.calls[p.taken:], i, func(c pendingCall, i Index) int { return cmp.Compare(c.index, i) })
}

// shrinkLocked makes room, and lets go of it when nothing waits.
func (p *pendingCalls) shrinkLocked() {
	switch {
	case p.taken < len(p.calls):
		if p.taken >= keepSlots && p.taken >= len(p.calls)/2 {
			n := copy(p.calls, p.calls[p.taken:])
			clear(p.calls[n:])
			p.calls, p.taken = p.calls[:n], 0
		}
	case cap(p.calls) > keepSlots:
		p.calls, p.taken = nil, 0
	default:
		p.calls, p.taken = p.calls[:0], 0
	}
}

// landed counts an entry that was applied, and returns who still waits for it.
func (p *pendingCalls) landed(e *engine.Entry) *ticket {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Term == p.term {
		p.bytes = max(0, p.bytes-len(e.Data))
	}
	return p.takeLocked(e.Index)
}

// lose answers the callers whose entries above i the log refused: they are in no other log.
func (p *pendingCalls) lose(i Index, err error) {
	p.end(i, func(c *ticket) { c.fail(err, NotApplied, true) })
}

// drop answers the callers whose commands another leader may commit, or not.
func (p *pendingCalls) drop(why error) {
	p.end(0, func(c *ticket) { c.fail(why, MaybeApplied, true) })
}

func (p *pendingCalls) end(above Index, f func(*ticket)) {
	p.mu.Lock()
	k, _ := p.findLocked(above + 1)
	k += p.taken
	gone := slices.Clone(p.calls[k:])
	clear(p.calls[k:])
	p.calls = p.calls[:k]
	p.shrinkLocked()
	p.mu.Unlock()
	for _, c := range gone {
		f(c.call)
	}
}

// landed tells of an applied entry. A caller that another member answers hears nothing from here.
func (s *server) landed(e *engine.Entry) {
	if c := s.pending.landed(e); c != nil && !c.elsewhere {
		c.answer(answer{index: e.Index, leader: s.id}) // an entry without a reply
	}
}
