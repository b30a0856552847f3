package raft

import (
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
	calls map[Index]*ticket
	term  Term // of the leadership that they belong to
	bytes int
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

func (p *pendingCalls) add(i Index, c *ticket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes += len(c.data)
	if c.done == nil {
		return
	}
	if p.calls == nil {
		p.calls = make(map[Index]*ticket)
	}
	p.calls[i] = c
}

// take removes the call whose entry was applied, nil when nobody waits for it.
func (p *pendingCalls) take(i Index) *ticket {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.calls[i]
	if c != nil {
		delete(p.calls, i)
		if len(p.calls) == 0 {
			p.calls = nil
		}
	}
	return c
}

// landed counts an entry that was applied.
func (p *pendingCalls) landed(e engine.Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Term == p.term {
		p.bytes = max(0, p.bytes-len(e.Data))
	}
}

// lose answers the callers whose entries above i are not in the log any more, nor in any other.
func (p *pendingCalls) lose(i Index, err error) {
	p.end(i, func(c *ticket) { c.fail(err, NotApplied, true) })
}

// drop answers the callers whose commands another leader may commit, or not.
func (p *pendingCalls) drop() {
	p.end(0, func(c *ticket) { c.fail(ErrLost, MaybeApplied, true) })
}

func (p *pendingCalls) end(above Index, f func(*ticket)) {
	p.mu.Lock()
	var gone []*ticket
	for k, c := range p.calls {
		if k > above {
			delete(p.calls, k)
			gone = append(gone, c)
		}
	}
	p.mu.Unlock()
	for _, c := range gone {
		f(c)
	}
}

// landed tells of an applied entry. A caller that another member answers hears nothing from here.
func (s *server) landed(e engine.Entry) {
	s.pending.landed(e)
	if c := s.pending.take(e.Index); c != nil && !c.elsewhere {
		c.answer(answer{index: e.Index, leader: s.id}) // an entry without a reply
	}
}
