package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"
)

// Seq is an ordered set of indexes, kept as ranges: the live indexes of a
// snapshot are many but lie in runs. The zero Seq is the empty set. Index 0 means
// none and is never a member.
//
// Add and AddRange change the set; every other method leaves it alone and returns
// sets that share no memory with it. Two copies made by assignment do share memory:
// after one only either may still be changed, so use Clone to keep both. A Seq that nobody
// changes may be read from any goroutine.
type Seq struct {
	ranges []Range // ascending, none empty, at least one index missing between neighbours
}

// SeqOf returns the set of the given indexes, in any order.
func SeqOf(indexes ...Index) Seq {
	var s Seq
	for _, i := range indexes {
		s.Add(i)
	}
	return s
}

// Add adds an index; 0 adds nothing. Ascending order costs O(log ranges), any
// other order O(ranges).
func (s *Seq) Add(i Index) { s.AddRange(Range{First: i, Last: i}) }

// AddRange adds every index of r; an empty range adds nothing.
func (s *Seq) AddRange(r Range) {
	if r.Empty() {
		return
	}
	// [lo, hi) are the ranges that overlap r or touch it.
	lo := sort.Search(len(s.ranges), func(k int) bool { return s.ranges[k].Last >= r.First-1 })
	hi := lo
	for hi < len(s.ranges) && s.ranges[hi].First-1 <= r.Last {
		hi++
	}
	if lo < hi {
		r.First = min(r.First, s.ranges[lo].First)
		r.Last = max(r.Last, s.ranges[hi-1].Last)
	}
	s.ranges = slices.Replace(s.ranges, lo, hi, r)
}

// Clone returns an independent copy.
func (s Seq) Clone() Seq { return Seq{ranges: slices.Clone(s.ranges)} }

// Contains reports whether i is a member.
func (s Seq) Contains(i Index) bool {
	k := sort.Search(len(s.ranges), func(k int) bool { return s.ranges[k].Last >= i })
	return k < len(s.ranges) && s.ranges[k].Contains(i)
}

// Empty reports whether the set has no member.
func (s Seq) Empty() bool { return len(s.ranges) == 0 }

// Len is the number of members.
func (s Seq) Len() uint64 {
	var n uint64
	for _, r := range s.ranges {
		n += r.Len()
	}
	return n
}

// First is the lowest member, 0 when there is none.
func (s Seq) First() Index {
	if s.Empty() {
		return 0
	}
	return s.ranges[0].First
}

// Last is the highest member, 0 when there is none.
func (s Seq) Last() Index {
	if s.Empty() {
		return 0
	}
	return s.ranges[len(s.ranges)-1].Last
}

// Next is the lowest member that is not below i, 0 when there is none.
func (s Seq) Next(i Index) Index {
	k := sort.Search(len(s.ranges), func(k int) bool { return s.ranges[k].Last >= i })
	if k == len(s.ranges) {
		return 0
	}
	return max(i, s.ranges[k].First)
}

// Floor returns the members that are not below i.
func (s Seq) Floor(i Index) Seq { return s.within(Range{First: max(i, 1), Last: ^Index(0)}) }

// Limit returns the members that are not above i.
func (s Seq) Limit(i Index) Seq { return s.within(Range{First: 1, Last: i}) }

func (s Seq) within(bounds Range) Seq {
	var out Seq
	for _, r := range s.ranges {
		if x := r.Intersect(bounds); !x.Empty() {
			out.ranges = append(out.ranges, x)
		}
	}
	return out
}

// Union returns the members of either set.
func (s Seq) Union(o Seq) Seq {
	a, b := s.ranges, o.ranges
	out := make([]Range, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		var r Range
		if len(b) == 0 || len(a) > 0 && a[0].First <= b[0].First {
			r, a = a[0], a[1:]
		} else {
			r, b = b[0], b[1:]
		}
		if n := len(out); n > 0 && r.First-1 <= out[n-1].Last {
			out[n-1].Last = max(out[n-1].Last, r.Last)
		} else {
			out = append(out, r)
		}
	}
	return Seq{ranges: out}
}

