package main

import (
	"fmt"
	"io"
	"strings"
)

const (
	labelWidth = 34
	rowFormat  = "%-*s %-8s %9s %8s %7s %7s %7s %8s %8s %7s %7s %7s %7s %7s\n"
)

// table prints reports as they come.
type table struct {
	w io.Writer
}

func (t table) header() {
	t.line("logs × entry", "", "entries/s", "MB/s", "p50 µs", "p99 µs", "p99.9", "e/sync", "syncs/s",
		"cpu s/M", "dev B/B", "RSS MB", "allocs", "ratio")
	fmt.Fprintln(t.w, strings.Repeat("-", labelWidth+9+10+9+8*3+9*2+8*5))
}

func (t table) line(label, who string, cols ...string) {
	args := []any{labelWidth, label, who}
	for _, c := range cols {
		args = append(args, c)
	}
	fmt.Fprintf(t.w, rowFormat, args...)
}

// report prints the engine's line, and under it the floor's and the device's.
func (t table) report(rep *report) {
	rs := rep.results()
	t.result(rep.row.label(), rs[0].Backend, rs[0])
	for _, f := range rs[1:] {
		t.result("", "floor", f)
	}
	if rep.floor == nil {
		t.line("", "floor", dashes(12)...)
	}
	t.device(rep)
	if m := rep.engine; m.Unprepared > 0 || m.Busy > 0 || m.SegmentBytes > 0 && !rep.row.Flush {
		fmt.Fprintf(t.w, "%-*s note: %d rolls, %d of them to unprepared files; %d appends met ErrBusy; %s flushed\n",
			labelWidth, "", m.Rolls, m.Unprepared, m.Busy, megabytes(float64(m.SegmentBytes)))
	}
}

func (t table) result(label, who string, r result) {
	t.line(label, who, count(r.EntriesPerS), fixed(&r.MBPerS, 1), fixed(r.AckP50, 0), fixed(r.AckP99, 0),
		fixed(r.AckP999, 0), fixed(&r.EntriesPerSync, 1), count(r.SyncsPerS), fixed(r.CPUPerM, 2),
		fixed(r.DeviceBytesPerByte, 2), fixed(r.RSSMB, 0), fixed(&r.AllocsPerEntry, 3), fixed(r.Ratio, 2))
}

// device prints the limit: what durable writes of the mean batch, one at a time, would carry.
func (t table) device(rep *report) {
	d := rep.device
	if d == nil {
		t.line("", "device", dashes(12)...)
		return
	}
	perSync := rep.engine.entriesPerSync()
	entries := d.writesPerS * perSync
	mb := d.writesPerS * float64(d.size) / 1e6
	cols := append([]string{count(entries), fixed(&mb, 1), fixed(d.p50, 0), fixed(d.p99, 0), "-",
		fixed(&perSync, 1), count(d.writesPerS)}, dashes(5)...)
	t.line("  durable writes of "+sizeName(d.size), "device", cols...)
	if d.fioWritesPerS != nil {
		entries, mb := *d.fioWritesPerS*perSync, *d.fioWritesPerS*float64(d.size)/1e6
		cols := append([]string{count(entries), fixed(&mb, 1), fixed(d.fioP50, 0), "-", "-",
			fixed(&perSync, 1), count(*d.fioWritesPerS)}, dashes(5)...)
		t.line("", "fio", cols...)
	}
	if d.streamMB != nil {
		t.line("  direct sequential writes", "device", append([]string{"-", fixed(d.streamMB, 1)}, dashes(10)...)...)
	}
	if d.fioStreamMB != nil {
		t.line("", "fio", append([]string{"-", fixed(d.fioStreamMB, 1)}, dashes(10)...)...)
	}
}

func dashes(n int) []string { return strings.Split(strings.Repeat("-", n), "") }

// count shortens a number to three digits and a unit.
func count(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2fM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.1fk", v/1e3)
	}
	return fmt.Sprintf("%.0f", v)
}

// fixed is '-' for what is unknown.
func fixed(v *float64, digits int) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, *v)
}

func megabytes(bytes float64) string { return fmt.Sprintf("%.1f MB", bytes/1e6) }
