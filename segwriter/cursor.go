package segwriter

import (
	"errors"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
)

// cursor walks the kept entries of a segment in the reader's memory, ascending.
type cursor struct {
	r    *segment.Reader
	at   raftlog.Index // the next entry is here or above
	last raftlog.Index // of what counts
	keep retained
}

// next returns the next kept entry that the segment holds; ok is false when there is none. The
// error, a *segment.CorruptError, says that one may be damaged. Damage of what is not kept is
// passed over.
func (c *cursor) next() (i raftlog.Index, loc segment.Location, ok bool, err error) {
	for c.at != 0 && c.at <= c.last {
		if c.at = c.keep.next(c.at); c.at > c.last {
			break
		}
		i, loc, err := c.r.Next(c.at)
		var damage *segment.CorruptError
		switch {
		case errors.As(err, &damage):
			if c.keep.next(i) <= min(damage.Range.Last, c.last) {
				return 0, loc, false, err
			}
			c.at = damage.Range.Last + 1 // 0 behind the highest index ends the walk
		case err != nil || i > c.last: // ErrNotFound
			return 0, loc, false, nil
		case c.keep.next(i) != i:
			c.at = i + 1
		default:
			c.at = i + 1
			return i, loc, true, nil
		}
	}
	return 0, loc, false, nil
}
