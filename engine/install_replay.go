package engine

import (
	"fmt"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/wal"
)

// reaches reports whether a record of that kind matters to a log that is set apart: its votes still
// count once it is repaired, and an installed snapshot may end the quarantine.
func (r *replay) reaches(l *Log, kind frame.Kind) bool {
	return kind == wal.KindDelete || kind == wal.KindHardState || kind == wal.KindInstall || r.healed[l]
}

// install applies the replacement of the log by another member's snapshot.
func (r *replay) install(l *Log, rec *wal.Record) {
	b := l.broken.Load()
	in, err := decodeInstall(rec)
	if err == nil && b != nil && !in.heals && !r.healed[l] {
		err = fmt.Errorf("the log was damaged after its snapshot was installed") // what was lost may be votes
	}
	if err != nil {
		if rec.Tail {
			r.tail = r.tail[:len(r.tail)-1]
		}
		r.quarantine(l, Range{First: l.view.Load().released.Index + 1}, err.Error())
		return
	}
	live := l.readLive(in.snap)
	held := l.resetLocked(in.snap.ID, live, in.segments)
	l.passOverLocked(in.snap.ID)
	if d := r.doubts[l]; d != nil {
		r.settle(l, d, rec, &d.entry) // no entry that it may have hit counts any more
	}
	if rec.Tail {
		f := &r.tail[len(r.tail)-1].fact
		f.held, f.more.snap, f.more.live, f.more.segments = held, in.snap, live, in.segments
		l.resets++
		if b != nil {
			f.more.heals, r.healed[l] = b, true
		}
		return
	}
	l.chargeLocked(-held)
	l.durable.reset(rec.Batch, in.snap, live, in.segments)
	l.base = in.snap.ID
	if b != nil {
		l.broken.Store(nil)
	}
	s := r.share(l)
	*s = wal.SealedLog{Log: s.Log, Reset: true}
}
