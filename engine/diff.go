package engine

import (
	"errors"
	"fmt"
	"iter"

	"github.com/rawl-db/rawl/internal/vfs"
)

// DiffOptions says what to compare.
type DiffOptions struct {
	// UID is the log to compare, empty for all that both directories have.
	UID UID
	// WALDirA and WALDirB are what Options.WALDir was when the engines were opened.
	WALDirA, WALDirB string
}

// LogDiff compares two replicas of a log.
type LogDiff struct {
	UID UID
	// InA and InB say which of the directories have the log; the rest is empty unless both do.
	InA, InB bool
	// Compared counts the entries that both hold, up to the first that differs.
	Compared uint64
	// At is the index of the first entry that differs, 0 for none, and A and B are its two forms.
	At   Index
	A, B DumpRecord
	// LastA and LastB are the last entries. That one log is longer is no difference.
	LastA, LastB EntryID
	// Damaged counts entries that could not be compared, because one side cannot be read.
	Damaged int
}

// Equal reports whether the replicas agree where both hold entries.
func (d *LogDiff) Equal() bool { return d.At == 0 && d.Damaged == 0 }

// Diff compares the logs of two directories by term, type, length and checksum of each entry that both
// hold, and finds the first that differs (Raft's log matching property: what precedes one that is
// equal is equal). Replicas may differ above what is committed, until their leader has healed it. It takes no
// lock and writes nothing; for each log it reads the write-ahead logs anew. Logs are ascending by UID.
//
// Errors: ErrNotFound when neither directory has the log that was asked for, and those of Dump.
func Diff(dirA, dirB string, o DiffOptions) ([]LogDiff, error) {
	from, err := offlineFS()
	if err != nil {
		return nil, err
	}
	return DiffOn(from, dirA, dirB, o)
}

// DiffOn is Diff on any file system. It is for tests.
func DiffOn(from vfs.FS, dirA, dirB string, o DiffOptions) ([]LogDiff, error) {
	a, err := InspectOn(from, dirA, InspectOptions{WALDir: o.WALDirA})
	if err != nil {
		return nil, err
	}
	b, err := InspectOn(from, dirB, InspectOptions{WALDir: o.WALDirB})
	if err != nil {
		return nil, err
	}
	var all []LogDiff
	for _, d := range pair(a.Logs, b.Logs) {
		if o.UID != "" && d.UID != o.UID {
			continue
		}
		if d.InA && d.InB {
			entriesA := DumpOn(from, dirA, d.UID, Range{}, DumpOptions{WALDir: o.WALDirA})
			entriesB := DumpOn(from, dirB, d.UID, Range{}, DumpOptions{WALDir: o.WALDirB})
			if err := d.compare(entriesA, entriesB); err != nil {
				return nil, err
			}
		}
		all = append(all, d)
	}
	if o.UID != "" && len(all) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, o.UID)
	}
	return all, nil
}

// pair merges two lists that are ascending by UID.
func pair(a, b []LogInfo) (all []LogDiff) {
	for len(a) > 0 || len(b) > 0 {
		var d LogDiff
		d.InA = len(a) > 0 && (len(b) == 0 || a[0].UID <= b[0].UID)
		d.InB = len(b) > 0 && (len(a) == 0 || b[0].UID <= a[0].UID)
		if d.InA {
			d.UID, d.LastA, a = a[0].UID, a[0].Last, a[1:]
		}
		if d.InB {
			d.UID, d.LastB, b = b[0].UID, b[0].Last, b[1:]
		}
		all = append(all, d)
	}
	return all
}

// compare walks both replicas along their indexes to the first entry that differs.
func (d *LogDiff) compare(entriesA, entriesB iter.Seq2[DumpRecord, error]) error {
	nextA, stopA := iter.Pull2(entriesA)
	defer stopA()
	nextB, stopB := iter.Pull2(entriesB)
	defer stopB()
	a, moreA, err := d.next(nextA)
	if err != nil {
		return err
	}
	b, moreB, err := d.next(nextB)
	if err != nil {
		return err
	}
	for moreA && moreB {
		skipA, skipB := a.Index <= b.Index, b.Index <= a.Index
		if skipA && skipB {
			if a.Term != b.Term || a.Type != b.Type || a.Size != b.Size || a.CRC != b.CRC {
				d.At, d.A, d.B = a.Index, a, b
				return nil
			}
			d.Compared++
		}
		if skipA {
			if a, moreA, err = d.next(nextA); err != nil {
				return err
			}
		}
		if skipB {
			if b, moreB, err = d.next(nextB); err != nil {
				return err
			}
		}
	}
	return nil
}

// next returns the next entry that can be read.
func (d *LogDiff) next(next func() (DumpRecord, error, bool)) (DumpRecord, bool, error) {
	for {
		r, err, more := next()
		switch {
		case !more:
			return DumpRecord{}, false, nil
		case err == nil:
			return r, true, nil
		case r.Index == 0 || !errors.Is(err, ErrCorrupt):
			return DumpRecord{}, false, err
		}
		d.Damaged++
	}
}
