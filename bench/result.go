package main

import (
	"encoding/json"
	"io"
	"math"
)

// result is one line of the table, and one object of -json. Absent figures are nil.
type result struct {
	Suite              string   `json:"suite"`
	Backend            string   `json:"backend"`
	Strategy           string   `json:"strategy"`
	Prealloc           string   `json:"prealloc"`
	Logs               int      `json:"logs"`
	Size               int      `json:"size"`
	Producers          int      `json:"producers"`
	Outstanding        int      `json:"outstanding"`
	Flush              bool     `json:"flush"`
	EntriesPerS        float64  `json:"entries_per_s"`
	MBPerS             float64  `json:"mb_per_s"`
	AckP50             *float64 `json:"ack_p50_us"`
	AckP99             *float64 `json:"ack_p99_us"`
	AckP999            *float64 `json:"ack_p999_us"`
	SyncsPerS          float64  `json:"syncs_per_s"`
	EntriesPerSync     float64  `json:"entries_per_sync"`
	CPUPerM            *float64 `json:"cpu_s_per_m"`
	DeviceBytesPerByte *float64 `json:"device_bytes_per_byte"`
	AllocsPerEntry     float64  `json:"allocs_per_entry"`
	RSSMB              *float64 `json:"rss_mb"`
	DeviceLimit        *float64 `json:"device_limit"`
	Ratio              *float64 `json:"ratio"`
}

// measure is what a measuring process found, all slices together.
type measure struct {
	Backend string // the one that was used
	Reason  string // why it was chosen
	Seconds float64
	Entries uint64
	Syncs   uint64
	// Batches and WALBytes give the mean batch, padding included.
	Batches, WALBytes uint64
	SegmentBytes      uint64
	CPUSeconds        *float64
	DeviceBytes       *float64
	DeviceFlushes     *float64
	Allocs            uint64
	RSSMB             *float64
	P50, P99, P999    *float64 // microseconds
	Busy              uint64   // appends that met ErrBusy
	Rolls, Unprepared uint64
	Delivered         uint64 // entries that readers got
}

// batchBytes is the mean size of a batch in whole blocks.
func (m *measure) batchBytes() int {
	if m.Batches == 0 {
		return 4096
	}
	mean := float64(m.WALBytes) / float64(m.Batches)
	return max(int(math.Round(mean/4096)), 1) * 4096
}

func (m *measure) entriesPerSync() float64 { return ratio(float64(m.Entries), float64(m.Syncs)) }

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// result combines the row's description and its figures.
func (m *measure) result(r row) result {
	backend := m.Backend
	if r.Store == storeFloor {
		backend = storeFloor
	}
	n := float64(m.Entries)
	perS := ratio(n, m.Seconds)
	return result{
		Suite: r.Suite, Backend: backend, Strategy: r.Strategy, Prealloc: r.Prealloc,
		Logs: r.Logs, Size: r.Size, Producers: r.Producers, Outstanding: r.Outstanding, Flush: r.Flush,
		EntriesPerS: perS, MBPerS: perS * float64(r.Size) / 1e6,
		AckP50: m.P50, AckP99: m.P99, AckP999: m.P999,
		SyncsPerS: ratio(float64(m.Syncs), m.Seconds), EntriesPerSync: m.entriesPerSync(),
		CPUPerM:            scaled(m.CPUSeconds, ratio(1e6, n)),
		DeviceBytesPerByte: scaled(m.DeviceBytes, ratio(1, n*float64(r.Size))),
		AllocsPerEntry:     ratio(float64(m.Allocs), n), RSSMB: m.RSSMB,
	}
}

func scaled(v *float64, by float64) *float64 {
	if v == nil {
		return nil
	}
	return ptr(*v * by)
}

func ptr[T any](v T) *T { return &v }

// writeJSON writes one object per line.
func writeJSON(w io.Writer, rs ...result) error {
	enc := json.NewEncoder(w)
	for i := range rs {
		if err := enc.Encode(&rs[i]); err != nil {
			return err
		}
	}
	return nil
}
