package engine

import (
	"context"
	"iter"
	"slices"
)

// LogChange is a set of things that can change in a log.
type LogChange uint8

// What Watch can report.
const (
	// ChangeCommitted: the commit index rose.
	ChangeCommitted LogChange = 1 << iota
	// ChangeFirst: entries were released; the log begins later.
	ChangeFirst
	// ChangeSegments: entries have moved to segment files, or files have changed or gone.
	ChangeSegments
	// ChangeSnapshot: there is a newer snapshot.
	ChangeSnapshot

	changeAll = ChangeCommitted | ChangeFirst | ChangeSegments | ChangeSnapshot
)

// LogEvent is how a log stands, and what of it is new to this watcher.
type LogEvent struct {
	Changed   LogChange
	Committed Index
	// First is the first index that is not released.
	First Index
	// Segments are the segment files, ascending. The slice is the watcher's.
	Segments []Segment
	// Snapshot is the newest snapshot's entry, zero when there is none.
	Snapshot EntryID
}

// Watch yields how the log stands now, and again whenever something of what changed in it is
// among what is asked for; 0 asks for everything. It waits, without polling, on the goroutine of the
// consumer. What happens while the consumer is busy comes as one event, which tells the newest state:
// nothing is queued, and nothing that still holds is missed. Events of one watcher are in order. An
// event is not a promise: what it tells may have changed when it is looked at.
//
// The sequence ends with an error: the cause of ctx, ErrDeleted, ErrQuarantined, ErrClosed,
// ErrFailed. A watcher costs nothing but while it waits.
func (l *Log) Watch(ctx context.Context, changes LogChange) iter.Seq2[LogEvent, error] {
	if changes == 0 {
		changes = changeAll
	}
	return func(yield func(LogEvent, error) bool) {
		w := watcher{log: l, changes: changes, sleeper: newWatchSleeper(changes)}
		ev := w.look()
		for ev.Changed = changes; ; {
			if !yield(ev.copied(), nil) {
				return
			}
			w.seen = ev
			var err error
			if ev, err = w.next(ctx); err != nil {
				yield(LogEvent{}, err)
				return
			}
		}
	}
}

// copied is the event with a list of its own.
func (ev LogEvent) copied() LogEvent {
	ev.Segments = slices.Clone(ev.Segments)
	return ev
}

type watcher struct {
	log     *Log
	changes LogChange
	sleeper *sleeper
	seen    LogEvent
}

func newWatchSleeper(changes LogChange) *sleeper {
	s := &sleeper{wants: happenedEnd, token: make(chan struct{}, 1)}
	for _, c := range [...]struct {
		change LogChange
		wants  happening
	}{
		{ChangeCommitted, happenedCommit}, {ChangeFirst, happenedRelease},
		{ChangeSegments, happenedSegments | happenedCut | happenedRelease}, {ChangeSnapshot, happenedSnapshot},
	} {
		if changes&c.change != 0 {
			s.wants |= c.wants
		}
	}
	return s
}

// next waits until something has changed.
func (w *watcher) next(ctx context.Context) (LogEvent, error) {
	x := w.log.outside()
	for {
		if ctx.Err() != nil {
			return LogEvent{}, w.log.canceled(ctx, "watch")
		}
		x.park(w.sleeper)
		ev := w.look()
		err := w.log.usable()
		if ev.Changed != 0 || err != nil {
			x.unpark(w.sleeper)
			return ev, err
		}
		select {
		case <-w.sleeper.token:
		case <-ctx.Done():
			x.unpark(w.sleeper)
			return LogEvent{}, w.log.canceled(ctx, "watch")
		}
	}
}

// look returns how the log stands and how that differs from what was seen.
func (w *watcher) look() LogEvent {
	l := w.log
	ev := LogEvent{Committed: l.Committed(), Snapshot: l.newestSnapshot()}
	v := l.view.Load()
	ev.First, ev.Segments = v.released.Index+1, v.segments
	for _, c := range [...]struct {
		change LogChange
		is     bool
	}{
		{ChangeCommitted, ev.Committed != w.seen.Committed}, {ChangeFirst, ev.First != w.seen.First},
		{ChangeSegments, !slices.Equal(ev.Segments, w.seen.Segments)}, {ChangeSnapshot, ev.Snapshot != w.seen.Snapshot},
	} {
		if c.is && w.changes&c.change != 0 {
			ev.Changed |= c.change
		}
	}
	return ev
}
