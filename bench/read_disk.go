package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// diskCase is one log in segments, read cold by plans and in sequence, beside what the device
// gives for the same files. Engine and device take turns.
type diskCase struct {
	c     *readCase
	l     *engine.Log
	files []string
	probe *readProbe // nil where there is none
	table *readTable
}

// disk fills one log, moves it to segments and measures.
func (c *readCase) disk(ctx context.Context, t *readTable) error {
	l, err := c.e.Create("big")
	if err != nil {
		return err
	}
	f := &filled{e: c.e, logs: []*engine.Log{l}, payload: randomPayload(c.row.Size)}
	if err := f.add(ctx, c.planLog); err != nil {
		return err
	}
	if err := f.settle(ctx); err != nil {
		return err
	}
	if err := c.e.Flush(ctx); err != nil {
		return err
	}
	d := &diskCase{c: c, l: l, table: t}
	if d.files, err = largestSegments(c.row.Dir, c.planLog*c.row.Size); err != nil {
		return err
	}
	if d.probe, err = openReadProbe(d.files, c.depth); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if d.probe != nil {
		defer func() { _ = d.probe.close() }()
	}
	fmt.Printf("one log of %d entries in %d segments; before each turn its files are forgotten by the page cache\n", c.planLog, len(d.files))
	if err := d.random(ctx); err != nil {
		return err
	}
	if err := d.sequential(ctx, "in sequence, ReadBatches", d.batches); err != nil {
		return err
	}
	return d.sequential(ctx, "in sequence, by plan", d.scanPlan)
}

// largestSegments returns the segment files of the log with most bytes on disk.
func largestSegments(dir string, least int) ([]string, error) {
	logs, err := filepath.Glob(filepath.Join(dir, "logs", "*"))
	if err != nil {
		return nil, err
	}
	slices.Reverse(logs) // the log that was made last
	for _, log := range logs {
		files, err := filepath.Glob(filepath.Join(log, "*.seg"))
		if err != nil {
			return nil, err
		}
		if int64(least) <= sizeOf(files) {
			return files, nil
		}
	}
	return nil, errors.New("the log has no segments")
}

// forget drops the log's files from the page cache.
func (d *diskCase) forget() error {
	for _, name := range d.files {
		if err := forgetFile(name); err != nil {
			return err
		}
	}
	return nil
}

// random executes plans of 1,000 random entries.
func (d *diskCase) random(ctx context.Context) error {
	const entries = 1000
	rng := rand.New(rand.NewPCG(4, 4))
	rec := newRecorders()
	var took, device time.Duration
	var cpu float64
	n := 0
	for warm := true; took+device < 2*d.c.duration || n == 0; warm = false {
		indexes := make([]engine.Index, entries)
		for k := range indexes {
			indexes[k] = 1 + engine.Index(rng.IntN(d.c.planLog))
		}
		if err := d.forget(); err != nil {
			return err
		}
		before, began := cpuSeconds(), time.Now()
		if err := d.execute(ctx, indexes, engine.PlanOptions{Depth: d.c.depth}); err != nil {
			return err
		}
		if warm {
			continue // the indexes of the segments were read
		}
		t := time.Since(began)
		if after := cpuSeconds(); before != nil && after != nil {
			cpu += *after - *before
		}
		took += t
		rec[0].record(t)
		n += entries
		if d.probe != nil {
			t, err := d.probe.random(entries)
			if err != nil {
				return err
			}
			device += t
		} else {
			device += t
		}
	}
	h := merged(rec)
	r := d.result("random, plans of 1,000 entries", n, took, cpu)
	r.Depth, r.P50, r.P99 = d.c.depth, percentile(h, 50), percentile(h, 99)
	var probed, fio *float64
	if d.probe != nil {
		probed = ptr(float64(n) / device.Seconds())
	}
	if job := d.fio(ctx, "segment-random.fio", map[string]string{"iodepth": fmt.Sprint(d.c.depth)}); job != nil {
		fio = &job.Read.IOPS
	}
	r.against(r.EntriesPerS, probed, fio)
	return d.table.line(r)
}

