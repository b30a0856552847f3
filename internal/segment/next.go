package segment

import "github.com/rawl-db/rawl/internal/raftlog"

// Next returns the lowest entry at or above i that the segment holds, and where it is, from
// memory: holes cost nothing, however wide. Errors: ErrNotFound when there is none;
// *CorruptError, with the lowest index hit, when a damaged part comes first.
func (r *Reader) Next(i raftlog.Index) (raftlog.Index, Location, error) {
	i = max(i, r.s.Range.First)
	x := &r.index
	found := r.s.Range.Last
	n := x.runAt(i)
	held := n < len(x.runs) && max(i, x.runs[n].first) <= r.s.Range.Last
	if held {
		found = max(i, x.runs[n].first)
	}
	if d := x.damageAt(i); d != nil && max(i, d.Range.First) <= found {
		return max(i, d.Range.First), Location{}, d
	}
	if !held || r.s.Range.Empty() {
		return 0, Location{}, ErrNotFound
	}
	return found, x.at(&x.runs[n], found).export(), nil
}

func (l location) export() Location {
	return Location{Offset: l.off, Length: int(l.length), Term: l.term, Type: l.typ, CRC: l.crc}
}
