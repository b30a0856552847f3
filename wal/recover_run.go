package wal

import (
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/rawl-db/rawl/internal/raftlog"
)

const maxRecCheckers = 16

// recovery is one call of Recover. Its fields belong to the caller's goroutine.
type recovery struct {
	o        RecoverOptions
	v        Visitor
	report   Report
	files    []*recFile
	logs     map[raftlog.LogID]*recLog
	checkers *recCheckers
	durable  uint64    // the watermark: the last batch that was certainly durable
	spare    *recChain // for the next chain of fragments
	rec      Record    // what Visitor.Record gets, filled anew each time
	tail     recTail
}

func newRecovery(o RecoverOptions, v Visitor) *recovery {
	return &recovery{o: o, v: v, durable: uint64(o.Flushed), logs: map[raftlog.LogID]*recLog{}}
}

func (r *recovery) run() error {
	if err := r.probeAll(); err != nil {
		return err
	}
	full, behind := setCuts(r.files)
	n := 0
	if !r.o.Serial {
		n = r.o.Checkers
		if n <= 0 {
			n = runtime.GOMAXPROCS(0) - 1
		}
		n = min(max(n, 1), maxRecCheckers)
	}
	r.checkers = newRecCheckers(n)
	defer r.checkers.stop()
	err := r.loseStart(full)
	if err == nil {
		err = r.replayAll(full, behind)
	}
	if err == nil && len(full) == 0 && behind {
		err = (&recReplay{r: r, file: r.files[len(r.files)-1], names: &recNames{}}).endLost()
	}
	if err == nil {
		err = r.finishTail()
	}
	r.dropChains()
	for _, f := range r.files {
		r.report.Files = append(r.report.Files, f.report)
	}
	r.report.LastDurable = raftlog.Batch(r.durable)
	r.report.NextBatch = raftlog.Batch(r.durable) + 1
	return err
}

// probeAll looks at every file before any is replayed: the first batch of a file cuts its predecessor.
func (r *recovery) probeAll() error {
	numbers := slices.Clone(r.o.Files)
	slices.Sort(numbers)
	buf := &recBuffer{fs: r.o.FS}
	defer buf.release()
	return r.withLoader(func(l *recLoader) error {
		for _, number := range slices.Compact(numbers) {
			f, err := l.probe(number, r.o.Stream, buf)
			if err != nil {
				return err
			}
			r.files = append(r.files, f)
		}
		return nil
	})
}

// withLoader runs do with a loader whose queue lives no longer.
func (r *recovery) withLoader(do func(*recLoader) error) error {
	q, err := r.o.FS.NewQueue(recReadDepth)
	if err != nil {
		return fmt.Errorf("wal: queue for recovery: %w", err)
	}
	err = do(&recLoader{fs: r.o.FS, dir: r.o.Dir, direct: r.o.Direct, queue: q})
	if e := q.Close(); err == nil && e != nil {
		err = fmt.Errorf("wal: queue for recovery: %w", e)
	}
	return err
}

// replayAll loads and replays the files that hold frames.
func (r *recovery) replayAll(full []*recFile, behind bool) error {
	if len(full) == 0 {
		return nil
	}
	last := full[len(full)-1]
	each := func(l *recLoaded) error {
		if l.err != nil {
			return l.err
		}
		return r.replay(l, l.file == last, behind)
	}
	if !r.o.Serial {
		return r.readAhead(full, each)
	}
	buf := &recBuffer{fs: r.o.FS}
	defer buf.release()
	return r.withLoader(func(l *recLoader) error {
		for _, f := range full {
			got := l.load(f, buf)
			if err := each(&got); err != nil {
				return err
			}
		}
		return nil
	})
}

// readAhead loads a file while each is at work on the one before. The goroutine it starts ends
// before readAhead returns.
func (r *recovery) readAhead(full []*recFile, each func(*recLoaded) error) error {
	free, out, quit := make(chan *recBuffer, 2), make(chan recLoaded), make(chan struct{})
	buffers := [2]recBuffer{{fs: r.o.FS}, {fs: r.o.FS}}
	for i := range buffers {
		defer buffers[i].release()
		free <- &buffers[i]
	}
	var wait sync.WaitGroup
	defer wait.Wait()
	defer close(quit)
	wait.Go(func() {
		defer close(out)
		send := func(l recLoaded) bool {
			select {
			case out <- l:
				return true
			case <-quit:
				return false
			}
		}
		err := r.withLoader(func(l *recLoader) error {
			for _, f := range full {
				select {
				case buf := <-free:
					if !send(l.load(f, buf)) {
						return nil
					}
				case <-quit:
					return nil
				}
			}
			return nil
		})
		if err != nil {
			send(recLoaded{err: err})
		}
	})
	for l := range out {
		if err := each(&l); err != nil {
			return err
		}
		free <- l.buf
	}
	return nil
}
