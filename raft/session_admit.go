package raft

import "fmt"

// Above these the leader appends no command that would fill the table further. Between them and
// the bounds is room for what was appended before.
const (
	softSession = MaxSessionReplies / 4 * 3
	softTable   = MaxSessionTable / 4 * 3
)

// Admission is a leader's verdict on a command of a session before it appends it.
type Admission struct {
	// Answered says that the command was applied before: Status and Reply are the answer, and there
	// is nothing to append. It holds whoever leads, for what was applied was committed.
	Answered bool
	Status   ReplyStatus
	// Reply must not be changed.
	Reply []byte
}

// admit judges a command by what is applied here, which may lag behind what is appended. What it lets
// pass, begin judges again. applied is the last index applied.
func (t *sessionTable) admit(applied Index, h SessionHeader, p Priority) (Admission, error) {
	s := t.sessions[h.ID]
	if s == nil {
		if Index(h.ID) > applied {
			return Admission{}, nil // it may have been opened by an entry that is not applied here yet
		}
		return Admission{}, fmt.Errorf("%w: session %d", ErrSessionExpired, h.ID)
	}
	switch status := s.judge(h, p); status {
	case statusDuplicate:
		status, reply := t.recall(h, p)
		return Admission{Answered: true, Status: status, Reply: reply}, nil
	case StatusStale:
		return Admission{}, fmt.Errorf("%w: number %d of session %d", ErrStale, h.Sequence, h.ID)
	case StatusWindow:
		return Admission{}, fmt.Errorf("%w: session %d has %d commands in use", ErrBusy, h.ID, s.window)
	}
	if s.bytes >= softSession || t.bytes >= softTable {
		l := &s.lanes[p]
		k, _ := l.find(h.LowestUnacked)
		if freed := l.cost(k); s.bytes-freed >= softSession || t.bytes-freed >= softTable {
			return Admission{}, fmt.Errorf("%w: %d bytes of replies kept, %d for session %d", ErrBusy, t.bytes, s.bytes, h.ID)
		}
	}
	return Admission{}, nil
}

// admitOpen refuses a new session when the table is nearly full.
func (t *sessionTable) admitOpen(id OpenID) error {
	if _, again := t.opened[id]; !again && t.bytes >= softTable {
		return fmt.Errorf("%w: %d sessions", ErrSessionsFull, len(t.sessions))
	}
	return nil
}
