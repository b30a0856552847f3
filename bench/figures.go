package main

import (
	"encoding/json"
	"fmt"
	"io"
)

// figure is one line of bench snapshot and bench readers, and one object of -json. Absent
// figures are nil.
type figure struct {
	Suite       string   `json:"suite"`
	Name        string   `json:"name"`
	EntriesPerS *float64 `json:"entries_per_s"`
	P50         *float64 `json:"ack_p50_us"`
	P99         *float64 `json:"ack_p99_us"`
	CPUPerM     *float64 `json:"cpu_s_per_m"`
	// MBPerS are of states or copies; DeviceMBPerS is the device's direct sequential bandwidth in
	// the same direction.
	MBPerS       *float64 `json:"mb_per_s"`
	DeviceMBPerS *float64 `json:"device_mb_per_s"`
	Seconds      *float64 `json:"seconds"`
	// NanosPer is CPU per entry that a reader gets.
	NanosPer *float64 `json:"ns_per_entry"`
	// Ratio is a p99 over the one alone, or MBPerS over DeviceMBPerS. Goal says what is asked of
	// the line, empty when nothing is.
	Ratio *float64 `json:"ratio"`
	// TwiceMB is what of a transfer was sent more than once.
	TwiceMB *float64 `json:"sent_twice_mb"`
	Goal    string   `json:"goal"`
}

const figureColumns = "%-40s %10s %8s %8s %8s %9s %9s %8s %9s %6s  %s\n"

// figureTable prints lines as they come.
type figureTable struct {
	w     io.Writer
	json  io.Writer // nil when nobody asked
	suite string
}

func (t *figureTable) header() {
	fmt.Fprintf(t.w, figureColumns, "", "entries/s", "p50 µs", "p99 µs", "cpu s/M", "MB/s", "device", "seconds", "ns/entry", "ratio", "goal")
}

func (t *figureTable) line(f figure) error {
	f.Suite = t.suite
	fmt.Fprintf(t.w, figureColumns, f.Name, limit(f.EntriesPerS), fixed(f.P50, 0), fixed(f.P99, 0), fixed(f.CPUPerM, 2),
		fixed(f.MBPerS, 0), fixed(f.DeviceMBPerS, 0), fixed(f.Seconds, 2), fixed(f.NanosPer, 1), fixed(f.Ratio, 2), f.Goal)
	if f.TwiceMB != nil {
		fmt.Fprintf(t.w, "%-40s sent more than once: %s MB\n", "", fixed(f.TwiceMB, 1))
	}
	if t.json == nil {
		return nil
	}
	return json.NewEncoder(t.json).Encode(&f)
}

// writers are the figures of a load.
func writers(name string, m measure) figure {
	return figure{Name: name, EntriesPerS: ptr(ratio(float64(m.Entries), m.Seconds)), P50: m.P50, P99: m.P99,
		CPUPerM: scaled(m.CPUSeconds, ratio(1e6, float64(m.Entries)))}
}

// over is a's quotient by b, nil when one of them is unknown.
func over(a, b *float64) *float64 {
	if a == nil || b == nil || *b == 0 {
		return nil
	}
	return ptr(*a / *b)
}

// bandwidth are the figures of something that took seconds for bytes, beside the device's
// bandwidth in bytes per second.
func bandwidth(name string, bytes, seconds float64, device *float64, goal string) figure {
	perS := ptr(ratio(bytes, seconds) / 1e6)
	mb := scaled(device, 1e-6)
	return figure{Name: name, MBPerS: perS, DeviceMBPerS: mb, Seconds: &seconds, Ratio: over(perS, mb), Goal: goal}
}
