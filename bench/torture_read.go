package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/engine"
)

// read compares some entries with what they should be.
func (o *owner) read(l *tortureLog) error {
	first, last := l.state.released.Index+1, l.state.last().Index
	if first > last {
		return nil
	}
	i := first + engine.Index(o.rng.Uint64N(uint64(last-first)+1))
	if o.rng.IntN(2) == 0 {
		e, err := l.log.Read(i)
		if err == nil {
			err = checkEntry(&o.buf, l.uid, l.state.at(i), e)
		}
		return o.excused(l, i, err)
	}
	for e, err := range l.log.ReadRange(i, min(i+15, last)) {
		if err == nil {
			err = checkEntry(&o.buf, l.uid, l.state.at(e.Index), e)
		}
		if o.excused(l, i, err) == nil && err != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("range from %d: %w", i, err)
		}
	}
	return nil
}

// excused takes an error for none when a running snapshot may have released entry i meanwhile.
func (o *owner) excused(l *tortureLog, i engine.Index, err error) error {
	if c := l.capture; c != nil && i <= c.at.Index && errors.Is(err, engine.ErrCompacted) {
		return nil
	}
	return err
}

// latePlan is a read plan with what it should yield, to be executed later.
type latePlan struct {
	uid  engine.UID
	plan *engine.Plan
	want map[engine.Index]modelEntry
	n    int
}

// maxLate bounds the plans that an owner keeps.
const maxLate = 8

// plan makes a read plan, and keeps it for later.
func (o *owner) plan(l *tortureLog) error {
	first, last := l.state.released.Index+1, l.state.last().Index
	if c := l.capture; c != nil {
		first = max(first, c.at.Index+1)
	}
	if first > last || len(o.late) >= maxLate {
		return o.executePlan()
	}
	p := &latePlan{uid: l.uid, want: make(map[engine.Index]modelEntry), n: 1 + o.rng.IntN(40)}
	indexes := func(yield func(engine.Index) bool) {
		for range p.n {
			i := o.between(first, last)
			p.want[i] = l.state.at(i)
			if !yield(i) {
				return
			}
		}
	}
	var opts engine.PlanOptions
	if o.rng.IntN(2) == 0 {
		opts.Order = engine.PlanRequested
	}
	var err error
	if p.plan, err = l.log.Plan(indexes, opts); err != nil {
		return err
	}
	o.late = append(o.late, p)
	return nil
}

// executePlan executes one of the plans: whatever happened to its log, it yields what was there.
func (o *owner) executePlan() error {
	if len(o.late) == 0 {
		return nil
	}
	k := o.rng.IntN(len(o.late))
	p := o.late[k]
	o.late[k] = o.late[len(o.late)-1]
	o.late = o.late[:len(o.late)-1]
	defer p.plan.Close()
	got := 0
	for e, err := range p.plan.Execute(context.Background()) {
		want, ok := p.want[e.Index]
		if err == nil && !ok {
			err = errors.New("it was not asked for")
		}
		if err == nil {
			err = checkEntry(&o.buf, p.uid, want, e)
		}
		if err != nil {
			return fmt.Errorf("plan of log %s: entry %d: %w", p.uid, e.Index, err)
		}
		got++
	}
	if got != p.n {
		return fmt.Errorf("plan of log %s yielded %d entries of %d", p.uid, got, p.n)
	}
	return nil
}

// dropPlans closes what was never executed.
func (o *owner) dropPlans() {
	for _, p := range o.late {
		p.plan.Close()
	}
}

// compact compacts by hand, with little patience: the work goes on without the owner.
func (o *owner) compact(l *tortureLog) error {
	ctx, cancel := o.patience()
	defer cancel()
	if err := l.log.Compact(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("compaction: %w", err)
	}
	return nil
}
