package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/rawl-db/rawl/engine"
)

const readersText = `Measures what external readers cost: writers at half the rate that they reach, in turns alone and
with a tail reader on every log, and what an entry in memory costs a reader. CPU is the process's.`

// readersCase is what one run of bench readers measures.
type readersCase struct {
	row      row
	duration time.Duration
	slices   int
	table    *figureTable
	b        *beside
}

func runReaders(ctx context.Context, args []string) error {
	c := readersCase{row: newRow(100, 256)}
	fs := newFlags("readers", readersText)
	c.row.storeFlags(fs)
	fs.IntVar(&c.row.Logs, "logs", c.row.Logs, "number of logs, each with a producer and a reader")
	fs.IntVar(&c.row.Size, "size", c.row.Size, "payload of an entry, bytes")
	fs.IntVar(&c.row.Outstanding, "outstanding", c.row.Outstanding, "entries each producer has in flight; 0 waits for every append")
	fs.IntVar(&c.row.Batch, "batch", c.row.Batch, "entries per append")
	fs.IntVar(&c.row.Rate, "rate", 0, "rate of all producers together, entries/s; 0 is half of what they reach")
	fs.DurationVar(&c.duration, "duration", 5*time.Second, "measured time with readers, and of the writers alone")
	fs.IntVar(&c.slices, "slices", 5, "turns that both take")
	jsonFile := fs.String("json", "", "write one JSON object per line to this file, - is standard output")
	dir := fs.String("dir", "", "where to work; default a new directory under the current one, removed afterwards")
	if err := parse(fs, args); err != nil {
		return err
	}
	c.row.Producers, c.row.Commit = c.row.Logs, true
	if err := c.row.validate(); err != nil {
		return err
	}
	if c.slices < 1 {
		return errors.New("-slices must be at least 1")
	}
	w, err := newWorkspace(*dir)
	if err != nil {
		return err
	}
	defer w.remove()
	c.row.Dir = filepath.Join(w.dir, "engine")
	out, closeOut, err := openJSON(*jsonFile)
	if err != nil {
		return err
	}
	defer closeOut()
	c.table = &figureTable{w: os.Stdout, json: out, suite: "readers"}
	fmt.Println(where(w.dir))
	return c.run(ctx)
}

func (c *readersCase) run(ctx context.Context) (err error) {
	if c.b, err = openBeside(c.row); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.b.store.close()) }()
	d := c.duration / time.Duration(c.slices)
	saturated, rate, err := c.b.halve(c.row.Rate, d)
	if err != nil {
		return err
	}
	fmt.Printf("%s; saturated at %s entries/s, measured at %s\n", c.row.label(), count(saturated), count(float64(rate)))
	c.table.header()
	alone, with := newSide(), newSide()
	for i := range c.slices {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		first, second := func() error { return c.b.slice(alone, d) }, func() error { return c.read(ctx, with, d) }
		if i%2 == 1 {
			first, second = second, first
		}
		if err := first(); err != nil {
			return err
		}
		if err := second(); err != nil {
			return err
		}
	}
	if err := c.lines(c.b.result(alone), c.b.result(with)); err != nil {
		return err
	}
	return c.memory(ctx)
}

// lines prints the writers' figures and the readers'.
func (c *readersCase) lines(alone, with measure) error {
	if err := c.table.line(writers("writers alone", alone)); err != nil {
		return err
	}
	f := writers("writers, a tail reader on each log", with)
	f.Ratio, f.Goal = over(with.P99, alone.P99), "p99 at most 1.10"
	if err := c.table.line(f); err != nil {
		return err
	}
	delivered := float64(with.Delivered)
	f = figure{Name: "tail readers, entries delivered", EntriesPerS: ptr(ratio(delivered, with.Seconds)), Goal: "at most 300 ns"}
	if with.CPUSeconds != nil && alone.CPUSeconds != nil && delivered > 0 {
		own := *alone.CPUSeconds * ratio(float64(with.Entries), float64(alone.Entries))
		f.NanosPer = ptr((*with.CPUSeconds - own) / delivered * 1e9)
	}
	return c.table.line(f)
}

// read measures a slice with a reader on every log.
func (c *readersCase) read(ctx context.Context, s *side, d time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup // of the tails, which end with ctx
	for i, l := range c.b.store.logs {
		r, err := c.b.store.e.OpenReader(l.UID(), engine.FromNext(), engine.ReaderOptions{})
		if err != nil {
			cancel()
			wg.Wait()
			return err
		}
		c.b.store.holds[i].Store(uint64(r.Cursor().At.Index))
		wg.Go(func() {
			if err := c.tail(ctx, r, i); err != nil {
				c.b.load.fail(err)
			}
		})
	}
	err := c.b.slice(s, d)
	cancel()
	wg.Wait()
	for i := range c.b.store.holds {
		c.b.store.holds[i].Store(math.MaxUint64)
	}
	return err
}

// tail reads until ctx ends.
func (c *readersCase) tail(ctx context.Context, r *engine.Reader, i int) error {
	defer r.Close()
	store, next := c.b.store, r.Cursor().At.Index+1
	for b, err := range r.TailBatches(ctx) {
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if b.First.Index != next {
			return fmt.Errorf("log %s: reader got %v where %d was due", r.UID(), b.First, next)
		}
		next = b.Last.Index + 1
		store.delivered.Add(uint64(len(b.Entries)))
		store.holds[i].Store(uint64(b.Last.Index))
	}
	return nil
}

// memory measures what entries in memory cost a reader.
func (c *readersCase) memory(ctx context.Context) error {
	e := c.b.store.e
	f := &filled{e: e, payload: randomPayload(c.row.Size)}
	l, err := e.Create("memory")
	if err != nil {
		return err
	}
	f.logs = []*engine.Log{l}
	if err := f.add(ctx, memoryLog); err != nil {
		return err
	}
	if err := f.settle(ctx); err != nil {
		return err
	}
	if err := l.SetCommitted(memoryLog); err != nil {
		return err
	}
	entries := func(r *engine.Reader) (n int, err error) {
		for _, err := range r.Entries(ctx) {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
	if err := c.timed(ctx, l, "Entries, in memory", "at most 15 ns", entries); err != nil {
		return err
	}
	return c.timed(ctx, l, "Batches, in memory", "at most 3 ns", func(r *engine.Reader) (n int, err error) {
		for b, err := range r.Batches(ctx) {
			if err != nil {
				return n, err
			}
			n += len(b.Entries)
		}
		return n, nil
	})
}

// timed reads the whole log over and over on one thread.
func (c *readersCase) timed(ctx context.Context, l *engine.Log, name, goal string, read func(*engine.Reader) (int, error)) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	n, before, began := 0, threadSeconds(), time.Now()
	for time.Since(began) < c.duration/5 && ctx.Err() == nil {
		r, err := c.b.store.e.OpenReader(l.UID(), engine.FromFirst(), engine.ReaderOptions{})
		if err != nil {
			return err
		}
		k, err := read(r)
		r.Close()
		if err == nil && k != memoryLog {
			err = fmt.Errorf("%d entries of %d", k, memoryLog)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		n += k
	}
	spent := time.Since(began).Seconds()
	perS := float64(n) / spent
	if after := threadSeconds(); before != nil && after != nil {
		spent = *after - *before
	}
	return errors.Join(c.table.line(figure{Name: name, EntriesPerS: &perS, NanosPer: ptr(spent / float64(n) * 1e9), Goal: goal}), ctx.Err())
}
