package snapshotwriter

import (
	"errors"
	"fmt"
	"sync"

	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/internal/snapshot"
)

// Writer writes, promotes and receives snapshot files of any number of logs. All methods may
// be called by any goroutine.
type Writer struct {
	o       Options
	limiter limiter
	queue   chan Job
	closed  chan struct{} // closed by Close
	buffers sync.Pool     // of *[]byte: a chunk with its header

	mu struct { // never held across I/O or calls out
		sync.Mutex
		closed bool
		// busy holds the finished names of the files that jobs and receivers work on.
		busy map[string]struct{}
		// interrupted says how far files got whose receiving was interrupted in this life of the Writer, by their names.
		interrupted map[string]interrupted
		// poisoned holds checkpoints whose sync failed and that could not be removed.
		poisoned map[string]struct{}
	}
}

// New returns a Writer. It does no I/O. The error joins all violations of the options.
func New(o Options) (*Writer, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	w := &Writer{
		o:       o,
		limiter: limiter{rate: o.BytesPerSecond},
		queue:   make(chan Job, o.QueueDepth),
		closed:  make(chan struct{}),
	}
	w.mu.busy, w.mu.poisoned, w.mu.interrupted = map[string]struct{}{}, map[string]struct{}{}, map[string]interrupted{}
	return w, nil
}

// Workers is the number of goroutines that Options asks for.
func (w *Writer) Workers() int { return w.o.Workers }

// Queued is the number of jobs that wait.
func (w *Writer) Queued() int { return len(w.queue) }

// Enqueue hands a job to the workers. It does no I/O and never waits. Errors, after which Done is
// not called: ErrQueueFull, ErrClosed, ErrMeta.
func (w *Writer) Enqueue(j Job) error {
	if err := w.complete(&j); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.closed {
		return ErrClosed
	}
	select {
	case w.queue <- j:
		return nil
	default:
		return ErrQueueFull
	}
}

// complete fills in what the Writer decides, and checks the rest.
func (w *Writer) complete(j *Job) error {
	if j.Done == nil {
		return fmt.Errorf("%w: Done is nil", ErrMeta)
	}
	if j.Promote {
		return nil
	}
	if j.State == nil {
		return fmt.Errorf("%w: State is nil", ErrMeta)
	}
	if j.Meta.ChunkBytes == 0 {
		j.Meta.ChunkBytes = w.o.ChunkBytes
	}
	j.Meta.Codec = w.o.codecName()
	if j.Meta.Salt == 0 {
		j.Meta.Salt = j.Meta.NewSalt(w.o.Now())
	}
	return j.Meta.Validate()
}

// Step runs one job to its end when one waits. It returns whether another does.
func (w *Writer) Step() (more bool) {
	select {
	case j := <-w.queue:
		w.run(&j)
	default:
	}
	return len(w.queue) > 0
}

// Run is the loop of one worker: it runs jobs until stop or Close. The job that runs when stop is
// closed comes to its end; Close ends it between two chunks.
func (w *Writer) Run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-w.closed:
			return
		default:
		}
		j, end := sched.Wait(w.o.World, w.queue, stop, w.closed)
		if end != sched.Received {
			return
		}
		w.run(&j)
	}
}

// run runs a job and reports.
func (w *Writer) run(j *Job) {
	var res Result
	stopped := func() error { return errors.Join(w.ended(), j.ended()) }
	if j.Promote {
		res = w.promote(j.Meta.Log, j.Meta.ID, stopped)
	} else {
		res.Snapshot, res.Err = w.write(j, stopped)
	}
	j.Done(res)
}

// ended returns ErrClosed once Close was called.
func (w *Writer) ended() error {
	select {
	case <-w.closed:
		return ErrClosed
	default:
		return nil
	}
}

// Close refuses new jobs, ends those that wait with ErrClosed, and makes those that run, receivers
// included, end with ErrClosed at their next chunk. It does not wait for them: whoever runs the
// workers does. A second Close does nothing.
func (w *Writer) Close() error {
	w.mu.Lock()
	again := w.mu.closed
	w.mu.closed = true
	w.mu.Unlock()
	if again {
		return nil
	}
	close(w.closed)
	for {
		select {
		case j := <-w.queue:
			j.Done(Result{Err: ErrClosed})
		default:
			return nil
		}
	}
}

// claim takes the right to work on a file, named as finished. Error: ErrBusy.
func (w *Writer) claim(path string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, busy := w.mu.busy[path]; busy {
		return fmt.Errorf("%w: %s", ErrBusy, path)
	}
	w.mu.busy[path] = struct{}{}
	return nil
}

func (w *Writer) release(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.mu.busy, path)
}

// buffer returns room for a chunk of n bytes with its header.
func (w *Writer) buffer(n int) *[]byte {
	n += snapshot.ChunkHeaderBytes
	b, _ := w.buffers.Get().(*[]byte)
	if b == nil || cap(*b) < n {
		b = new(make([]byte, n))
	}
	*b = (*b)[:n]
	return b
}
