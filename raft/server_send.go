package raft

import (
	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// fillAll sends entries to followers: at once when they are in memory, else from another goroutine, so
// that a follower that lags behind does not hold up the leader: nothing here looks at the disk. What stands before the entries
// is as the core knows it, since only this goroutine cuts the log. Followers that lack the same share one slice.
func (s *server) fillAll(list []core.Send) {
	d := &s.turn.dispatched
	pending := len(d.Sent)+len(d.Failed) > 0
	var entries []engine.Entry
	for i := range list {
		x := &list[i]
		if i == 0 || x.First != list[i-1].First || x.Last != list[i-1].Last || x.MaxBytes != list[i-1].MaxBytes {
			entries = s.log.ReadMemory(nil, x.First, x.Last, x.MaxBytes)
		}
		if len(entries) == 0 {
			s.fillLater(*x)
			continue
		}
		if sent, ok := s.sendEntries(x, entries); ok {
			d.Sent = append(d.Sent, sent)
		} else {
			d.Failed = append(d.Failed, core.SendFailed{To: x.Head.To})
		}
	}
	if !pending && len(d.Sent)+len(d.Failed) > 0 {
		s.turn.again = append(s.turn.again, d)
	}
}

// fillLater sends entries that are not in memory. Those that are damaged end the server: no other member would get them from here.
func (s *server) fillLater(x core.Send) {
	_, y, ok := s.node.record(s.id.Name)
	if !ok {
		return // it is being deleted
	}
	y.reads.add(s.node, func() {
		entries, err := s.readDisk(&x)
		if damaged(err) {
			s.mail.do(func() { s.fail(err) }, nil)
			return
		}
		if sent, ok := s.sendEntries(&x, entries); ok {
			s.mail.put(sent)
			return
		}
		s.mail.put(core.SendFailed{To: x.Head.To})
	})
}

// sendEntries sends entries; false when they are not on their way. It may be called by any goroutine.
func (s *server) sendEntries(x *core.Send, entries []engine.Entry) (sent core.Sent, ok bool) {
	if len(entries) == 0 {
		return sent, false
	}
	bytes := 0
	for i := range entries {
		bytes += len(entries[i].Data)
	}
	ok = s.node.sendRaft(newRaftPacket(x.Head, core.Append{
		Prev: x.Prev, Commit: x.Commit, Probe: x.Probe, Entries: entries}))
	s.countSent(ok)
	return core.Sent{To: x.Head.To, Last: x.First + Index(len(entries)) - 1, Bytes: bytes}, ok
}

// readDisk reads what fits into one message; nothing when the log was cut or released up to there meanwhile. Errors: those of the
// engine, when not even the first entry, or what stands before it, can be read.
func (s *server) readDisk(x *core.Send) (entries []engine.Entry, err error) {
	if t, err := s.log.Term(x.Prev.Index); err != nil || t != x.Prev.Term {
		return nil, err
	}
	bytes := 0
	for e, err := range s.log.ReadRange(x.First, x.Last) {
		if err != nil && len(entries) == 0 {
			return nil, err
		}
		if err != nil || len(entries) > 0 && bytes+len(e.Data) > x.MaxBytes {
			break
		}
		e.Data = append([]byte(nil), e.Data...) // valid until the next entry only
		bytes += len(e.Data)
		entries = append(entries, e)
	}
	s.count(CounterColdEntries, len(entries))
	return entries, nil
}
