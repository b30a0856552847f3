package main

import (
	"context"
	"errors"
	"os"
	"time"
)

// raftResult is one row of bench raft, and one object of -json. Absent figures are nil.
type raftResult struct {
	Suite              string   `json:"suite"`
	Clusters           int      `json:"clusters"`
	Clients            int      `json:"clients"`
	Outstanding        int      `json:"outstanding"`
	Size               int      `json:"size"`
	Nodes              string   `json:"nodes"`
	Backend            string   `json:"backend"`
	CommitsPerS        float64  `json:"commits_per_s"`
	P50                *float64 `json:"commit_p50_us"`
	P99                *float64 `json:"commit_p99_us"`
	P999               *float64 `json:"commit_p999_us"`
	CPUPerM            *float64 `json:"cpu_s_per_m"`
	SyncsPerCommit     float64  `json:"syncs_per_commit"`
	DeviceBytesPerByte *float64 `json:"device_bytes_per_byte"`
	RSSMB              *float64 `json:"rss_mb"`
	// AllocsPerCommit is of the whole process, the load generator included.
	AllocsPerCommit float64 `json:"allocs_per_commit"`
	// DeviceP50 and DeviceWrites are those of three streams of durable 4 KiB writes, in turns with the load.
	DeviceP50       *float64 `json:"device_p50_us"`
	DeviceWrites    *float64 `json:"device_writes_per_s"`
	UnpreparedRolls uint64   `json:"unprepared_rolls"`
	// Failovers of the leader's node; the times are from its tearing off to the first commit under another leader.
	// Acknowledged are the commands that were answered meanwhile: all, and each is applied once.
	Failovers    int      `json:"failovers"`
	FailoverP50  *float64 `json:"failover_p50_ms"`
	FailoverP99  *float64 `json:"failover_p99_ms"`
	FailoverMax  *float64 `json:"failover_max_ms"`
	Acknowledged uint64   `json:"failover_acknowledged"`
}

// raftTotals are counters at one moment.
type raftTotals struct {
	at                time.Time
	done              uint64
	syncs, unprepared uint64
	cpu               *float64
	allocs            uint64
	device            *deviceCounters
}

func (l *raftLoad) totals() raftTotals {
	t := raftTotals{at: time.Now(), done: l.done.Load(), cpu: cpuSeconds(), allocs: mallocs(), device: deviceOf(l.house.dir)}
	t.syncs, t.unprepared = l.house.syncs()
	return t
}

// add puts what a slice took to the rest.
func (m *measure) add(from, to raftTotals) {
	m.Seconds += to.at.Sub(from.at).Seconds()
	m.Entries += to.done - from.done
	m.Syncs += to.syncs - from.syncs
	m.Unprepared += to.unprepared - from.unprepared
	m.Allocs += to.allocs - from.allocs
	grow := func(sum **float64, by float64) {
		if *sum == nil {
			*sum = new(float64)
		}
		**sum += by
	}
	if from.cpu != nil && to.cpu != nil {
		grow(&m.CPUSeconds, *to.cpu-*from.cpu)
	}
	if from.device != nil && to.device != nil {
		grow(&m.DeviceBytes, float64(to.device.sectors-from.device.sectors)*512)
	}
}

// runRaftRow measures a row in a directory of its own.
func runRaftRow(ctx context.Context, r raftRow, dir string) (res raftResult, err error) {
	if dir, err = os.MkdirTemp(dir, "row-"); err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o, err := r.options()
	if err != nil {
		return res, err
	}
	h, err := newRaftHouse(dir, r.Clusters, o)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := errors.Join(h.roll(ctx), h.start(ctx)); err != nil {
		return res, err
	}
	l, err := newRaftLoad(ctx, r, h)
	if err != nil {
		return res, err
	}
	if r.Failovers > 0 {
		return l.failovers(ctx)
	}
	return l.measure(ctx)
}

// measure lets clients and device take turns, and checks what the members have.
func (l *raftLoad) measure(ctx context.Context) (raftResult, error) {
	d, err := openRaftDevice(l.house.dir)
	if err != nil {
		return raftResult{}, err
	}
	if d != nil {
		defer func() { _ = d.close() }()
	}
	slice := l.row.Duration / raftSlices
	if err := l.slice(ctx, slice/2); err != nil { // warm up
		return raftResult{}, err
	}
	l.measuring.Store(true)
	resetRSS()
	stop, err := profile(l.row.Profile)
	if err != nil {
		return raftResult{}, err
	}
	var m measure
	for range raftSlices {
		from := l.totals()
		if err := l.slice(ctx, slice); err != nil {
			return raftResult{}, errors.Join(err, stop())
		}
		m.add(from, l.totals())
		if d != nil {
			err = d.slice(slice / 5)
		}
		if err != nil {
			return raftResult{}, errors.Join(err, stop())
		}
	}
	m.RSSMB = peakRSS()
	if err := errors.Join(stop(), l.check(ctx)); err != nil {
		return raftResult{}, err
	}
	return l.result(&m, d), nil
}

func (l *raftLoad) result(m *measure, d *raftDevice) raftResult {
	r, n := &l.row, float64(m.Entries)
	h := merged(l.recorders)
	res := raftResult{Suite: r.Suite, Clusters: r.Clusters, Clients: r.Clients, Outstanding: r.Outstanding, Size: r.Size,
		Nodes: "inproc", Backend: l.house.backend(), CommitsPerS: ratio(n, m.Seconds),
		P50: percentile(h, 50), P99: percentile(h, 99), P999: percentile(h, 99.9),
		CPUPerM: scaled(m.CPUSeconds, ratio(1e6, n)), SyncsPerCommit: ratio(float64(m.Syncs), n), RSSMB: m.RSSMB,
		AllocsPerCommit: ratio(float64(m.Allocs), n), UnpreparedRolls: m.Unprepared}
	if r.Reads {
		res.Suite += "-reads"
	} else {
		res.DeviceBytesPerByte = scaled(m.DeviceBytes, ratio(1, n*float64(r.Size)))
	}
	if d != nil {
		res.DeviceP50 = percentile(d.hist, 50)
		res.DeviceWrites = ptr(ratio(float64(d.writes), d.took.Seconds()))
	}
	return res
}
