package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// report is a row with all that stands beside it.
type report struct {
	row    row
	engine measure
	floor  *measure
	device *deviceLimit
}

// deviceLimit is what back-to-back durable writes of the row's mean batch reach.
type deviceLimit struct {
	size          int // bytes per write
	writesPerS    float64
	p50, p99      *float64 // microseconds
	streamMB      *float64 // direct sequential writes, for big entries
	fioWritesPerS *float64
	fioP50        *float64
	fioStreamMB   *float64
}

// session measures rows one after the other in a directory of its own.
type session struct {
	dir      string
	plan     plan
	progress *progress
	noFloor  bool
	noDevice bool
	fio      bool
}

// measure runs the engine, the floor and the device in turns.
func (s *session) measure(ctx context.Context, r row) (*report, error) {
	scratch, err := os.MkdirTemp(s.dir, "row-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	m := measuring{session: s, ctx: ctx, scratch: scratch, report: &report{row: r}, hist: newHist()}
	defer m.close()
	if err := m.open(r); err != nil {
		return nil, err
	}
	for i := range s.plan.slices {
		if err := m.turn(i); err != nil {
			return nil, err
		}
	}
	return m.report, m.finish()
}

// measuring is one row in the making.
type measuring struct {
	*session
	ctx     context.Context
	scratch string
	report  *report
	engine  *child
	floor   *child
	probe   *probe
	hist    *hdrhistogram.Histogram
	writes  int
	took    time.Duration
	streams []float64
	size    int
}

func (m *measuring) open(r row) (err error) {
	m.progress.phase("%s: warming up", r.label())
	if r.Dir == "" {
		r.Dir = filepath.Join(m.scratch, "engine")
		if err := os.Mkdir(r.Dir, 0o700); err != nil {
			return err
		}
	}
	if m.engine, err = startChild(m.ctx, r); err != nil {
		return err
	}
	if !m.noFloor {
		f := r
		f.Store, f.Dir, f.CPUProfile, f.MemProfile = storeFloor, m.scratch, "", ""
		m.floor, err = startChild(m.ctx, f)
		if err != nil && !floorMissing(err) {
			return err
		}
	}
	if !m.noDevice {
		m.probe, err = openProbe(m.scratch)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return nil
}

// floorMissing recognises a platform that has no floor, across the process boundary.
func floorMissing(err error) bool { return err.Error() == errors.ErrUnsupported.Error() }

// turn measures one slice of each.
func (m *measuring) turn(i int) error {
	label := m.report.row.label()
	m.progress.phase("%s: engine, slice %d of %d", label, i+1, m.plan.slices)
	got, err := m.engine.slice(m.plan.engine)
	if err != nil {
		return fmt.Errorf("%s: %w", label, err)
	}
	m.size = got.batchBytes()
	m.progress.figure(ratio(float64(got.Entries), got.Seconds))
	if m.probe != nil {
		m.progress.phase("%s: device, slice %d of %d", label, i+1, m.plan.slices)
		if err := m.device(); err != nil {
			return err
		}
	}
	if m.floor != nil {
		m.progress.phase("%s: floor, slice %d of %d", label, i+1, m.plan.slices)
		if _, err := m.floor.slice(m.plan.floor); err != nil {
			return fmt.Errorf("%s: floor: %w", label, err)
		}
	}
	return nil
}

func (m *measuring) device() error {
	n, took, err := m.probe.commits(m.size, m.plan.device, m.hist)
	if err != nil {
		return err
	}
	m.writes += n
	m.took += took
	if m.report.row.Size >= bigEntry {
		bw, err := m.probe.stream(m.plan.device)
		if err != nil {
			return err
		}
		m.streams = append(m.streams, bw)
	}
	return nil
}

// finish collects the results and lets fio measure the same.
func (m *measuring) finish() (err error) {
	rep := m.report
	if rep.engine, err = m.engine.finish(); err != nil {
		return err
	}
	m.engine = nil
	if m.floor != nil {
		f, err := m.floor.finish()
		if err != nil {
			return err
		}
		m.floor, rep.floor = nil, &f
	}
	if m.probe == nil {
		return nil
	}
	d := &deviceLimit{size: m.size, writesPerS: ratio(float64(m.writes), m.took.Seconds()),
		p50: percentile(m.hist, 50), p99: percentile(m.hist, 99)}
	if len(m.streams) > 0 {
		d.streamMB = ptr(mean(m.streams) / 1e6)
	}
	rep.device = d
	if m.fio {
		m.progress.phase("%s: fio", rep.row.label())
		m.askFio(d)
	}
	return nil
}

func (m *measuring) close() {
	for _, c := range []*child{m.engine, m.floor} {
		if c != nil {
			c.kill()
		}
	}
	if m.probe != nil {
		_ = m.probe.close()
	}
}

func mean(v []float64) float64 {
	t := 0.0
	for _, x := range v {
		t += x
	}
	return t / float64(len(v))
}

// results are the row's objects for -json: the engine's, and the floor's if there is one.
func (rep *report) results() []result {
	e := rep.engine.result(rep.row)
	if d := rep.device; d != nil {
		e.DeviceLimit = ptr(d.writesPerS * rep.engine.entriesPerSync())
	}
	e.Ratio = rep.ratio(e)
	rs := []result{e}
	if rep.floor != nil {
		f := rep.row
		f.Store, f.Strategy, f.Prealloc = storeFloor, "datasync", "recycle"
		rs = append(rs, rep.floor.result(f))
	}
	return rs
}

// ratio is entries/s over the floor's, for big entries bandwidth over the device's.
func (rep *report) ratio(e result) *float64 {
	if d := rep.device; rep.row.Size >= bigEntry && d != nil && d.streamMB != nil {
		return ptr(ratio(e.MBPerS, *d.streamMB))
	}
	if rep.floor == nil {
		return nil
	}
	return ptr(ratio(e.EntriesPerS, rep.floor.result(rep.row).EntriesPerS))
}
