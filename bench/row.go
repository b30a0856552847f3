package main

import (
	"flag"
	"fmt"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// The stores that a row can measure.
const (
	storeEngine = "engine"
	storeFloor  = "floor"
)

// row says what one measurement does. It travels to the measuring process as JSON.
type row struct {
	Suite string
	Store string
	// Dir is the engine's directory, or where the floor puts its file.
	Dir                         string
	Backend, Strategy, Prealloc string
	// Logs take part; Producers append to them, each to its own or, where there are fewer
	// producers than logs, to several in turn; where there are more, several share one.
	Logs, Producers int
	// Size is the payload of an entry in bytes; Batch the entries of one append.
	Size, Batch int
	// Outstanding is 0 for producers that wait for every append, else the number of entries
	// that each has in flight.
	Outstanding int
	// Flush keeps everything, so that sealed WAL files go to segments.
	Flush bool
	// Busy goroutines compute for 2 µs and yield, over and over; with Hog they never yield.
	Busy int
	Hog  bool
	// NoGather turns gathering off.
	NoGather bool
	// Rate limits all producers together, in entries/s; 0 is no limit.
	Rate int
	// Commit lets producers publish what was acknowledged as committed, for readers.
	Commit bool
	// SnapshotRate bounds the captures of state in bytes per second: 0 is the engine's default,
	// below 0 no bound.
	SnapshotRate int64
	// WALFile is the size of a WAL file, 0 for the engine's default.
	WALFile int64
	// CPUProfile and MemProfile are files to write, if not empty.
	CPUProfile, MemProfile string
}

// bigEntry is the size from which a row is compared with the device's bandwidth.
const bigEntry = 1 << 20

func newRow(logs, size int) row {
	return row{Suite: "bench", Store: storeEngine, Backend: "auto", Strategy: "datasync", Prealloc: "recycle",
		Logs: logs, Producers: logs, Size: size, Batch: 1}
}

func (r row) outstanding(n int) row { r.Outstanding = n; return r }
func (r row) batch(n int) row       { r.Batch = n; r.Outstanding = max(r.Outstanding, n); return r }

// label names the row in the table.
func (r row) label() string {
	s := fmt.Sprintf("%d × %s", r.Logs, sizeName(r.Size))
	if r.Producers != r.Logs {
		s += fmt.Sprintf(", %d producers", r.Producers)
	}
	switch {
	case r.Batch > 1 && r.Outstanding == r.Batch:
		s += fmt.Sprintf(", batches of %d", r.Batch)
	case r.Batch > 1:
		s += fmt.Sprintf(", %d in flight by %d", r.Outstanding, r.Batch)
	case r.Outstanding > 0:
		s += fmt.Sprintf(", %d in flight", r.Outstanding)
	}
	if r.Flush {
		s += ", with flush"
	}
	if r.Busy > 0 {
		s += fmt.Sprintf(", %d busy", r.Busy)
	}
	if r.Hog {
		s += " (no yield)"
	}
	if r.NoGather {
		s += ", no gathering"
	}
	if r.Rate > 0 {
		s += fmt.Sprintf(", %d/s", r.Rate)
	}
	return s
}

func sizeName(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// validate completes the row and says what is wrong with it.
func (r *row) validate() error {
	if r.Producers == 0 {
		r.Producers = r.Logs
	}
	if r.Batch > 1 && r.Outstanding == 0 {
		r.Outstanding = r.Batch
	}
	switch {
	case r.Logs < 1 || r.Producers < 1 || r.Size < 1 || r.Batch < 1 || r.Outstanding < 0:
		return fmt.Errorf("logs, producers, size and batch must be at least 1")
	case r.Outstanding > 0 && r.Producers != r.Logs:
		return fmt.Errorf("with -outstanding every log has one producer")
	case r.Outstanding > 0 && r.Outstanding < r.Batch:
		return fmt.Errorf("-outstanding must be at least -batch")
	case r.Producers > r.Logs && r.Producers%r.Logs != 0:
		return fmt.Errorf("-producers must be a multiple of -logs where it is larger")
	}
	_, err := r.options()
	return err
}

// options are the engine's for this row.
func (r *row) options() (engine.Options, error) {
	o := engine.Options{Backend: engine.Backend(r.Backend), WALFileBytes: r.WALFile, CommitImmediately: r.NoGather,
		SnapshotBytesPerSecond: r.SnapshotRate}
	var err error
	if o.Strategy, err = parseStrategy(r.Strategy); err != nil {
		return o, err
	}
	o.Prealloc, err = parsePrealloc(r.Prealloc)
	return o, err
}

func strategies() []engine.Strategy {
	return []engine.Strategy{engine.StrategyDatasync, engine.StrategyDsync, engine.StrategyOsync,
		engine.StrategySync, engine.StrategyNone}
}

func parseStrategy(name string) (engine.Strategy, error) {
	for _, s := range strategies() {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("strategy %q is none of %v", name, strategies())
}

func parsePrealloc(name string) (engine.Prealloc, error) {
	all := []engine.Prealloc{engine.PreallocRecycle, engine.PreallocFallocate, engine.PreallocNone}
	for _, p := range all {
		if p.String() == name {
			return p, nil
		}
	}
	return 0, fmt.Errorf("preallocation %q is none of %v", name, all)
}

// storeFlags registers what every command that opens an engine understands.
func (r *row) storeFlags(fs *flag.FlagSet) {
	fs.StringVar(&r.Backend, "backend", "auto", "auto, ring, direct or fallback")
	fs.StringVar(&r.Strategy, "strategy", "datasync", "datasync, dsync, osync, sync or none (which is not durable)")
	fs.StringVar(&r.Prealloc, "prealloc", "recycle", "recycle, fallocate or none")
}

// loadFlags registers what shapes the load.
func (r *row) loadFlags(fs *flag.FlagSet) {
	fs.IntVar(&r.Logs, "logs", 100, "number of logs")
	fs.IntVar(&r.Size, "size", 256, "payload of an entry, bytes")
	fs.IntVar(&r.Producers, "producers", 0, "number of producers; 0 is one per log")
	fs.IntVar(&r.Outstanding, "outstanding", 0, "entries each producer has in flight; 0 waits for every append")
	fs.IntVar(&r.Batch, "batch", 1, "entries per append")
	fs.BoolVar(&r.Flush, "flush", false, "release nothing: sealed WAL files go to segments")
	fs.IntVar(&r.Busy, "busy", 0, "goroutines that compute and yield every 2 µs")
	fs.BoolVar(&r.Hog, "hog", false, "let the busy goroutines never yield")
	fs.BoolVar(&r.NoGather, "nogather", false, "commit at once, without gathering")
	fs.IntVar(&r.Rate, "rate", 0, "limit of all producers together, entries/s; 0 is none")
	fs.Int64Var(&r.WALFile, "walfile", 0, "size of a WAL file, bytes; 0 is the engine's default")
}

// plan says how long a row's slices are.
type plan struct {
	slices        int
	engine, floor time.Duration // per slice
	device        time.Duration // per slice
}
