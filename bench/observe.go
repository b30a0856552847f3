package main

import (
	"runtime"
	"time"
)

// observation is all counters at one moment.
type observation struct {
	at       time.Time
	entries  uint64
	counters counters
	cpu      *float64
	allocs   uint64
	device   *deviceCounters
}

func (l *load) observe() observation {
	o := observation{at: time.Now(), counters: l.store.counters(), cpu: cpuSeconds(), device: deviceOf(l.row.Dir)}
	for _, p := range l.producers {
		o.entries += p.count.Load()
	}
	o.allocs = mallocs()
	return o
}

// mallocs is how many objects the process has allocated.
func mallocs() uint64 {
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	return ms.Mallocs
}

// ownAllocs is what one observation allocates itself, roughly; it is not the store's.
const ownAllocs = 64

func (o observation) minus(b observation) measure {
	c := o.counters.minus(b.counters)
	m := measure{
		Seconds: o.at.Sub(b.at).Seconds(), Entries: o.entries - b.entries,
		Syncs: c.syncs, Batches: c.batches, WALBytes: c.walBytes, SegmentBytes: c.segmentBytes,
		Busy: c.busy, Rolls: c.rolls, Unprepared: c.unprepared, Delivered: c.delivered,
		Allocs: max(o.allocs-b.allocs, ownAllocs) - ownAllocs,
	}
	if o.cpu != nil && b.cpu != nil {
		m.CPUSeconds = ptr(*o.cpu - *b.cpu)
	}
	if o.device != nil && b.device != nil {
		m.DeviceBytes = ptr(float64(o.device.sectors-b.device.sectors) * 512)
		m.DeviceFlushes = ptr(float64(o.device.flushes - b.device.flushes))
	}
	return m
}
