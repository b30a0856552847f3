package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rawl-db/rawl/engine"
)

const flushText = `Fills many logs and times Flush with nothing in the foreground: the first flush, which makes
the logs' directories and segments, and later ones, which append to them.`

// flushCase is what one run of bench flush measures.
type flushCase struct {
	row          row
	bytes, times int
}

func runFlush(ctx context.Context, args []string) error {
	var c flushCase
	fs := newFlags("flush", flushText)
	c.row.storeFlags(fs)
	fs.IntVar(&c.row.Logs, "logs", 1000, "number of logs")
	fs.IntVar(&c.row.Size, "size", 1024, "payload of an entry, bytes")
	fs.IntVar(&c.bytes, "bytes", 256<<10, "payload of each log per flush, bytes")
	fs.IntVar(&c.times, "times", 3, "flushes after the first")
	dir := fs.String("dir", "", "where to work; default a new directory under the current one, removed afterwards")
	cpu := fs.String("cpuprofile", "", "write a CPU profile of the flushes to this file")
	if err := parse(fs, args); err != nil {
		return err
	}
	w, err := newWorkspace(*dir)
	if err != nil {
		return err
	}
	defer w.remove()
	stop, err := profile(row{CPUProfile: *cpu})
	if err != nil {
		return err
	}
	c.row.Dir = filepath.Join(w.dir, "engine")
	fmt.Println(where(w.dir))
	err = c.run(ctx, w.dir)
	if e := stop(); err == nil {
		err = e
	}
	return err
}

func (c *flushCase) run(ctx context.Context, scratch string) error {
	o, err := c.row.options()
	if err != nil {
		return err
	}
	// One file holds a whole round, so that nothing is flushed before Flush.
	round := int64(c.row.Logs) * int64(c.bytes)
	o.WALFileBytes = min((round+round/4)&^4095+8<<20, 1<<30)
	o.MemoryBytes = 4 << 30
	e, err := engine.Open(c.row.Dir, o)
	if err != nil {
		return err
	}
	defer func() { _ = e.Close(context.WithoutCancel(ctx)) }()
	f, err := newFilled(e, c.row.Logs, c.row.Size)
	if err != nil {
		return err
	}
	stream := streamBandwidth(scratch, time.Second)
	fmt.Printf("%d logs × %s per flush, entries of %s; device direct sequential writes %s MB/s\n",
		c.row.Logs, sizeName(c.bytes), sizeName(c.row.Size), fixed(scaled(stream, 1e-6), 0))
	for i := range c.times + 1 {
		if err := c.flush(ctx, e, f, i, stream); err != nil {
			return err
		}
	}
	return nil
}

func (c *flushCase) flush(ctx context.Context, e *engine.Engine, f *filled, i int, stream *float64) error {
	if err := f.add(ctx, c.bytes/c.row.Size); err != nil {
		return err
	}
	if err := f.settle(ctx); err != nil {
		return err
	}
	cpu, dev := cpuSeconds(), deviceOf(c.row.Dir)
	began := time.Now()
	if err := e.Flush(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	bytes := float64(c.row.Logs) * float64(c.bytes)
	name := "into existing segments"
	if i == 0 {
		name = "first flush"
	}
	perS := bytes / took.Seconds()
	fmt.Printf("%-24s %9s  %7.0f logs/s  %7.1f MB/s", name, took.Round(time.Millisecond), float64(c.row.Logs)/took.Seconds(), perS/1e6)
	if stream != nil {
		fmt.Printf("  %4.0f %% of the device", 100*perS / *stream)
	}
	if after := cpuSeconds(); cpu != nil && after != nil {
		fmt.Printf("  CPU %.2f s", *after-*cpu)
	}
	if after := deviceOf(c.row.Dir); dev != nil && after != nil {
		fmt.Printf("  device writes %s, flushes %d", megabytes(float64(after.sectors-dev.sectors)*512), after.flushes-dev.flushes)
	}
	fmt.Fprintln(os.Stdout)
	return nil
}

// streamBandwidth is the device's for direct sequential writes, measured for d; nil where it is not.
func streamBandwidth(dir string, d time.Duration) *float64 {
	p, err := openProbe(dir)
	if err != nil {
		return nil
	}
	defer func() { _ = p.close() }()
	bw, err := p.stream(d)
	if err != nil {
		return nil
	}
	return &bw
}

// scanBandwidth is the device's for direct sequential reads, measured for d; nil where it is not.
func scanBandwidth(dir string, d time.Duration) *float64 {
	p, err := openProbe(dir)
	if err != nil {
		return nil
	}
	defer func() { _ = p.close() }()
	bw, err := p.scan(d)
	if err != nil {
		return nil
	}
	return &bw
}
