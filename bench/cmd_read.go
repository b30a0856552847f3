package main

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/engine"
)

const readText = `Fills logs and reads them: entries in memory, and after a flush from segments, one at a time at
random and in sequence, with a warm page cache and a cold one; then one large log cold, by plans of
1,000 random entries and in sequence, in turns with what the device gives for the same files.`

// readCase is what one run of bench read measures.
type readCase struct {
	row      row
	entries  int
	readers  int
	duration time.Duration
	e        *engine.Engine
	logs     []*engine.Log
	calls    int64 // of each line, 0 for no limit: a cold cache warms as it is read
	planLog  int
	depth    int
	memSize  int
	brief    bool
	fio      bool
	table    *readTable
}

func runRead(ctx context.Context, args []string) error {
	var c readCase
	fs := newFlags("read", readText)
	c.row.storeFlags(fs)
	fs.IntVar(&c.row.Logs, "logs", 100, "number of logs")
	fs.IntVar(&c.row.Size, "size", 1024, "payload of an entry, bytes")
	fs.IntVar(&c.entries, "entries", 2048, "entries per log")
	fs.IntVar(&c.readers, "readers", 4, "goroutines that read")
	fs.DurationVar(&c.duration, "duration", 2*time.Second, "measured time of each line")
	fs.IntVar(&c.planLog, "planlog", 256<<10, "entries of the log that plans read")
	fs.IntVar(&c.depth, "depth", 32, "reads in flight of a plan")
	fs.IntVar(&c.memSize, "memsize", 256, "payload of an entry of the memory lines, bytes")
	fs.BoolVar(&c.brief, "brief", false, "leave out the lines of many readers")
	noFio := fs.Bool("nofio", false, "do not ask fio, although it is installed")
	jsonFile := fs.String("json", "", "write one JSON object per line to this file, - is standard output")
	dir := fs.String("dir", "", "where to work; default a new directory under the current one, removed afterwards")
	if err := parse(fs, args); err != nil {
		return err
	}
	w, err := newWorkspace(*dir)
	if err != nil {
		return err
	}
	defer w.remove()
	c.row.Dir = filepath.Join(w.dir, "engine")
	c.fio = !*noFio && haveFio()
	out, closeOut, err := openJSON(*jsonFile)
	if err != nil {
		return err
	}
	c.table = &readTable{w: os.Stdout, json: out}
	fmt.Println(where(w.dir))
	defer closeOut()
	return c.run(ctx)
}

func (c *readCase) run(ctx context.Context) error {
	o, err := c.row.options()
	if err != nil {
		return err
	}
	o.MemoryBytes, o.WALFileBytes, o.SegmentEntries = 4<<30, 1<<29, 64<<10
	if c.e, err = engine.Open(c.row.Dir, o); err != nil {
		return err
	}
	defer func() { _ = c.e.Close(context.WithoutCancel(ctx)) }()
	c.table.header()
	if err := c.memory(ctx, c.table); err != nil {
		return err
	}
	if !c.brief {
		if err := c.many(ctx); err != nil {
			return err
		}
	}
	return c.disk(ctx, c.table)
}

// many measures many readers of many logs.
func (c *readCase) many(ctx context.Context) error {
	f, err := newFilled(c.e, c.row.Logs, c.row.Size)
	if err != nil {
		return err
	}
	c.logs = f.logs
	if err := f.add(ctx, c.entries); err != nil {
		return err
	}
	fmt.Printf("%d logs × %d entries × %s, %d readers\n", c.row.Logs, c.entries, sizeName(c.row.Size), c.readers)
	if err := c.both(ctx, "memory"); err != nil {
		return err
	}
	if err := c.e.Flush(ctx); err != nil {
		return err
	}
	if err := c.both(ctx, "segments, warm"); err != nil {
		return err
	}
	how, err := forget(c.row.Dir)
	if err != nil {
		fmt.Println("cold reads are left out:", err)
		return nil
	}
	fmt.Printf("cold: %s before each line, and only a fiftieth of the entries is read\n", how)
	c.calls = max(int64(c.row.Logs*c.entries/50), 1)
	if err := c.measure(ctx, "segments, cold, random", c.random); err != nil {
		return err
	}
	if _, err := forget(c.row.Dir); err != nil {
		return err
	}
	c.calls = int64(max(c.row.Logs/2, 1))
	return c.measure(ctx, "segments, cold, in sequence", c.sequence)
}

// forget empties the page cache: all of it where that is allowed, else of the files in dir.
func forget(dir string) (how string, err error) {
	if dropCaches() == nil {
		return "caches dropped", nil
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			err = forgetFile(path)
		}
		return err
	})
	return "files forgotten", err
}

// both measures random and sequential reads.
func (c *readCase) both(ctx context.Context, where string) error {
	if err := c.measure(ctx, where+", random", c.random); err != nil {
		return err
	}
	return c.measure(ctx, where+", in sequence", c.sequence)
}

// measure runs read on every reader until the time is over. read returns how many it read.
func (c *readCase) measure(ctx context.Context, name string, read func(*rand.Rand) (int, error)) error {
	var wg sync.WaitGroup
	var entries, calls atomic.Int64
	errs := make(chan error, c.readers)
	recs := newRecorders()
	began, cpu := time.Now(), cpuSeconds()
	for i := range c.readers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 2))
			for time.Since(began) < c.duration && ctx.Err() == nil {
				if c.calls > 0 && calls.Add(1) > c.calls {
					return
				}
				at := time.Now()
				n, err := read(rng)
				if err != nil {
					errs <- err
					return
				}
				entries.Add(int64(n))
				recs[i%len(recs)].record(time.Since(at))
			}
		})
	}
	wg.Wait()
	took := time.Since(began).Seconds()
	close(errs)
	if err := <-errs; err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	perS, h := float64(entries.Load())/took, merged(recs)
	r := readResult{Suite: "read", Name: name, Size: c.row.Size, EntriesPerS: perS, MBPerS: perS * float64(c.row.Size) / 1e6,
		P50: percentile(h, 50), P99: percentile(h, 99)}
	if after := cpuSeconds(); cpu != nil && after != nil {
		r.CPUPerM = ptr((*after - *cpu) / float64(entries.Load()) * 1e6)
	}
	if err := c.table.line(r); err != nil {
		return err
	}
	return ctx.Err()
}

func (c *readCase) random(rng *rand.Rand) (int, error) {
	l := c.logs[rng.IntN(len(c.logs))]
	e, err := l.Read(1 + engine.Index(rng.IntN(c.entries)))
	if err == nil && len(e.Data) != c.row.Size {
		err = fmt.Errorf("entry %v has %d bytes", e.ID(), len(e.Data))
	}
	return 1, err
}

func (c *readCase) sequence(rng *rand.Rand) (n int, err error) {
	l := c.logs[rng.IntN(len(c.logs))]
	for e, err := range l.ReadRange(1, engine.Index(c.entries)) {
		if err != nil {
			return n, err
		}
		if n++; e.Index != engine.Index(n) {
			return n, fmt.Errorf("entry %d where %d was due", e.Index, n)
		}
	}
	return n, nil
}