func (d *diskCase) execute(ctx context.Context, indexes []engine.Index, o engine.PlanOptions) error {
	p, err := d.l.Plan(slices.Values(indexes), o)
	if err != nil {
		return err
	}
	defer p.Close()
	n := 0
	for es, err := range p.Batches(ctx) {
		if err != nil {
			return err
		}
		n += len(es)
	}
	if n != len(indexes) {
		return fmt.Errorf("plan of %d yields %d", len(indexes), n)
	}
	return nil
}

// sequential reads the whole log by read, in turns with the device.
func (d *diskCase) sequential(ctx context.Context, name string, read func(context.Context) error) error {
	const block = 1 << 20
	var took, device time.Duration
	var deviceBytes int64
	var cpu float64
	n := 0
	for took+device < 2*d.c.duration || n == 0 {
		if err := d.forget(); err != nil {
			return err
		}
		before, began := cpuSeconds(), time.Now()
		if err := read(ctx); err != nil {
			return err
		}
		t := time.Since(began)
		if after := cpuSeconds(); before != nil && after != nil {
			cpu += *after - *before
		}
		took += t
		n += d.c.planLog
		if d.probe == nil {
			device += t
			continue
		}
		bytes, t, err := d.probe.scan(block)
		if err != nil {
			return err
		}
		device, deviceBytes = device+t, deviceBytes+bytes
	}
	r := d.result(name, n, took, cpu)
	var probed, fio *float64
	if d.probe != nil {
		probed = ptr(float64(deviceBytes) / device.Seconds() / 1e6)
	}
	if job := d.fio(ctx, "segment-scan.fio", nil); job != nil {
		fio = ptr(job.Read.Bandwidth / 1e6)
	}
	r.against(r.MBPerS, probed, fio)
	return d.table.line(r)
}

func (d *diskCase) batches(context.Context) error {
	n := 0
	for es, err := range d.l.ReadBatches(1, engine.Index(d.c.planLog)) {
		if err != nil {
			return err
		}
		n += len(es)
	}
	if n != d.c.planLog {
		return fmt.Errorf("%d entries of %d", n, d.c.planLog)
	}
	return nil
}

func (d *diskCase) scanPlan(ctx context.Context) error {
	p, err := d.l.PlanRange(1, engine.Index(d.c.planLog), engine.PlanOptions{Advice: engine.PlanSequential})
	if err != nil {
		return err
	}
	defer p.Close()
	n := 0
	for es, err := range p.Batches(ctx) {
		if err != nil {
			return err
		}
		n += len(es)
	}
	if n != d.c.planLog {
		return fmt.Errorf("%d entries of %d", n, d.c.planLog)
	}
	return nil
}

func (d *diskCase) result(name string, n int, took time.Duration, cpu float64) readResult {
	perS := float64(n) / took.Seconds()
	r := readResult{Suite: "read", Name: name, Size: d.c.row.Size, EntriesPerS: perS, MBPerS: perS * float64(d.c.row.Size) / 1e6}
	if cpu > 0 {
		r.CPUPerM = ptr(cpu / float64(n) * 1e6)
	}
	return r
}

// fio asks fio for the same on the log's first segment, nil when it cannot say.
func (d *diskCase) fio(ctx context.Context, job string, settings map[string]string) *fioJob {
	if !d.c.fio {
		return nil
	}
	all := map[string]string{"filename": d.files[0], "size": fmt.Sprint(sizeOf(d.files[:1])), "unlink": "0", "runtime": "2"}
	for k, v := range settings {
		all[k] = v
	}
	answer, err := runFio(ctx, filepath.Dir(d.c.row.Dir), job, all)
	if err != nil {
		fmt.Println("fio is left out:", err)
		return nil
	}
	return answer
}

func sizeOf(files []string) (bytes int64) {
	for _, name := range files {
		if info, err := os.Stat(name); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}
