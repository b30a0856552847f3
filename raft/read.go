package raft

import (
	"slices"

	"github.com/rawl-db/rawl/raft/core"
)

// readGroup is the consistent queries of one turn: they share a read of the core's, and run one behind the other.
type readGroup struct {
	ref     uint64
	queries []*opQuery // nil where one was withdrawn
	left    int        // that were not
}

// startReads asks the core for an index for queries.
func (s *server) startReads(list []*opQuery) {
	g := &readGroup{queries: slices.Clone(list), left: len(list)}
	for i, op := range g.queries {
		op.group, op.slot = g, i
	}
	g.ref = s.expect(func(r core.Result) { s.endReads(g, r) })
	s.step(core.Read{Ref: g.ref})
}

// endReads has the queries wait for the index, or says why there is none.
func (s *server) endReads(g *readGroup, r core.Result) {
	g.queries = slices.DeleteFunc(g.queries, func(op *opQuery) bool { return op == nil })
	for _, op := range g.queries {
		op.group = nil
		if r.Err != nil {
			op.done(failed(r.Err, NotApplied, true, s.core.Leader()))
		}
	}
	if r.Err == nil {
		s.applies.whenAll(r.Index, g.queries)
	}
}

// withdrawRead takes a query out of its group; the last one ends the read.
func (s *server) withdrawRead(op *opQuery) {
	g := op.group
	if g == nil {
		return
	}
	g.queries[op.slot], op.group = nil, nil
	if g.left--; g.left == 0 {
		s.cancelRead(&g.ref)
	}
}
