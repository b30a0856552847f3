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
		if err != nil {
			if err = c.pass(i, err); err != nil {
				return 0, loc, false, err
			}
			continue
		}
		if i > c.last {
			break
		}
		if c.at = i + 1; c.keep.next(i) == i {
			return i, loc, true, nil
		}
	}
	return 0, loc, false, nil
}

// pass goes on behind what Next refused from index i on, unless something kept is hit. At the end of
// the segment, or of all indexes, at becomes 0.
func (c *cursor) pass(i raftlog.Index, err error) error {
	var damage *segment.CorruptError
	if !errors.As(err, &damage) { // ErrNotFound
		c.at = 0
		return nil
	}
	if c.keep.next(i) <= min(damage.Range.Last, c.last) {
		return err
	}
	c.at = damage.Range.Last + 1
	return nil
}
