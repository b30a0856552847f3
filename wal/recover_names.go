package wal

import (
	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// recLog is what recovery knows of one log, over all files.
type recLog struct {
	id   raftlog.LogID
	uid  raftlog.UID
	skip raftlog.Batch // records up to it are in the manifest
	// chain is nil without an unfinished chain of fragments.
	chain *recChain
	// maybe: a Loss with Maybe was delivered, and nothing of the log since: another would say no more.
	maybe bool
}

// recName is a file-local number. declared is the batch whose frame declares it.
type recName struct {
	log      *recLog
	declared uint64
	// twice: another log claims the number too, so nobody has it.
	twice bool
}

// recNames are the logs that a file declares, by file-local number.
type recNames struct {
	names []recName
	limit int // no file of this size declares more
	ids   map[raftlog.LogID]struct{}
	// clashes are the logs that claimed a number in vain.
	clashes []*recLog
}

// log returns the log that the number stands for, nil when its declaration is gone.
func (n *recNames) log(number uint32) *recLog {
	if uint64(number) >= uint64(len(n.names)) {
		return nil
	}
	return n.names[number].log
}

// add notes a declaration. Number 0 and numbers that no file of this size can reach are not
// taken: only a hostile file holds them.
func (n *recNames) add(number uint32, log *recLog, batch uint64) {
	if number == 0 || int64(number) > int64(n.limit) {
		return
	}
	for int(number) >= len(n.names) {
		n.names = append(n.names, recName{})
	}
	n.ids[log.id] = struct{}{}
	at := &n.names[number]
	switch {
	case at.log == log:
	case at.log == nil && !at.twice:
		at.log, at.declared = log, batch
	default:
		if at.log != nil {
			n.clashes = append(n.clashes, at.log)
		}
		at.log, at.twice = nil, true
		n.clashes = append(n.clashes, log)
	}
}

// has reports whether the file is known to declare the log.
func (n *recNames) has(id raftlog.LogID) bool {
	_, ok := n.ids[id]
	return ok
}

// gap reports whether one of the numbers up to last has no log.
func (n *recNames) gap(last uint32) bool {
	if uint64(last) >= uint64(len(n.names)) {
		return last > 0
	}
	for _, name := range n.names[1 : last+1] {
		if name.log == nil {
			return true
		}
	}
	return false
}

// known counts the numbers that have a log.
func (n *recNames) known() int {
	count := 0
	for _, name := range n.names {
		if name.log != nil {
			count++
		}
	}
	return count
}

// namesOf collects a file's declarations ahead of the replay, from trailers and, where those are lost, from
// the declaring records: damage to one frame must be laid to logs that later ones name.
func (r *recovery) namesOf(l *recLoaded) *recNames {
	n := &recNames{
		limit: len(l.data) / frame.RecordHeaderSize,
		ids:   map[raftlog.LogID]struct{}{},
	}
	for i := range l.frames {
		f := &l.frames[i]
		if f.HasTrailer {
			for t, err := range f.Trailer.Touches() {
				if err != nil {
					f.HasTrailer = false
					break
				}
				if t.ID != 0 {
					n.add(t.Number, r.log(raftlog.LogID(t.ID)), f.Batch)
				}
			}
		}
		if f.HasTrailer {
			continue
		}
		for rec := range f.Records {
			if rec.Kind != KindDeclare || !rec.PayloadOK() {
				continue
			}
			if id, uid, err := decodeDeclare(rec.Payload); err == nil {
				log := r.log(id)
				log.uid = uid
				n.add(rec.Log, log, f.Batch)
			}
		}
	}
	return n
}

// log returns what is known of a log; a new one asks the caller's Skip.
func (r *recovery) log(id raftlog.LogID) *recLog {
	log := r.logs[id]
	if log == nil {
		log = &recLog{id: id, skip: r.o.Flushed}
		if r.o.Skip != nil {
			log.skip = max(log.skip, r.o.Skip(id))
		}
		r.logs[id] = log
	}
	return log
}
