package raft

import (
	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// fill sends entries to a follower: at once when they are in memory, else from another goroutine, so
// that a follower that lags behind does not hold up the leader.
func (s *server) fill(x core.Send) {
	if t, err := s.log.Term(x.Prev.Index); err != nil || t != x.Prev.Term {
		s.again = append(s.again, core.SendFailed{To: x.Head.To}) // released meanwhile
		return
	}
	entries := s.log.ReadMemory(nil, x.First, x.Last, x.MaxBytes)
	if len(entries) > 0 {
		s.again = append(s.again, s.sendEntries(&x, entries))
		return
	}
	s.node.spawn(func() { s.mail.put(s.sendEntries(&x, s.readDisk(&x))) })
}

// sendEntries sends entries, and says what became of it. It may be called by any goroutine.
func (s *server) sendEntries(x *core.Send, entries []engine.Entry) core.Input {
	if len(entries) == 0 {
		return core.SendFailed{To: x.Head.To}
	}
	bytes := 0
	for i := range entries {
		bytes += len(entries[i].Data)
	}
	ok := s.node.sendRaft(newRaftPacket(x.Head, core.Append{
		Prev: x.Prev, Commit: x.Commit, Probe: x.Probe, Entries: entries}))
	if !ok {
		return core.SendFailed{To: x.Head.To}
	}
	return core.Sent{To: x.Head.To, Last: x.First + Index(len(entries)) - 1, Bytes: bytes}
}

// readDisk reads what fits into one message.
func (s *server) readDisk(x *core.Send) (entries []engine.Entry) {
	bytes := 0
	for e, err := range s.log.ReadRange(x.First, x.Last) {
		if err != nil || len(entries) > 0 && bytes+len(e.Data) > x.MaxBytes {
			break
		}
		e.Data = append([]byte(nil), e.Data...) // valid until the next entry only
		bytes += len(e.Data)
		entries = append(entries, e)
	}
	return entries
}
