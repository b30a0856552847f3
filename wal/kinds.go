package wal

import (
	"encoding/binary"
	"fmt"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// Kinds of records in a WAL file. Index, Term, Prev and payload mean what is said here;
// fields that are not named are 0. The numbers are frozen.
const (
	// KindDeclare gives a file-local number to a log, once per file and before its first
	// other record. Payload: log id (8 bytes), UID.
	KindDeclare frame.Kind = 1
	// KindEntry is an entry, or with FlagFragment a part of one. Index, Term, Type and
	// payload are the entry's; Prev is the index that precedes it in its log.
	KindEntry frame.Kind = 2
	// KindHardState is term and vote. Term: the term. Payload: the vote.
	KindHardState frame.Kind = 3
	// KindCreate begins a log's life. Payload: the UID.
	KindCreate frame.Kind = 4
	// KindDelete ends a log's life.
	KindDelete frame.Kind = 5
	// KindRelease says that entries up to Index are no longer needed. Term: of the entry at Index.
	KindRelease frame.Kind = 6
	// KindTruncate cuts the log: Index is the last index kept.
	KindTruncate frame.Kind = 7
	// KindSnapshot says that a captured state of the log is published. Index and Term are those of the
	// last entry that it covers; the payload belongs to the engine.
	KindSnapshot frame.Kind = 9
	// KindSlot is the position of a named reader: Index and Term of the last entry that it needs no
	// longer. The payload belongs to the engine.
	KindSlot frame.Kind = 10
	// KindInstall says that a state of another member took the place of the whole log, which goes on
	// behind Index and Term: nothing of the log that was written before counts any more. The payload
	// belongs to the engine.
	KindInstall frame.Kind = 11
	// KindApplied is the last applied index. It may be skipped by who does not know it.
	KindApplied frame.Kind = frame.Optional | 8
)

// Flags of KindEntry. A fragment's payload is a prefix of 12 bytes (checksum of the whole
// payload, its length, offset of this part; 4 bytes each) and the part. FlagFirst and
// FlagLast mark the ends of the chain; fragments of one entry follow one another in order,
// with other logs' records between them.
const (
	FlagFragment uint8 = 1 << iota
	FlagFirst
	FlagLast
)

// FragmentSize is the longest payload that travels in one record, in bytes; longer ones
// are cut into parts of this size.
const FragmentSize = 256 << 10

const fragmentPrefix = 12

func appendDeclare(b []byte, id raftlog.LogID, uid raftlog.UID) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(id))
	return append(b, uid...)
}

func decodeDeclare(b []byte) (raftlog.LogID, raftlog.UID, error) {
	if len(b) < 8 {
		return 0, "", fmt.Errorf("%w: declaration of %d bytes", frame.ErrCorrupt, len(b))
	}
	id, uid := raftlog.LogID(binary.LittleEndian.Uint64(b)), raftlog.UID(b[8:])
	if err := uid.Validate(); err != nil || id == 0 {
		return 0, "", fmt.Errorf("%w: declaration of log %d: %w", frame.ErrCorrupt, id, err)
	}
	return id, uid, nil
}
