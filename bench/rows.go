package main

import (
	"github.com/rawl-db/rawl/fallback"
	"github.com/rawl-db/rawl/ring"
)

// standardRows are the six that represent the rest.
func standardRows() []row {
	return []row{
		newRow(1, 256), newRow(10, 256), newRow(100, 256), newRow(1000, 256),
		newRow(1, 256).outstanding(2048),
		newRow(100, 16<<10),
	}
}

// fullRows are the standard ones, other sizes, every backend and strategy that works here, and
// rows with flush.
func fullRows() []row {
	rows := standardRows()
	rows = append(rows, newRow(100, 256).batch(64), newRow(1, 1<<20).outstanding(4))
	for _, size := range []int{128, 1 << 10, 1 << 20} {
		for _, logs := range []int{1, 10, 100} {
			rows = append(rows, newRow(logs, size))
		}
	}
	rows = append(rows, newRow(1000, 128), newRow(1000, 1<<10))
	for _, backend := range backends() {
		for _, strategy := range strategies() {
			for _, logs := range []int{1, 100} {
				r := newRow(logs, 256)
				r.Backend, r.Strategy = backend, strategy.String()
				rows = append(rows, r)
			}
		}
	}
	for _, prealloc := range []string{"fallocate", "none"} {
		r := newRow(100, 256)
		r.Prealloc = prealloc
		rows = append(rows, r)
	}
	for _, r := range rows {
		r.Flush = true
		rows = append(rows, r)
	}
	for _, noGather := range []bool{false, true} {
		r := newRow(100, 256)
		r.Busy, r.NoGather = 2, noGather
		rows = append(rows, r)
	}
	for i := range rows {
		rows[i].Suite = "full"
	}
	return rows
}

// backends are those that work here.
func backends() []string {
	list := []string{"fallback"}
	if fallback.ProbeDirect(".") == nil {
		list = append(list, "direct")
	}
	if ring.Probe().Err == nil {
		list = append(list, "ring")
	}
	return list
}
