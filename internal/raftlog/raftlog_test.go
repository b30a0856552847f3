package raftlog

import "testing"

func TestRange(t *testing.T) {
	for _, tc := range []struct {
		r    Range
		len  uint64
		in   []Index
		out  []Index
		text string
	}{
		{Range{}, 0, nil, []Index{0, 1, maxIndex}, "[]"},
		{Range{First: 0, Last: 5}, 0, nil, []Index{0, 1, 5}, "[]"},
		{Range{First: 6, Last: 5}, 0, nil, []Index{5, 6}, "[]"},
		{Range{First: 1, Last: 1}, 1, []Index{1}, []Index{0, 2}, "[1,1]"},
		{Range{First: 3, Last: 9}, 7, []Index{3, 5, 9}, []Index{0, 2, 10, maxIndex}, "[3,9]"},
		{Range{First: 1, Last: maxIndex}, uint64(maxIndex), []Index{1, maxIndex}, []Index{0}, "[1,18446744073709551615]"},
	} {
		if tc.r.Len() != tc.len || tc.r.Empty() != (tc.len == 0) || tc.r.String() != tc.text {
			t.Errorf("%+v: Len %d, Empty %v, String %s", tc.r, tc.r.Len(), tc.r.Empty(), tc.r)
		}
		for _, i := range tc.in {
			if !tc.r.Contains(i) {
				t.Errorf("%v does not contain %d", tc.r, i)
			}
		}
		for _, i := range tc.out {
			if tc.r.Contains(i) {
				t.Errorf("%v contains %d", tc.r, i)
			}
		}
	}
}

func TestRangeIntersect(t *testing.T) {
	for a := range Index(7) {
		for b := range Index(7) {
			for c := range Index(7) {
				for d := range Index(7) {
					x, y := Range{First: a, Last: b}, Range{First: c, Last: d}
					got := x.Intersect(y)
					if got.Empty() && got != (Range{}) {
						t.Fatalf("%v and %v give %+v, an empty range that is not the zero Range", x, y, got)
					}
					for i := range Index(8) {
						if want := x.Contains(i) && y.Contains(i); got.Contains(i) != want {
							t.Fatalf("%v and %v give %v: contains %d is %v", x, y, got, i, !want)
						}
					}
				}
			}
		}
	}
}

func TestEntryID(t *testing.T) {
	e := Entry{Index: 7, Term: 3, Type: 1, Data: []byte("x")}
	if e.ID() != (EntryID{Term: 3, Index: 7}) || e.ID().String() != "3/7" {
		t.Fatalf("identity %v", e.ID())
	}
}
