package main

import (
	"fmt"
	"time"
)

// beside measures one load in turns, alone and beside other work in the same engine, so that
// both meet the same moods of the device.
type beside struct {
	store *engineStore
	load  *load
}

// side is one of the situations. Its slices add up.
type side struct {
	recorders []*recorder
	total     measure
}

func newSide() *side { return &side{recorders: newRecorders()} }

// openBeside opens the engine of the row and warms it up.
func openBeside(r row) (*beside, error) {
	s, err := openEngineStore(r)
	if err != nil {
		return nil, err
	}
	b := &beside{store: s}
	if b.load, err = newLoad(r, s); err == nil {
		err = s.warm()
	}
	if err != nil {
		_ = s.close()
		return nil, err
	}
	return b, nil
}

// slice measures the load for d and adds it to a side; d may be shorter than one commit, then for as long as nothing was
// acknowledged.
func (b *beside) slice(s *side, d time.Duration) error {
	l := b.load
	l.recorders, l.total = s.recorders, s.total
	for i, p := range l.producers {
		p.recorder = s.recorders[i%len(s.recorders)]
	}
	for tries := 0; ; tries++ {
		_, err := l.slice(d)
		s.total = l.total
		if err != nil || s.total.Entries > 0 {
			return err
		}
		if tries == maxEmptySlices {
			return fmt.Errorf("nothing was acknowledged in %d slices of %v", tries, d)
		}
	}
}

// maxEmptySlices is after how many slices without an acknowledgement the device counts as stalled.
const maxEmptySlices = 100

// result is all slices of a side together.
func (b *beside) result(s *side) measure {
	b.load.recorders, b.load.total = s.recorders, s.total
	return b.load.result()
}

// halve limits the producers to rate, or with 0 to half of what they reach without limit, which
// it returns with the limit.
func (b *beside) halve(rate int, d time.Duration) (saturated float64, limit int, err error) {
	if rate == 0 {
		s := newSide()
		if err := b.slice(s, d); err != nil {
			return 0, 0, fmt.Errorf("saturated rate: %w", err)
		}
		saturated = ratio(float64(s.total.Entries), s.total.Seconds)
		rate = max(int(saturated/2), 1)
	}
	b.load.limit(rate)
	return saturated, rate, nil
}
