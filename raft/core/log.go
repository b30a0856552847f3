package core

import (
	"slices"
	"sort"
)

// log is what a server knows of its log: positions and terms, never payloads.
type log struct {
	// base is the last entry that a snapshot stands for: the log has what follows.
	base EntryID
	// last is the newest entry, durable or not.
	last EntryID
	// written is the newest entry that is durable together with all before it.
	written EntryID
	// runs are the terms of the entries above base: each run ends where the next begins.
	runs []run
}

// run is a stretch of entries of one term.
type run struct {
	first Index
	term  Term
}

// term returns the term of the entry at i; false when the log does not have it: a term that is not known
// matches nothing.
func (l *log) term(i Index) (Term, bool) {
	switch {
	case i == l.base.Index:
		return l.base.Term, true
	case i < l.base.Index || i > l.last.Index:
		return 0, false
	}
	k := sort.Search(len(l.runs), func(k int) bool { return l.runs[k].first > i })
	return l.runs[k-1].term, true
}

// has reports whether the log holds that very entry, or its snapshot ends with it.
func (l *log) has(id EntryID) bool {
	t, ok := l.term(id.Index)
	return ok && t == id.Term
}

// id returns the identity of the entry at i, which the log has.
func (l *log) id(i Index) EntryID {
	t, _ := l.term(i)
	return EntryID{Term: t, Index: i}
}

// append adds an entry behind last.
func (l *log) append(id EntryID) {
	if n := len(l.runs); n == 0 || l.runs[n-1].term != id.Term {
		l.runs = append(l.runs, run{first: id.Index, term: id.Term})
	}
	l.last = id
}

// truncate drops what is above i, which lies between base and last.
func (l *log) truncate(i Index) {
	last := l.id(i)
	n := len(l.runs)
	for n > 0 && l.runs[n-1].first > i {
		n--
	}
	l.runs = l.runs[:n]
	l.last = last
	if l.written.Index > i {
		l.written = last
	}
}

// compact makes id, an entry of the log, its base.
func (l *log) compact(id EntryID) {
	n := 0
	for n < len(l.runs) && l.runs[n].first <= id.Index {
		n++
	}
	switch {
	case id.Index >= l.last.Index:
		l.runs = nil
	case n > 0: // the last of them reaches beyond id, or ends with it
		first := id.Index + 1
		if n < len(l.runs) && l.runs[n].first == first {
			l.runs = slices.Clone(l.runs[n:])
		} else {
			l.runs = slices.Clone(l.runs[n-1:])
			l.runs[0].first = first
		}
	}
	l.base = id
}

// reset makes the log empty behind id, as a snapshot's installation does.
func (l *log) reset(id EntryID) { *l = log{base: id, last: id, written: id} }

// agree returns the newest entry not above i whose term is not above t: where a log that has term t
// at i may still agree with this one.
func (l *log) agree(i Index, t Term) Index {
	i = min(i, l.last.Index)
	for i > l.base.Index {
		k := sort.Search(len(l.runs), func(k int) bool { return l.runs[k].first > i }) - 1
		if l.runs[k].term <= t {
			return i
		}
		i = l.runs[k].first - 1
	}
	return l.base.Index
}

// upToDate reports whether a log that ends with id is at least as new as this one (Raft thesis §3.6.1).
func (l *log) upToDate(id EntryID) bool {
	if id.Term != l.last.Term {
		return id.Term > l.last.Term
	}
	return id.Index >= l.last.Index
}
