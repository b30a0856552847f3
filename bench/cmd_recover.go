package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rawl-db/rawl/engine"
)

const recoverText = `Times recovery: of a write-ahead log full of live entries, with a warm page cache and a cold
one, and of ten thousand idle logs, which it also creates and weighs.`

// recoverCase is what one run of bench recover measures.
type recoverCase struct {
	row   row
	bytes int64
	idle  int
	times int
	dir   string
}

func runRecover(ctx context.Context, args []string) error {
	var c recoverCase
	fs := newFlags("recover", recoverText)
	c.row.storeFlags(fs)
	fs.IntVar(&c.row.Logs, "logs", 100, "number of logs")
	fs.IntVar(&c.row.Size, "size", 256, "payload of an entry, bytes")
	fs.Int64Var(&c.bytes, "bytes", 512<<20, "write-ahead log to recover, bytes")
	fs.IntVar(&c.idle, "idle", 10_000, "idle logs")
	fs.IntVar(&c.times, "times", 2, "recoveries of each kind")
	dir := fs.String("dir", "", "where to work; default a new directory under the current one, removed afterwards")
	cpu := fs.String("cpuprofile", "", "write a CPU profile of the whole run to this file")
	if err := parse(fs, args); err != nil {
		return err
	}
	w, err := newWorkspace(*dir)
	if err != nil {
		return err
	}
	defer w.remove()
	c.dir = w.dir
	fmt.Println(where(w.dir))
	stop, err := profile(row{CPUProfile: *cpu})
	if err != nil {
		return err
	}
	if err = c.wal(ctx); err == nil {
		err = c.idleLogs(ctx)
	}
	if e := stop(); err == nil {
		err = e
	}
	return err
}

func (c *recoverCase) options() (engine.Options, error) {
	o, err := c.row.options()
	o.MemoryBytes = 8 << 30
	o.LogMemoryBytes, o.WALBacklogBytes = o.MemoryBytes, o.MemoryBytes
	return o, err
}

// wal fills WAL files that are not flushed, and opens copies of them.
func (c *recoverCase) wal(ctx context.Context) error {
	model := filepath.Join(c.dir, "model")
	payload, err := c.fillWAL(ctx, model)
	if err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	scan := scanBandwidth(c.dir, time.Second)
	fmt.Printf("\nrecovery of %s of WAL, %d logs, entries of %s, all live; device direct sequential reads %s MB/s\n",
		megabytes(float64(c.bytes)), c.row.Logs, sizeName(c.row.Size), fixed(scaled(scan, 1e-6), 0))
	for _, cold := range []bool{false, true} {
		for range c.times {
			if err := c.reopen(ctx, model, cold, payload, scan); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(model)
}

// fillWAL returns the payload bytes that went in. A file in the place of the segments' directory
// keeps sealed WAL files from being flushed meanwhile.
func (c *recoverCase) fillWAL(ctx context.Context, dir string) (int64, error) {
	o, err := c.options()
	if err != nil {
		return 0, err
	}
	e, err := engine.Open(dir, o)
	if err != nil {
		return 0, err
	}
	unblock, err := blockFlush(filepath.Join(dir, "logs"))
	if err != nil {
		return 0, err
	}
	f, err := newFilled(e, c.row.Logs, c.row.Size)
	if err != nil {
		return 0, err
	}
	var payload int64
	for int64(e.Stats().BatchBytes.Sum) < c.bytes {
		if err := errors.Join(f.add(ctx, 64), f.settle(ctx)); err != nil {
			return 0, err
		}
		payload += 64 * int64(c.row.Logs*c.row.Size)
	}
	c.bytes = int64(e.Stats().BatchBytes.Sum)
	return payload, errors.Join(e.Close(ctx), unblock())
}

func blockFlush(logs string) (unblock func() error, err error) {
	if err := os.Remove(logs); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := os.WriteFile(logs, nil, 0o600); err != nil {
		return nil, err
	}
	return func() error { return errors.Join(os.Remove(logs), os.Mkdir(logs, 0o700)) }, nil
}

// reopen opens a copy of the model, as what is opened begins to be flushed.
func (c *recoverCase) reopen(ctx context.Context, model string, cold bool, payload int64, scan *float64) error {
	dir := filepath.Join(c.dir, "copy")
	if err := copyTree(dir, model); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	name := "warm"
	if cold {
		how, err := forget(dir)
		if err != nil {
			fmt.Println("cold recovery is left out:", err)
			return nil
		}
		name = "cold, " + how
	} else if err := readTree(dir); err != nil {
		return err
	}
	o, err := c.options()
	if err != nil {
		return err
	}
	runtime.GC()
	cpu := cpuSeconds()
	began := time.Now()
	e, err := engine.Open(dir, o)
	if err != nil {
		return err
	}
	took := time.Since(began)
	used := sinceCPU(cpu)
	rep := e.Stats().Recovery
	perS := float64(c.bytes) / took.Seconds()
	fmt.Printf("  %-24s open %8s (replay %8s)  %7.1f MB/s of WAL, %7.1f MB/s of payload, %s entries/s, CPU %s s",
		name, took.Round(time.Millisecond), rep.Took.Round(time.Millisecond), perS/1e6,
		float64(payload)/took.Seconds()/1e6, count(float64(rep.Entries)/took.Seconds()), fixed(used, 2))
	if scan != nil {
		fmt.Printf(", %.2f × device", perS / *scan)
	}
	fmt.Println()
	if want := uint64(payload) / uint64(c.row.Size); rep.Entries != want {
		fmt.Printf("  note: %d entries were recovered of %d\n", rep.Entries, want)
	}
	return e.Close(ctx)
}

func sinceCPU(began *float64) *float64 {
	if now := cpuSeconds(); began != nil && now != nil {
		return ptr(*now - *began)
	}
	return nil
}

// copyTree copies regular files, and syncs them: writing them back is no part of recovery.
func copyTree(to, from string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return eachFile(to, (*os.File).Sync)
}

// eachFile calls fn with every regular file in dir.
func eachFile(dir string, fn func(*os.File) error) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return errors.Join(fn(f), f.Close())
	})
}

// readTree brings all files into the page cache.
func readTree(dir string) error {
	return eachFile(dir, func(f *os.File) error {
		_, err := io.Copy(io.Discard, f)
		return err
	})
}
