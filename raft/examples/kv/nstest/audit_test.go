//go:build linux

package nstest

import (
	"fmt"
	"strings"
)

// audit compares what clients were told with what the nodes' watches have shown. Both are at their end. It returns how many writes that
// were acknowledged it has found in the log, and how many lie where no watch was.
func audit(r *record, c *chronicle, watchers []*watcher) (found, unseen int, wrong []string) {
	a := &auditor{record: r, chronicle: c, watchers: watchers, wrong: c.wrong, writers: map[uint64]*operation{}}
	for _, list := range r.keys {
		for _, o := range list {
			a.acknowledged(o)
		}
	}
	a.once()
	a.complete()
	for _, o := range r.refused {
		if o.kind != remove && a.times[sumOf(o.value)] > 0 {
			a.complain("a write that was refused is in the log: %v", o)
		}
	}
	return a.found, a.unseen, a.wrong
}

type auditor struct {
	*record
	*chronicle
	watchers      []*watcher
	writers       map[uint64]*operation // by the sum of what they may have written
	times         map[uint64]int        // by the sum, how often it stands in the log
	found, unseen int
	wrong         []string
}

func (a *auditor) complain(format string, args ...any) {
	a.wrong = append(a.wrong, fmt.Sprintf(format, args...))
}

// nobodyAt reports that no watch was at an index.
func (a *auditor) nobodyAt(index uint64) bool {
	for _, w := range a.watchers {
		if !w.missed(index) {
			return false
		}
	}
	return true
}

// acknowledged looks for a write where its answer says that it is.
func (a *auditor) acknowledged(o *operation) {
	if o.kind == get || o.kind == remove {
		return
	}
	if !o.known || o.kind == put || o.matched {
		a.writers[sumOf(o.value)] = o
	}
	if !o.known || o.kind != put && !o.matched {
		return
	}
	at, ok := a.log[o.version]
	switch {
	case ok && at == change{"put", o.key, sumOf(o.value)}:
		a.found++
	case !ok && a.nobodyAt(o.version):
		a.unseen++
	case ok:
		a.complain("index %d is %s %s, but that was answered to %v", o.version, at.kind, at.key, o)
	default:
		a.complain("lost: index %d was answered to %v", o.version, o)
	}
}

// once checks that what is in the log was written by somebody, and not twice.
func (a *auditor) once() {
	a.times = map[uint64]int{}
	for index, x := range a.log {
		if x.kind != "put" {
			continue
		}
		o := a.writers[x.sum]
		if a.times[x.sum]++; a.times[x.sum] > 1 {
			a.complain("applied twice, also at index %d: %v", index, o)
		}
		if o == nil {
			a.complain("index %d holds a value of %s that nobody wrote, or that was refused", index, x.key)
		}
	}
}

// complete checks that each node has shown what the others have.
func (a *auditor) complete() {
	for index, by := range a.seen {
		for _, w := range a.watchers {
			if by&(1<<w.node.index) == 0 && !w.missed(index) {
				a.complain("node %s has not shown index %d", w.node.id, index)
			}
		}
	}
}

// elements checks a list: each element that was acknowledged stands in it once, and no other twice.
func elements(key, value string, list []*operation) (wrong []string) {
	count := map[string]int{}
	for e := range strings.SplitAfterSeq(value, ",") {
		if count[e]++; count[e] > 1 {
			wrong = append(wrong, fmt.Sprintf("%s: element %s stands there %d times", key, e, count[e]))
		}
	}
	for _, o := range list {
		if o.known && o.matched && count[strings.TrimPrefix(o.value, o.old)] == 0 {
			wrong = append(wrong, fmt.Sprintf("%s: element %s was acknowledged and is not there", key, strings.TrimPrefix(o.value, o.old)))
		}
	}
	return wrong
}
