package manifest

import (
	"maps"
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// facts are what the manifest knows of the engine as a whole. It is a value: wal is
// replaced, never modified.
type facts struct {
	nextFile uint64
	reserved raftlog.LogID
	wal      []uint64 // ascending
	flushed  raftlog.Batch
	unnamed  bool
}

// image is the state that a manifest describes. A log is in logs or in damaged, never in both.
type image struct {
	facts
	logs    map[raftlog.LogID]*Log
	damaged map[raftlog.LogID]*Damaged
}

func newImage() image {
	return image{
		facts:   facts{nextFile: 1},
		logs:    make(map[raftlog.LogID]*Log),
		damaged: make(map[raftlog.LogID]*Damaged),
	}
}

// change is one record of a log, as it is written and as it takes effect.
type change struct {
	kind recordKind
	id   raftlog.LogID
	log  *Log              // of kindLog, and of kindDamaged unless nothing is known
	hard raftlog.HardState // of kindHard
}

// apply makes the change. A hard state of an id that is not live shows that the log's own
// record was lost.
func (im *image) apply(c change) {
	switch c.kind {
	case kindLog:
		im.logs[c.id] = c.log
		delete(im.damaged, c.id)
	case kindHard:
		im.applyHard(c)
	case kindDelete:
		delete(im.logs, c.id)
		delete(im.damaged, c.id)
	case kindDamaged:
		delete(im.logs, c.id)
		im.damaged[c.id] = newDamaged(c.id, c.log)
	}
	im.reserved = max(im.reserved, c.id)
}

func (im *image) applyHard(c change) {
	if l, ok := im.logs[c.id]; ok {
		l.HardState = MergeHardState(l.HardState, c.hard)
		return
	}
	im.hit(c.id)
	if d := im.damaged[c.id]; d.Known {
		d.Last.HardState = MergeHardState(d.Last.HardState, c.hard)
	}
}

// hit marks the log as damaged and keeps its value as the last one known.
func (im *image) hit(id raftlog.LogID) {
	l, live := im.logs[id]
	if live || im.damaged[id] == nil {
		im.damaged[id] = newDamaged(id, l)
		delete(im.logs, id)
	}
	im.reserved = max(im.reserved, id)
}

func newDamaged(id raftlog.LogID, last *Log) *Damaged {
	d := &Damaged{ID: id}
	if last != nil {
		d.Known, d.Last = true, *last
	}
	return d
}

// hitAll marks every log as damaged: what was lost may have been about any of them.
func (im *image) hitAll() {
	for id := range im.logs {
		im.hit(id)
	}
}

func (im *image) damagedList() []Damaged {
	list := make([]Damaged, 0, len(im.damaged))
	for _, id := range slices.Sorted(maps.Keys(im.damaged)) {
		list = append(list, *im.damaged[id])
	}
	return list
}

// changes returns the records that make up the image with d applied to it, ascending by id.
func (im *image) changes(d delta) []change {
	byID := make(map[raftlog.LogID]change, len(im.logs)+len(im.damaged)+len(d.changes))
	for id, l := range im.logs {
		byID[id] = change{kind: kindLog, id: id, log: l}
	}
	for id, dm := range im.damaged {
		c := change{kind: kindDamaged, id: id}
		if dm.Known {
			c.log = &dm.Last
		}
		byID[id] = c
	}
	for _, c := range d.changes {
		old := byID[c.id]
		switch {
		case c.kind == kindDelete:
			delete(byID, c.id)
		case c.kind == kindHard && old.log != nil:
			l := *old.log
			l.HardState = c.hard
			old.log = &l
			byID[c.id] = old
		case c.kind == kindLog:
			byID[c.id] = c
		}
	}
	return slices.SortedFunc(maps.Values(byID), func(a, b change) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
}
