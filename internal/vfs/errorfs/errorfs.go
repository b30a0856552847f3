package errorfs

import (
	iofs "io/fs"
	"sync"
	"syscall"

	"github.com/rawl-db/rawl/internal/vfs"
)

// Plan says which operation fails and how. The zero Plan counts all and fails none.
type Plan struct {
	// K is the number, from 1, of the first counted operation that fails; 0 fails none.
	K     int
	Fault Fault
	// Sticky fails every counted operation from the K-th on, until Heal.
	Sticky bool
	// Match limits what is counted; nil accepts all. It may be called by any goroutine that
	// uses the file system, one at a time, and must not use the FS itself.
	Match func(Op) bool
}

// FS is a file system that fails on demand. All methods may be called by any goroutine.
// It implements vfs.FS.
type FS struct {
	inner   vfs.FS
	stalled chan Op

	mu       sync.Mutex // held across no call of inner
	plan     Plan
	count    int
	tripped  bool
	gate     uint64        // the stalls decided under a lower number are released
	released chan struct{} // closed when gate rises
}

var _ vfs.FS = (*FS)(nil)

// New wraps inner; p may be replaced later with Arm.
func New(inner vfs.FS, p Plan) *FS {
	return &FS{inner: inner, plan: p, stalled: make(chan Op, 4096), released: make(chan struct{})}
}

// FailAt wraps inner so that the k-th operation the fault can hit fails, and no other.
func FailAt(inner vfs.FS, k int, f Fault) *FS { return New(inner, Plan{K: k, Fault: f}) }

// FailFrom wraps inner so that every operation the fault can hit fails from the k-th on,
// until Heal.
func FailFrom(inner vfs.FS, k int, f Fault) *FS {
	return New(inner, Plan{K: k, Fault: f, Sticky: true})
}

// Arm replaces the plan and starts counting anew. What is stalled stays so.
func (fs *FS) Arm(p Plan) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.plan, fs.count, fs.tripped = p, 0, false
}

// Heal ends all faults until the next Arm, and releases what is stalled. Counting goes on.
func (fs *FS) Heal() {
	fs.mu.Lock()
	fs.plan.K = 0
	fs.mu.Unlock()
	fs.Release()
}

// Tripped reports whether an operation has failed, or stalled, since the last Arm.
func (fs *FS) Tripped() bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.tripped
}

// Count returns how many operations were counted since the last Arm.
func (fs *FS) Count() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.count
}

// Stalled returns the channel on which each operation is announced when it stalls. It
// holds 4096 announcements; more are lost.
func (fs *FS) Stalled() <-chan Op { return fs.stalled }

// Release lets all operations go on that a Stall befell so far.
func (fs *FS) Release() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.gate++
	close(fs.released)
	fs.released = make(chan struct{})
}

// verdict is what was decided about one operation.
type verdict struct {
	op    Op
	fault Fault // 0 for none
	num   int   // of the operation, from 1
	gate  uint64
}

// decide counts an operation.
func (fs *FS) decide(op Op) verdict {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	p := fs.plan
	if !p.Fault.hits(op) || p.Match != nil && !p.Match(op) {
		return verdict{op: op}
	}
	fs.count++
	v := verdict{op: op, num: fs.count, gate: fs.gate}
	if p.Fault != 0 && p.K > 0 && (fs.count == p.K || p.Sticky && fs.count > p.K) {
		fs.tripped = true
		v.fault = p.Fault
	}
	return v
}

// announce tells who waits that the operation stalls.
func (fs *FS) announce(v verdict) {
	select {
	case fs.stalled <- v.op:
	default:
	}
}

// passed returns whether a stalled operation may go on, and if not, what to wait for
// before asking again.
func (fs *FS) passed(v verdict) (bool, <-chan struct{}) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.gate > v.gate, fs.released
}

// stall blocks until the operation is released.
func (fs *FS) stall(v verdict) {
	fs.announce(v)
	for {
		ok, released := fs.passed(v)
		if ok {
			return
		}
		<-released
	}
}

// do runs call unless a fault forbids it. undo takes back what a late failure must not
// hand out; it may be nil.
func (fs *FS) do(op Op, call func() error, undo func()) error {
	v := fs.decide(op)
	switch v.fault {
	case 0:
		return call()
	case Stall:
		fs.stall(v)
		return call()
	case LateEIO, SyncKept:
		if err := call(); err != nil {
			return err
		}
		if undo != nil {
			undo()
		}
	}
	return v.err()
}

// err returns the error of the fault.
func (v verdict) err() error {
	var err error = syscall.EIO
	switch v.fault {
	case NoSpace:
		err = syscall.ENOSPC
	case ShortTransfer:
		err = vfs.ErrShortWrite
	}
	return &iofs.PathError{Op: v.op.Kind.String(), Path: v.op.Name, Err: err}
}
