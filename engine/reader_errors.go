package engine

import (
	"errors"
	"fmt"
)

// Errors of external readers. A reader that can not go on says one of three things, each with a
// type of its own: what comes next is gone because it was released (GapError), the log holds
// another history than the one that was read (DivergedError, TruncatedError), or what comes next
// was damaged (LossError).
var (
	// ErrCommitted means that a truncation would cut entries that SetCommitted named.
	ErrCommitted = errors.New("engine: entry is committed")
	// ErrDiverged means that the log does not hold the entry that a cursor names; see DivergedError.
	ErrDiverged = errors.New("engine: cursor and log have diverged")
	// ErrIncarnation means that a cursor was taken from another log: of another UID, or of an
	// earlier life of this one.
	ErrIncarnation = errors.New("engine: cursor is of another incarnation of the log")
	// ErrBadCursor means that a text is no cursor, or was changed.
	ErrBadCursor = errors.New("engine: bad cursor")
	// ErrFilter means that a reader's filter panicked; see FilterError.
	ErrFilter = errors.New("engine: reader's filter panicked")
	// ErrReaderClosed means that the reader was closed.
	ErrReaderClosed = errors.New("engine: reader was closed")
	// ErrReaderBusy means that another iteration over the same reader is running.
	ErrReaderBusy = errors.New("engine: reader is in use")
)

// GapError says that a reader wants entries that were released. What they led to is in a
// snapshot. errors.Is(err, ErrCompacted) holds.
type GapError struct {
	UID UID
	// Want is the first index that is missing, First the first one that the log still has.
	Want, First Index
	// Snapshot is what to restart from, zero when the log has none.
	Snapshot EntryID
}

func (e *GapError) Error() string {
	return fmt.Sprintf("%v: reader of log %s wants %d, it begins at %d, snapshot %v", ErrCompacted, e.UID, e.Want, e.First, e.Snapshot)
}

// Is reports whether target is ErrCompacted.
func (e *GapError) Is(target error) bool { return target == ErrCompacted }

// DivergedError says that the history which a cursor names is not that of the log.
// errors.Is(err, ErrDiverged) holds.
type DivergedError struct {
	Cursor Cursor
	// Have is the log's entry at the cursor's index. It is zero when the log ends earlier: the
	// entry was cut, or a crash took it before it was durable here, and then it may come back.
	Have EntryID
	// Last is the log's last entry.
	Last EntryID
	// Common is the highest index up to which both histories can be the same, by their terms:
	// a reader that goes back has to go back at least that far. 0 when no entry that the log
	// still holds can be common.
	Common Index
	// Snapshot is what to restart from, zero when the log has none.
	Snapshot EntryID
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("%v: log %s has %v where the cursor has %v, it ends at %v, at most %d is common, snapshot %v",
		ErrDiverged, e.Cursor.UID, e.Have, e.Cursor.At, e.Last, e.Common, e.Snapshot)
}

// Is reports whether target is ErrDiverged.
func (e *DivergedError) Is(target error) bool { return target == ErrDiverged }

// TruncatedError says that entries which a reader of uncommitted entries has delivered were cut
// from the log. The reader stands before From afterwards: its next iteration delivers what
// replaces them. errors.Is(err, ErrTruncated) holds.
type TruncatedError struct {
	UID UID
	// From is the lowest delivered index that is not valid any more.
	From Index
	// Delivered is the newest entry that was delivered.
	Delivered EntryID
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("%v: log %s was cut before %d, a reader had delivered up to %v", ErrTruncated, e.UID, e.From, e.Delivered)
}

// Is reports whether target is ErrTruncated.
func (e *TruncatedError) Is(target error) bool { return target == ErrTruncated }

// LossError says that a reader can not go on because entries were damaged. Err is the
// cause: errors.Is finds ErrCorrupt or ErrQuarantined in it.
type LossError struct {
	UID UID
	// Lost holds the indexes that may be hit, as far as the reader wants them; Last is 0 when
	// the end is unknown.
	Lost Range
	// Snapshot is what to restart from, zero when the log has none.
	Snapshot EntryID
	Err      error
}

func (e *LossError) Error() string {
	return fmt.Sprintf("engine: log %s has lost [%d,%d], snapshot %v: %v", e.UID, e.Lost.First, e.Lost.Last, e.Snapshot, e.Err)
}

// Unwrap returns the cause.
func (e *LossError) Unwrap() error { return e.Err }

// FilterError says at which entry a filter panicked, and with what. errors.Is(err, ErrFilter) holds.
type FilterError struct {
	UID   UID
	At    EntryID
	Panic any
}

func (e *FilterError) Error() string {
	return fmt.Sprintf("%v: log %s at %v: %v", ErrFilter, e.UID, e.At, e.Panic)
}

// Is reports whether target is ErrFilter.
func (e *FilterError) Is(target error) bool { return target == ErrFilter }