// Equal reports whether both sets have the same members.
func (s Seq) Equal(o Seq) bool { return slices.Equal(s.ranges, o.ranges) }

// Ranges yields the members as maximal runs, ascending.
func (s Seq) Ranges() iter.Seq[Range] { return slices.Values(s.ranges) }

// All yields the members, ascending.
func (s Seq) All() iter.Seq[Index] {
	return func(yield func(Index) bool) {
		for _, r := range s.ranges {
			for n, i := r.Len(), r.First; n > 0; n, i = n-1, i+1 {
				if !yield(i) {
					return
				}
			}
		}
	}
}

// String renders the set as its ranges, for example {[1,3] [7,7]}.
func (s Seq) String() string {
	b := []byte{'{'}
	for k, r := range s.ranges {
		if k > 0 {
			b = append(b, ' ')
		}
		b = append(b, r.String()...)
	}
	return string(append(b, '}'))
}

// ErrBadSeq is wrapped by every error of ParseSeq.
var ErrBadSeq = errors.New("bad index set")

// AppendBinary appends the encoding of the set to b and returns the result:
//
//	uvarint  number of ranges
//	then per range, ascending:
//	uvarint  First minus the lowest value it could have: 1 for the first range,
//	         the previous range's Last + 2 for the others
//	uvarint  Last minus First
//
// Every set has exactly one encoding. It carries no checksum and no length.
func (s Seq) AppendBinary(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(s.ranges)))
	least := Index(1)
	for _, r := range s.ranges {
		b = binary.AppendUvarint(b, uint64(r.First-least))
		b = binary.AppendUvarint(b, uint64(r.Last-r.First))
		least = r.Last + 2
	}
	return b
}

// ParseSeq decodes a set from the start of b and returns it with the number of
// bytes it took. It keeps no reference to b and allocates at most 8 bytes per byte
// of b. Anything that AppendBinary would not write is an error that wraps ErrBadSeq.
func ParseSeq(b []byte) (s Seq, n int, err error) {
	count, n, err := parseUvarint(b, 0)
	if err != nil {
		return Seq{}, 0, err
	}
	if room := uint64(len(b)-n) / 2; count > room { // a range takes two bytes or more
		return Seq{}, 0, fmt.Errorf("%w: %d ranges in %d bytes", ErrBadSeq, count, len(b)-n)
	}
	if count == 0 {
		return Seq{}, n, nil
	}
	ranges := make([]Range, count)
	least := uint64(1)
	for k := range ranges {
		var skip, length uint64
		if skip, n, err = parseUvarint(b, n); err != nil {
			return Seq{}, 0, err
		}
		if length, n, err = parseUvarint(b, n); err != nil {
			return Seq{}, 0, err
		}
		first := least + skip
		last := first + length
		// least is below 2 only for the first range, and after a range that leaves no
		// room for another.
		if first < least || last < first || k > 0 && least < 2 {
			return Seq{}, 0, fmt.Errorf("%w: range %d exceeds the highest index", ErrBadSeq, k)
		}
		ranges[k] = Range{First: Index(first), Last: Index(last)}
		least = last + 2
	}
	return Seq{ranges: ranges}, n, nil
}

// parseUvarint reads the number at b[at:] and returns it with the offset after it.
func parseUvarint(b []byte, at int) (uint64, int, error) {
	v, n := binary.Uvarint(b[at:])
	if n <= 0 {
		return 0, 0, fmt.Errorf("%w: truncated or oversized number at byte %d", ErrBadSeq, at)
	}
	if n > 1 && b[at+n-1] == 0 {
		return 0, 0, fmt.Errorf("%w: padded number at byte %d", ErrBadSeq, at)
	}
	return v, at + n, nil
}
