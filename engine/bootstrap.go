package engine

import (
	"errors"
	"fmt"
)

// Bootstrap begins to follow a log from nothing: it opens the newest snapshot, for the state up to
// some entry, and a reader that begins with the next. nil comes in place of the snapshot when there is
// none and the log begins with its first entry. When Bootstrap returns, what the reader wants next is
// there. Neither of the two keeps later snapshots from releasing it: a consumer that takes long to restore
// the state meets a GapError then, and bootstraps again.
//
// The caller closes both. Errors: those of OpenReader and OpenSnapshot; GapError when the log was released
// beyond its newest snapshot.
func (e *Engine) Bootstrap(uid UID, o ReaderOptions) (*SnapshotReader, *Reader, error) {
	for {
		l, err := e.Log(uid)
		if err != nil {
			return nil, nil, err
		}
		s, found := l.newestOf(KindSnapshot)
		state, err := l.openIf(s, found)
		var r *Reader
		if err == nil {
			if r, err = e.OpenReader(uid, AtIndex(s.ID.Index+1), o); err == nil {
				if l.First() <= s.ID.Index+1 && r.log == l {
					return state, r, nil
				}
				r.Close()
				err = l.gap(s.ID.Index + 1)
			}
		}
		if state != nil {
			err = errors.Join(err, state.Close())
		}
		if now, again := l.newestOf(KindSnapshot); l.broken.Load() == nil && (again != found || now != s) {
			continue // a newer snapshot came meanwhile
		}
		return nil, nil, fmt.Errorf("engine: bootstrap from log %s: %w", uid, err)
	}
}

// openIf is OpenSnapshot if there is one.
func (l *Log) openIf(s Snapshot, found bool) (*SnapshotReader, error) {
	if !found {
		return nil, nil
	}
	return l.OpenSnapshot(s)
}

// newestOf returns the newest captured state of that kind.
func (l *Log) newestOf(kind SnapshotKind) (Snapshot, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := len(l.durable.seldom().snapshots) - 1; k >= 0; k-- {
		if s := l.durable.seldom().snapshots[k]; s.Kind == kind {
			return s, true
		}
	}
	return Snapshot{}, false
}
