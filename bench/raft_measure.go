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
	// WireBytesPerByte are bytes written to log connections by the leaders' node, per payload byte and follower, MessagesPerS what
	// all nodes send, PingP50 what 256 B take over TCP to another process and back: where nodes are processes. The others of
	// a failover are the messages of the two nodes that live on, in the worst one, and before.
	TLS                  bool     `json:"tls"`
	WireBytesPerByte     *float64 `json:"wire_bytes_per_byte"`
	MessagesPerS         *float64 `json:"messages_per_s"`
	PingP50              *float64 `json:"ping_p50_us"`
	FailoverMessagesPerS *float64 `json:"failover_messages_per_s"`
}

// raftTotals are counters at one moment.
type raftTotals struct {
	at     time.Time
	done   uint64
	device *deviceCounters
	// What nodes count: all of them together, LogBytes excepted, which are the leaders' node's.
	Syncs, Unprepared, Allocs, Messages, LogBytes uint64
	CPU, RSS                                      *float64
}

// plus adds what another node has counted.
func (t *raftTotals) plus(o raftTotals) {
	t.Syncs += o.Syncs
	t.Unprepared += o.Unprepared
	t.Allocs += o.Allocs
	t.Messages += o.Messages
	t.LogBytes += o.LogBytes
	t.CPU, t.RSS = sum(t.CPU, o.CPU), sum(t.RSS, o.RSS)
}

func (l *raftLoad) totals() (raftTotals, error) {
	t := raftTotals{at: time.Now(), done: l.done.Load(), device: deviceOf(l.dir)}
	return t, l.nodes.count(&t)
}

// raftMeasure is what all slices came to.
type raftMeasure struct {
	measure
	messages, logBytes uint64
	pings              *pinger // nil where there is nobody to answer
}

// add puts what a slice took to the rest.
func (m *raftMeasure) add(from, to raftTotals) {
	m.Seconds += to.at.Sub(from.at).Seconds()
	m.Entries += to.done - from.done
	m.Syncs += to.Syncs - from.Syncs
	m.Unprepared += to.Unprepared - from.Unprepared
	m.Allocs += to.Allocs - from.Allocs
	m.messages += to.Messages - from.Messages
	m.logBytes += to.LogBytes - from.LogBytes
	m.RSSMB = to.RSS
	if from.CPU != nil && to.CPU != nil {
		m.CPUSeconds = sum(m.CPUSeconds, ptr(*to.CPU-*from.CPU))
	}
	if from.device != nil && to.device != nil {
		m.DeviceBytes = sum(m.DeviceBytes, ptr(float64(to.device.sectors-from.device.sectors)*512))
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
	nodes, err := openRaftNodes(ctx, &r, dir, o)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, nodes.close()) }()
	if err := errors.Join(nodes.roll(ctx), nodes.start(ctx)); err != nil {
		return res, err
	}
	l, err := newRaftLoad(ctx, r, dir, nodes)
	if err != nil {
		return res, err
	}
	if r.Failovers == 0 {
		return l.measure(ctx)
	}
	if h, ok := nodes.(*processHouse); ok {
		return l.kills(ctx, h)
	}
	return l.tears(ctx, nodes.(*raftHouse))
}

// measure lets clients and device take turns, and checks what the members have.
func (l *raftLoad) measure(ctx context.Context) (res raftResult, err error) {
	d, err := openRaftDevice(l.dir)
	if err != nil {
		return res, err
	}
	if d != nil {
		defer func() { _ = d.close() }()
	}
	var m raftMeasure
	if m.pings, err = openPinger(l.nodes.echo()); err != nil {
		return res, err
	}
	if m.pings != nil {
		defer func() { _ = m.pings.close() }()
	}
	if err := l.slice(ctx, l.row.Duration/raftSlices/2); err != nil { // warm up
		return res, err
	}
	l.measuring.Store(true)
	resetRSS()
	stop, err := profile(l.row.Profile)
	if err != nil {
		return res, err
	}
	for range raftSlices {
		if err := l.turn(ctx, &m, d); err != nil {
			return res, errors.Join(err, stop())
		}
	}
	if err := errors.Join(stop(), l.check(ctx)); err != nil {
		return res, err
	}
	return l.result(&m, d), nil
}

// turn measures the clients, and then what bounds them.
func (l *raftLoad) turn(ctx context.Context, m *raftMeasure, d *raftDevice) error {
	slice := l.row.Duration / raftSlices
	from, err := l.totals()
	if err != nil {
		return err
	}
	if err := l.slice(ctx, slice); err != nil {
		return err
	}
	to, err := l.totals()
	if err != nil {
		return err
	}
	m.add(from, to)
	if d != nil {
		if err := d.slice(slice / 5); err != nil {
			return err
		}
	}
	if m.pings != nil {
		return m.pings.slice(slice / 5)
	}
	return nil
}

func (l *raftLoad) result(m *raftMeasure, d *raftDevice) raftResult {
	r, n := &l.row, float64(m.Entries)
	h := merged(l.recorders)
	res := raftResult{Suite: r.Suite, Clusters: r.Clusters, Clients: r.Clients, Outstanding: r.Outstanding, Size: r.Size,
		Nodes: r.Nodes, TLS: r.TLS, Backend: l.nodes.backend(), CommitsPerS: ratio(n, m.Seconds),
		P50: percentile(h, 50), P99: percentile(h, 99), P999: percentile(h, 99.9),
		CPUPerM: scaled(m.CPUSeconds, ratio(1e6, n)), SyncsPerCommit: ratio(float64(m.Syncs), n), RSSMB: m.RSSMB,
		AllocsPerCommit: ratio(float64(m.Allocs), n), UnpreparedRolls: m.Unprepared}
	if r.Reads {
		res.Suite += "-reads"
	} else {
		res.DeviceBytesPerByte = scaled(m.DeviceBytes, ratio(1, n*float64(r.Size)))
	}
	if m.pings != nil {
		res.MessagesPerS, res.PingP50 = ptr(ratio(float64(m.messages), m.Seconds)), percentile(m.pings.hist, 50)
		if !r.Reads {
			res.WireBytesPerByte = ptr(ratio(float64(m.logBytes), n*float64(r.Size)*(houseNodes-1)))
		}
	}
	if d != nil {
		res.DeviceP50 = percentile(d.hist, 50)
		res.DeviceWrites = ptr(ratio(float64(d.writes), d.took.Seconds()))
	}
	return res
}
