package wal

import (
	"sync"
	"sync/atomic"

	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/internal/vfs"
)

// Pool keeps files ready for the committer. Step, Fill and Run belong to one goroutine;
// Return and Wake may be called by any.
type Pool struct {
	o      *Options
	busy   func() bool // whether commits are running
	notify func()      // called when a spare became ready, and after a failure
	wake   chan struct{}
	hurry  atomic.Bool // the committer waits for a file

	made, recycled atomic.Uint64

	mu struct { // never held across I/O
		sync.Mutex
		spares   []spare
		returned []uint64        // files to recycle, oldest first
		doomed   []uint64        // files to remove
		retired  []vfs.File      // files to close
		failed   map[uint64]bool // files in service that must not be used again
		err      error           // of the last failure, until a spare is ready
		failures int             // in a row
	}

	// Owned by Step's goroutine.
	work   *preparation
	next   uint64
	direct bool
	block  []byte // memory for headers and zeros; nil until needed
	free   func()
}

// spare is a file that is ready to be written.
type spare struct {
	number uint64
	file   vfs.File
	zeroed int64 // bytes from its start that have been written before
}

func newPool(o *Options, busy func() bool, notify func()) *Pool {
	p := &Pool{o: o, busy: busy, notify: notify, wake: make(chan struct{}, 1), next: o.NextNumber, direct: o.Direct}
	p.mu.returned = append(p.mu.returned, o.Pooled...)
	p.mu.failed = make(map[uint64]bool)
	return p
}

// Return gives a file back that was sealed, when nothing it holds is needed any more and the
// engine durably knows that it is out of service. It is recycled or removed.
func (p *Pool) Return(number uint64) {
	p.mu.Lock()
	if p.mu.failed[number] {
		delete(p.mu.failed, number)
		p.mu.doomed = append(p.mu.doomed, number)
	} else {
		p.mu.returned = append(p.mu.returned, number)
	}
	p.mu.Unlock()
	p.Wake()
}

// Wake makes a sleeping Run look for work.
func (p *Pool) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run steps until stop is closed; it is the pool's goroutine.
func (p *Pool) Run(stop <-chan struct{}) {
	sleeper := p.o.World.Sleeper()
	defer sleeper.Close()
	for end := sched.Due; end != sched.Stopped; {
		pause, more := p.Step()
		due := sched.Never
		if more {
			due = p.o.World.Now() + int64(pause)
		}
		end = sleeper.Until(due, p.wake, stop)
	}
}

// Fill steps until a spare is ready, for the start of an engine, when nothing else drives the
// pool. It hands out a file that is filled with zeros ahead of its writer rather than wait
// for a full one. The error is that of preparing the file.
func (p *Pool) Fill() error {
	p.hurry.Store(true)
	for !p.hasReady() {
		if pause, _ := p.Step(); pause == failurePause {
			return p.failure()
		}
	}
	return nil
}

func (p *Pool) hasReady() bool { return p.spares() > 0 }

func (p *Pool) spares() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.spares)
}

// take removes the spare with the lowest number.
func (p *Pool) take() (spare, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := takeFirst(&p.mu.spares)
	if ok {
		p.Wake()
	}
	return s, ok
}

// retire takes a file that the committer will not touch again, to be closed.
func (p *Pool) retire(f vfs.File, number uint64, failed bool) {
	p.mu.Lock()
	p.mu.retired = append(p.mu.retired, f)
	if failed {
		p.mu.failed[number] = true
	}
	p.mu.Unlock()
	p.Wake()
}

func (p *Pool) hurryUp() {
	if !p.hurry.Swap(true) {
		p.Wake()
	}
}

// demand is hurryUp for a committer that has no file left: one more attempt is made, and only if that fails too do the
// earlier ones count. The device may have healed since.
func (p *Pool) demand() {
	p.mu.Lock()
	p.mu.failures = min(p.mu.failures, brokenAfter-1)
	p.mu.Unlock()
	p.hurry.Store(true)
	p.Wake()
}

// brokenAfter is the number of failures without a success after which the pool counts as broken.
const brokenAfter = 3

// broken returns why no spare is to be expected, or nil. A lack of space shows at once.
func (p *Pool) broken() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mu.spares) > 0 || p.mu.failures < brokenAfter && !noSpace(p.mu.err) {
		return nil
	}
	return p.mu.err
}

// failure is why the last preparation failed, nil when it did not.
func (p *Pool) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.err
}

func (p *Pool) stats(s *Stats) {
	p.mu.Lock()
	s.SparesReady, s.SparesPooled = len(p.mu.spares), len(p.mu.returned)
	p.mu.Unlock()
	s.SparesMade, s.SparesRecycled = p.made.Load(), p.recycled.Load()
}

// close closes all files and drops what is half prepared. Errors of closing change nothing:
// all that was acknowledged is synced.
func (p *Pool) close() {
	p.mu.Lock()
	retired, spares := p.mu.retired, p.mu.spares
	p.mu.retired, p.mu.spares = nil, nil
	p.mu.Unlock()
	for _, f := range retired {
		_ = f.Close()
	}
	for _, s := range spares {
		_ = s.file.Close()
	}
	p.abandon()
	if p.free != nil {
		p.free()
		p.free, p.block = nil, nil
	}
}
