package engine

import (
	"slices"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// Minor compaction: segments that hold nothing needed any more leave the manifest and then the
// disk. Nothing is read or copied. It belongs to the flusher's goroutine.

// tidyLogs bounds the logs of one manifest edit.
const tidyLogs = 64

// tidy asks for the minor compaction of a log; any goroutine. dropFile does for a file that
// nothing refers to any more.
func (f *flusher) tidy(l *Log) {
	f.mu.Lock()
	if f.mu.untidy == nil {
		f.mu.untidy = make(map[*Log]struct{})
	}
	f.mu.untidy[l] = struct{}{}
	f.mu.Unlock()
	f.signal()
}

func (f *flusher) dropFile(path string) {
	f.mu.Lock()
	f.mu.retired = append(f.mu.retired, retiredFile{path: path})
	f.mu.Unlock()
	f.signal()
}

// takeUntidy takes some of the logs whose segments wait to be looked through, in the order of
// their ids, so that one history follows from one seed.
func (f *flusher) takeUntidy() []*Log {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.mu.untidy) == 0 {
		return nil
	}
	logs := make([]*Log, 0, len(f.mu.untidy))
	for l := range f.mu.untidy {
		logs = append(logs, l)
	}
	slices.SortFunc(logs, func(a, b *Log) int { return int(int64(a.id - b.id)) })
	logs = logs[:min(len(logs), tidyLogs)]
	for _, l := range logs {
		delete(f.mu.untidy, l)
	}
	return logs
}

// minor counts a minor compaction.
func (l *Log) minor() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.minors++
	return uint64(l.minors)
}

// tidyUp does the minor compaction of logs. No flush is under way: its edit would bring back what
// is dropped here.
func (f *flusher) tidyUp(logs []*Log) error {
	var edit manifest.Edit
	var tidied []*Log
	var before [][]raftlog.Segment
	for _, l := range logs {
		m, known := f.e.manifest.Log(l.id)
		if !known || m.Quarantine != nil || l.isDeleted() {
			continue
		}
		if n := f.e.opts.MinorsPerMajor; n > 0 && l.minor()%uint64(n) == 0 {
			f.compact(l, nil)
		}
		t := flushTask{log: l, base: m}
		t.settleAgain(m.AsOf)
		if len(t.base.Segments) == len(m.Segments) && t.base.Quarantine == nil {
			continue
		}
		edit.Put = append(edit.Put, t.base)
		tidied, before = append(tidied, l), append(before, m.Segments)
	}
	if len(edit.Put) == 0 {
		return nil
	}
	if err := f.e.manifest.Apply(edit); err != nil {
		return err
	}
	for k, l := range tidied {
		l.mu.Lock()
		if !l.overtakenLocked(edit.Put[k].AsOf) {
			l.setView(l.view.Load().withSegments(edit.Put[k].Segments))
		}
		l.mu.Unlock()
		f.removeSegments(l.id, before[k], edit.Put[k].Segments)
	}
	return nil
}
