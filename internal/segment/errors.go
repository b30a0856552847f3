package segment

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// ErrNotFound means that the segment does not hold the index: outside its range, or a hole.
var ErrNotFound = errors.New("segment: index not in this segment")

// CorruptError says which bytes did not verify and which indexes are lost with them.
// errors.Is(err, frame.ErrCorrupt) holds.
type CorruptError struct {
	Path string
	// Offset is where the damage was seen, in bytes from the start of the file.
	Offset int64
	// Range holds every index that may be hit.
	Range  raftlog.Range
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s: %v at byte %d: %s, indexes %v", e.Path, frame.ErrCorrupt, e.Offset, e.Reason, e.Range)
}

// Unwrap returns frame.ErrCorrupt.
func (e *CorruptError) Unwrap() error { return frame.ErrCorrupt }
