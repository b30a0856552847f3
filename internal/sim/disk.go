package sim

import (
	"strings"

	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
)

// disk is what one life of a node has of its disk: what makes it fail, and the time that commits take.
type disk struct {
	*errorfs.FS
	place   *place
	stalled bool  // commits are not answered
	slow    int64 // how long commits may take, 0 for as long as usual
}

// NewQueue implements vfs.FS.
func (d *disk) NewQueue(depth int) (vfs.Queue, error) {
	q, err := d.FS.NewQueue(depth)
	if err != nil {
		return nil, err
	}
	return &diskQueue{Queue: q, disk: d}, nil
}

// diskQueue lets commits take their time: those of the write-ahead log, for whose queue nobody else waits.
type diskQueue struct {
	vfs.Queue
	disk    *disk
	commits []*vfs.Op
}

// Submit implements vfs.Queue.
func (q *diskQueue) Submit(op *vfs.Op) error {
	if op.Kind != vfs.OpRead && strings.HasSuffix(op.File.Name(), ".wal") {
		q.commits = append(q.commits, op)
	}
	return q.Queue.Submit(op)
}

// Reap implements vfs.Queue. What is submitted reaches the device before the wait, after it, or in between: then its bytes
// lie in the cache meanwhile, and a power cut tears them.
func (q *diskQueue) Reap(atLeast int, done []*vfs.Op) (int, error) {
	commits := q.commits
	q.commits = nil
	if atLeast == 0 || len(commits) == 0 || q.disk.place.dead {
		return q.Queue.Reap(atLeast, done)
	}
	switch q.disk.place.s.random.IntN(3) {
	case 0:
		n, err := q.Queue.Reap(atLeast, done)
		q.disk.rest()
		return n, err
	case 1:
		for _, op := range commits {
			if op.Kind == vfs.OpWrite {
				_, _ = op.File.WriteAt(op.Buf, op.Off) // the operation itself says what is wrong
			}
		}
	}
	q.disk.rest()
	return q.Queue.Reap(atLeast, done)
}

// release ends a stall.
func (d *disk) release() {
	d.stalled, d.slow = false, 0
	d.place.changed = true
}

// rest is how long the device takes.
func (d *disk) rest() {
	p := d.place
	took := 30_000 + p.s.random.Int64N(200_000)
	if p.s.random.IntN(50) == 0 {
		took *= 50
	}
	if d.slow > 0 {
		took += p.s.random.Int64N(d.slow)
	}
	p.Park(p.s.now+took, nil)
	if d.stalled {
		p.Park(sched.Never, func() bool { return !d.stalled })
	}
}
