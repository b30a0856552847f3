package main

import (
	"encoding/json"
	"fmt"
	"io"
)

// readResult is one line of bench read, and one object of -json. Absent figures are nil.
type readResult struct {
	Suite       string   `json:"suite"`
	Name        string   `json:"name"`
	Size        int      `json:"size"`
	Depth       int      `json:"depth"`
	EntriesPerS float64  `json:"entries_per_s"`
	MBPerS      float64  `json:"mb_per_s"`
	P50         *float64 `json:"p50_us"`
	P99         *float64 `json:"p99_us"`
	CPUPerM     *float64 `json:"cpu_s_per_m"`
	NanosPer    *float64 `json:"ns_per_entry"`
	// DeviceLimit and FioLimit are reads/s of random lines, MB/s of sequential ones; Ratio is the
	// line's figure over the larger of them.
	DeviceLimit *float64 `json:"device_limit"`
	FioLimit    *float64 `json:"fio_limit"`
	Ratio       *float64 `json:"ratio"`
}

const readColumns = "%-38s %10s %9s %8s %8s %8s %8s %9s %9s %6s\n"

// readTable prints lines as they come, and keeps them for -json.
type readTable struct {
	w    io.Writer
	json io.Writer // nil when nobody asked
}

func (t *readTable) header() {
	fmt.Fprintf(t.w, readColumns, "", "entries/s", "MB/s", "p50 µs", "p99 µs", "cpu s/M", "ns/entry", "device", "fio", "ratio")
}

func (t *readTable) line(r readResult) error {
	fmt.Fprintf(t.w, readColumns, r.Name, count(r.EntriesPerS), fixed(&r.MBPerS, 1), fixed(r.P50, 0), fixed(r.P99, 0),
		fixed(r.CPUPerM, 2), fixed(r.NanosPer, 1), limit(r.DeviceLimit), limit(r.FioLimit), fixed(r.Ratio, 2))
	if t.json == nil {
		return nil
	}
	return json.NewEncoder(t.json).Encode(&r)
}

func limit(v *float64) string {
	if v == nil {
		return "-"
	}
	return count(*v)
}

// against sets the limits and the ratio of figure to the larger of them.
func (r *readResult) against(figure float64, device, fio *float64) {
	r.DeviceLimit, r.FioLimit = device, fio
	most := 0.0
	for _, v := range []*float64{device, fio} {
		if v != nil {
			most = max(most, *v)
		}
	}
	if most > 0 {
		r.Ratio = ptr(figure / most)
	}
}
