package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const snapshotText = `Measures what captured states cost and reach: writers at half the rate that they reach, in turns
alone and while a state is written, with the engine's limit of the rate and without one; then states
written and read, and segments compacted, as fast as they go, beside the device.`

// snapshotCase is what one run of bench snapshot measures.
type snapshotCase struct {
	row      row
	dir      string
	size     int64
	duration time.Duration
	slices   int
	probe    time.Duration // of the device, for each line
	table    *figureTable
}

func runSnapshot(ctx context.Context, args []string) error {
	c := snapshotCase{row: newRow(100, 256), probe: time.Second}
	fs := newFlags("snapshot", snapshotText)
	c.row.storeFlags(fs)
	fs.IntVar(&c.row.Logs, "logs", c.row.Logs, "number of logs, each with a producer")
	fs.IntVar(&c.row.Outstanding, "outstanding", 0, "entries each producer has in flight; 0 waits for every append")
	fs.IntVar(&c.row.Rate, "rate", 0, "rate of all producers together, entries/s; 0 is half of what they reach")
	fs.Int64Var(&c.size, "size", 1<<30, "state, and entries to be compacted, bytes")
	fs.DurationVar(&c.duration, "duration", 5*time.Second, "measured time of each line of writers")
	fs.IntVar(&c.slices, "slices", 5, "turns that these lines take")
	jsonFile := fs.String("json", "", "write one JSON object per line to this file, - is standard output")
	dir := fs.String("dir", "", "where to work; default a new directory under the current one, removed afterwards")
	if err := parse(fs, args); err != nil {
		return err
	}
	c.row.Producers = c.row.Logs
	if err := c.row.validate(); err != nil {
		return err
	}
	if c.slices < 1 || c.size < 1<<20 {
		return errors.New("-slices must be at least 1, -size at least 1048576")
	}
	w, err := newWorkspace(*dir)
	if err != nil {
		return err
	}
	defer w.remove()
	c.dir = w.dir
	out, closeOut, err := openJSON(*jsonFile)
	if err != nil {
		return err
	}
	defer closeOut()
	c.table = &figureTable{w: os.Stdout, json: out, suite: "snapshot"}
	fmt.Println(where(w.dir))
	return c.run(ctx)
}

func (c *snapshotCase) run(ctx context.Context) error {
	if err := c.writers(ctx); err != nil {
		return err
	}
	if err := c.states(ctx); err != nil {
		return err
	}
	return c.compactions(ctx)
}

// contender is an engine with writers, whose states are written with or without a limit.
type contender struct {
	*beside
	name, goal  string
	alone, with *side
	captured    int64 // bytes of states, in the measured slices and their ramps
	seconds     float64
}

func (c *snapshotCase) contend(name, goal string, rate int64) (*contender, error) {
	r := c.row
	r.Dir, r.SnapshotRate = filepath.Join(c.dir, name), rate
	b, err := openBeside(r)
	return &contender{beside: b, name: name, goal: goal, alone: newSide(), with: newSide()}, err
}

// writers measures the appends beside captures.
func (c *snapshotCase) writers(ctx context.Context) (err error) {
	var all []*contender
	defer func() {
		for _, x := range all {
			err = errors.Join(err, x.store.close())
		}
	}()
	d := c.duration / time.Duration(c.slices)
	rate := c.row.Rate
	for _, how := range []struct {
		name, goal string
		rate       int64
	}{{"limited", "p99 at most 1.50", 0}, {"unlimited", "", -1}} {
		x, err := c.contend(how.name, how.goal, how.rate)
		if err != nil {
			return err
		}
		all = append(all, x)
		saturated, limit, err := x.halve(rate, d)
		if err != nil {
			return err
		}
		if rate == 0 {
			fmt.Printf("%s; saturated at %s entries/s, measured at %s\n", c.row.label(), count(saturated), count(float64(limit)))
		}
		rate = limit // the same for both
	}
	c.table.header()
	for range c.slices {
		for _, x := range all {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := x.slice(x.alone, d); err != nil {
				return err
			}
			if err := x.sliceCapturing(d, c.size); err != nil {
				return err
			}
		}
	}
	for _, x := range all {
		if err := c.lines(x); err != nil {
			return err
		}
	}
	return nil
}

func (c *snapshotCase) lines(x *contender) error {
	alone, with := x.result(x.alone), x.result(x.with)
	if err := c.table.line(writers("writers alone ("+x.name+")", alone)); err != nil {
		return err
	}
	f := writers("writers beside a state, "+x.name, with)
	f.MBPerS = ptr(ratio(float64(x.captured), x.seconds) / 1e6)
	f.Ratio, f.Goal = over(with.P99, alone.P99), x.goal
	return c.table.line(f)
}
