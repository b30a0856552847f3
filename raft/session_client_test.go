package raft

import (
	"errors"
	"slices"
	"testing"
)

func TestSessionNumbers(t *testing.T) {
	s := NewSessionNumbers(7, 3)
	for n := uint64(1); n <= 3; n++ {
		h, err := s.Next(Normal)
		if want := (SessionHeader{ID: 7, Sequence: n, LowestUnacked: 1}); h != want || err != nil {
			t.Errorf("%+v, %v; want %+v", h, err, want)
		}
	}
	if _, err := s.Next(Normal); !errors.Is(err, ErrBusy) {
		t.Errorf("a fourth number of a window of 3: %v", err)
	}
	if h, err := s.Next(Low); h.Sequence != 1 || err != nil {
		t.Errorf("the other priority: %+v, %v", h, err)
	}
	if _, err := s.Next(priorities); !errors.Is(err, ErrMalformed) {
		t.Errorf("a priority that is none: %v", err)
	}
	s.Settle(Normal, 2)
	s.Settle(Normal, 2)
	s.Settle(Normal, 9)
	if got := s.Pending(Normal); !slices.Equal(got, []uint64{1, 3}) {
		t.Errorf("pending %v", got)
	}
	if _, err := s.Next(Normal); !errors.Is(err, ErrBusy) {
		t.Errorf("while the lowest is pending: %v", err)
	}
	if h := s.Again(Normal, 3); h != (SessionHeader{ID: 7, Sequence: 3, LowestUnacked: 1}) {
		t.Errorf("again %+v", h)
	}
	s.Settle(Normal, 1)
	s.Settle(Normal, 1)
	if h, err := s.Next(Normal); h != (SessionHeader{ID: 7, Sequence: 4, LowestUnacked: 3}) || err != nil || len(s.lanes[Normal].settled) != 0 {
		t.Errorf("%+v, %v, %v settled", h, err, s.lanes[Normal].settled)
	}
	if got := s.Acked(); got != [2]uint64{3, 1} {
		t.Errorf("acknowledged below %v", got)
	}
}
