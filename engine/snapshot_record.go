package engine

import (
	"encoding/binary"
	"fmt"
	"path/filepath"

	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/wal"
)

// The payload of a wal.KindSnapshot record: kind (1 byte), flags (1 byte, 0), length of the
// file and number of live entries (unsigned varints).

func appendSnapshot(b []byte, s Snapshot) []byte {
	b = append(b, byte(s.Kind), 0)
	b = binary.AppendUvarint(b, uint64(s.Bytes))
	return binary.AppendUvarint(b, s.Live)
}

// decodeSnapshot reads such a record. The error wraps ErrCorrupt, or ErrVersion for flags of a later
// version.
func decodeSnapshot(rec *wal.Record) (Snapshot, error) {
	s := Snapshot{ID: EntryID{Term: rec.Term, Index: rec.Index}}
	p := rec.Payload
	if len(p) < 2 {
		return s, fmt.Errorf("%w: snapshot record of %d bytes", ErrCorrupt, len(p))
	}
	if p[1] != 0 {
		return s, fmt.Errorf("%w: snapshot record with flags %#x", ErrVersion, p[1])
	}
	s.Kind = SnapshotKind(p[0])
	bytes, n := binary.Uvarint(p[2:])
	if n <= 0 || bytes>>63 != 0 {
		return s, fmt.Errorf("%w: length in a snapshot record", ErrCorrupt)
	}
	live, m := binary.Uvarint(p[2+n:])
	if m <= 0 || 2+n+m != len(p) || !s.Kind.Valid() || s.ID.Index == 0 {
		return s, fmt.Errorf("%w: snapshot record of %s at %v", ErrCorrupt, s.Kind, s.ID)
	}
	s.Bytes, s.Live = int64(bytes), live
	return s, nil
}

func (l *Log) snapshotPath(s Snapshot) string {
	return filepath.Join(l.e.logDir(l.id), snapshot.FileName(s.Kind, s.ID))
}
