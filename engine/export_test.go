package engine

import "github.com/rawl-db/rawl/wal"

// Controls returns how many control records of the log were queued since the engine was opened,
// and how many of them are durable.
func (l *Log) Controls() (queued, durable uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.controls); n > 0 {
		return l.controls[n-1].seq, l.done
	}
	return l.done, l.done
}

// DecodeInstall decodes the payload of a wal.KindInstall record for a snapshot at id, and encodes it again.
func DecodeInstall(payload []byte, id EntryID) (again []byte, segments []Segment, err error) {
	in, err := decodeInstall(&wal.Record{Index: id.Index, Term: id.Term, Payload: payload})
	if err != nil {
		return nil, nil, err
	}
	again, err = appendInstall(nil, in)
	return again, in.segments, err
}

// EncodeInstall is the payload for a snapshot of that length with live entries in segments.
func EncodeInstall(s Snapshot, segments []Segment, heals bool) ([]byte, error) {
	return appendInstall(nil, &installation{snap: s, segments: segments, heals: heals})
}
