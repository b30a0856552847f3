package readplan

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
)

// ExecutorOptions configures an Executor. FS and Cache must be set; zero values of the other
// fields mean their defaults.
type ExecutorOptions struct {
	// FS makes the queues; they must take the files that Cache opens.
	FS    vfs.FS
	Cache *Cache
	// Direct reads around the page cache, where the file system can: for segments that were
	// written so, and are in no cache.
	Direct bool
	// Queues is the most queues kept while nobody uses them; those in use come on top, each with
	// up to 32 MiB of buffers. Default 2. 1 to 1024.
	Queues int
}

func (o ExecutorOptions) withDefaults() ExecutorOptions {
	if o.Queues == 0 {
		o.Queues = 2
	}
	return o
}

func (o ExecutorOptions) validate() error {
	var errs []error
	if o.FS == nil || o.Cache == nil {
		errs = append(errs, errors.New("readplan: FS or Cache is nil"))
	}
	if o.Queues < 1 || o.Queues > 1024 {
		errs = append(errs, fmt.Errorf("readplan: Queues %d is not in 1 to 1024", o.Queues))
	}
	return errors.Join(errs...)
}

// Executor makes plans and owns what their executions need. All methods may be called by any
// goroutine.
type Executor struct {
	o         ExecutorOptions
	reclaimed atomic.Uint64
	groups    sync.Pool // of *[2]group: the garbage collector takes the buffers of an idle engine

	mu struct { // never held across I/O or a call out
		sync.Mutex
		live   map[*body]struct{}
		made   uint64
		free   []*lane // the one used last is at the end
		lanes  int     // those in use included
		rests  bool    // no idle queue is kept; until the next plan is made
		closed bool
	}
}

// Stats is a snapshot of an Executor.
type Stats struct {
	// Live plans are neither closed nor reclaimed. Made counts all since the start, Reclaimed
	// those that were forgotten instead of closed.
	Live      int
	Made      uint64
	Reclaimed uint64
	// Queues are held, those in use included.
	Queues int
}

// Held says what one live plan keeps from being freed.
type Held struct {
	Log raftlog.LogID
	// Segments are pinned on disk.
	Segments []raftlog.Segment
	// MemoryBytes is the payload of entries that were in memory; up to 1 MiB around each may be
	// alive with it.
	MemoryBytes int64
}

// NewExecutor returns an Executor. It does no I/O. The error joins all violations of the options.
func NewExecutor(o ExecutorOptions) (*Executor, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	x := &Executor{o: o}
	x.mu.live = map[*body]struct{}{}
	return x, nil
}

// Stats returns a snapshot.
func (x *Executor) Stats() Stats {
	x.mu.Lock()
	defer x.mu.Unlock()
	return Stats{Live: len(x.mu.live), Made: x.mu.made, Reclaimed: x.reclaimed.Load(), Queues: x.mu.lanes}
}

// Held returns what the live plans hold, in no order.
func (x *Executor) Held() []Held {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := make([]Held, 0, len(x.mu.live))
	for b := range x.mu.live {
		out = append(out, Held{Log: b.id, Segments: b.segments, MemoryBytes: b.bytes})
	}
	return out
}

// Close makes executions give ErrClosed for what they would still have to read, and closes the
// queues; one in use is closed by the execution that has it. Plans stay, with what is in memory.
func (x *Executor) Close() error {
	x.mu.Lock()
	x.mu.closed = true
	free := x.takeFreeLocked()
	x.mu.Unlock()
	return closeLanes(free)
}

// Rest closes the queues that nobody uses, and those in use when their executions end, unless another
// plan is made before: an engine without logs keeps none. Errors: those of closing a queue.
func (x *Executor) Rest() error {
	x.mu.Lock()
	x.mu.rests = true
	free := x.takeFreeLocked()
	x.mu.Unlock()
	return closeLanes(free)
}

func (x *Executor) takeFreeLocked() []*lane {
	free := x.mu.free
	x.mu.free = nil
	x.mu.lanes -= len(free)
	return free
}

func closeLanes(lanes []*lane) error {
	var errs []error
	for _, l := range lanes {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

func (x *Executor) isClosed() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.mu.closed
}

func (x *Executor) enroll(b *body) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.mu.closed {
		return ErrClosed
	}
	x.mu.live[b] = struct{}{}
	x.mu.rests = false
	x.mu.made++
	return nil
}

// forget takes a plan out whose last execution has ended, and unpins its files.
func (x *Executor) forget(b *body) {
	x.mu.Lock()
	segments := b.segments
	b.segments = nil // Held reads it under mu
	delete(x.mu.live, b)
	x.mu.Unlock()
	for _, s := range segments {
		x.o.Cache.Unpin(b.id, s.Number)
	}
}

// borrow returns a lane that nobody uses.
func (x *Executor) borrow() *lane {
	l := x.idleLane()
	if l == nil {
		l = &lane{}
		if q, err := x.o.FS.NewQueue(maxDepth); err == nil {
			l.q = q
		} // else it reads without
	}
	l.groups, _ = x.groups.Get().(*[2]group)
	if l.groups == nil {
		l.groups = &[2]group{{number: 0}, {number: 1}}
	}
	return l
}

// idleLane returns a lane that was given back, nil when there is none and one more must be made.
func (x *Executor) idleLane() *lane {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := len(x.mu.free)
	if n == 0 {
		x.mu.lanes++
		return nil
	}
	l := x.mu.free[n-1]
	x.mu.free = x.mu.free[:n-1]
	return l
}

// giveBack keeps a lane for the next execution, or closes it when it is broken or one too many.
func (x *Executor) giveBack(l *lane) {
	if l.q != nil { // else a queue that failed may still write to the buffers
		x.groups.Put(l.groups)
	}
	l.groups = nil
	x.mu.Lock()
	keep := l.q != nil && !x.mu.closed && !x.mu.rests && len(x.mu.free) < x.o.Queues
	if keep {
		x.mu.free = append(x.mu.free, l)
	} else {
		x.mu.lanes--
	}
	x.mu.Unlock()
	if !keep {
		_ = l.close() // nothing is in flight
	}
}
