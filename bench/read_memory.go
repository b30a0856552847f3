package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// memoryLog is how many entries stand in memory while they are read.
const memoryLog = 8192

// memory measures what one goroutine pays for an entry in memory, in nanoseconds of CPU where the
// system tells them, else of time. The first line is read while the log's owner appends.
func (c *readCase) memory(ctx context.Context, t *readTable) error {
	l, err := c.e.Create("memory")
	if err != nil {
		return err
	}
	f := &filled{e: c.e, logs: []*engine.Log{l}, payload: randomPayload(c.memSize)}
	if err := f.add(ctx, memoryLog); err != nil {
		return err
	}
	fmt.Printf("one reader of %d entries of %s in memory; ns are of its CPU\n", memoryLog, sizeName(c.memSize))
	at := engine.Index(0)
	one := func() (int, error) {
		for range 256 {
			at = (at + 7919) % memoryLog
			if _, err := l.Read(1 + at); err != nil {
				return 0, err
			}
		}
		return 256, nil
	}
	if err := c.besideOwner(ctx, f, func() error { return c.timed(ctx, t, "memory, Read beside appends", one) }); err != nil {
		return err
	}
	if err := c.timed(ctx, t, "memory, Read", one); err != nil {
		return err
	}
	if err := c.timed(ctx, t, "memory, ReadRange", func() (n int, err error) {
		for _, err := range l.ReadRange(1, memoryLog) {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}); err != nil {
		return err
	}
	return c.timed(ctx, t, "memory, ReadBatches", func() (n int, err error) {
		for es, err := range l.ReadBatches(1, memoryLog) {
			if err != nil {
				return n, err
			}
			n += len(es)
		}
		return n, nil
	})
}

// besideOwner runs measure while the log's owner appends, at a moderate rate.
func (c *readCase) besideOwner(ctx context.Context, f *filled, measure func() error) error {
	var stop atomic.Bool
	ended := make(chan error, 1)
	go func() { // ends with measure
		var err error
		for err == nil && !stop.Load() {
			err = f.append(ctx, f.logs[0], 8)
			time.Sleep(100 * time.Microsecond)
		}
		ended <- err
	}()
	err := measure()
	stop.Store(true)
	return errors.Join(err, <-ended)
}

// timed calls read on one thread until the time is over.
func (c *readCase) timed(ctx context.Context, t *readTable, name string, read func() (int, error)) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	n := 0
	before, began := threadSeconds(), time.Now()
	for time.Since(began) < c.duration && ctx.Err() == nil {
		k, err := read()
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
	r := readResult{Suite: "read", Name: name, Size: c.memSize, EntriesPerS: perS, MBPerS: perS * float64(c.memSize) / 1e6,
		NanosPer: ptr(spent / float64(n) * 1e9)}
	if err := t.line(r); err != nil {
		return err
	}
	return ctx.Err()
}
