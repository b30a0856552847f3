package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rawl-db/rawl/fio"
)

// TestMain lets the test binary be the processes that commands start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{workerCommand, idleCommand, nodeCommand, burnCommand, tortureCommand}, os.Args[1]) {
		if err := dispatch(context.Background(), os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestRowEndToEnd(t *testing.T) {
	for _, r := range []row{newRow(3, 256), newRow(2, 100).outstanding(64), newRow(1, 64).batch(8),
		{Suite: "bench", Store: storeEngine, Backend: "fallback", Strategy: "sync", Prealloc: "none", Logs: 2, Producers: 6, Size: 64, Batch: 1, Flush: true}} {
		t.Run(r.label(), func(t *testing.T) {
			r.WALFile = 1 << 20
			s := &session{dir: t.TempDir(), progress: newProgress(1),
				plan: plan{slices: 2, engine: 100 * time.Millisecond, floor: 50 * time.Millisecond, device: 20 * time.Millisecond}}
			var out bytes.Buffer
			file := filepath.Join(s.dir, "rows.json")
			if err := s.run(t.Context(), []row{r}, &out, file); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			checkRows(t, b)
			if left, _ := filepath.Glob(filepath.Join(s.dir, "row-*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func checkRows(t *testing.T, b []byte) {
	t.Helper()
	want := []string{"suite", "backend", "strategy", "prealloc", "logs", "size", "producers", "outstanding", "flush",
		"entries_per_s", "mb_per_s", "ack_p50_us", "ack_p99_us", "ack_p999_us", "syncs_per_s", "entries_per_sync",
		"cpu_s_per_m", "device_bytes_per_byte", "allocs_per_entry", "rss_mb", "device_limit", "ratio"}
	for line := range bytes.Lines(b) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		for _, k := range want {
			if _, ok := m[k]; !ok {
				t.Errorf("no key %s", k)
			}
		}
		if len(m) != len(want) {
			t.Errorf("%d keys, want %d", len(m), len(want))
		}
		if n := m["entries_per_s"].(float64); n <= 0 {
			t.Errorf("%v entries/s", n)
		}
	}
}

func TestPercentileNeedsSamples(t *testing.T) {
	h := newHist()
	for range 9_999 {
		_ = h.RecordValue(100)
	}
	if percentile(h, 50) == nil || percentile(h, 99) != nil {
		t.Fatal("want p50 and no p99 of 9,999 samples")
	}
	_ = h.RecordValue(100)
	if percentile(h, 99) == nil || percentile(h, 99.9) != nil {
		t.Fatal("want p99 and no p99.9 of 10,000 samples")
	}
}

func TestRowValidation(t *testing.T) {
	for name, r := range map[string]row{
		"no logs": {Producers: 1, Size: 1, Batch: 1}, "strategy": {Logs: 1, Size: 1, Batch: 1, Strategy: "maybe"},
		"uneven": {Logs: 2, Producers: 3, Size: 1, Batch: 1, Strategy: "sync", Prealloc: "none"},
	} {
		if r.validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	r := newRow(4, 1)
	if err := r.validate(); err != nil {
		t.Error(err)
	}
}

func TestFioJobs(t *testing.T) {
	files, err := fio.Jobs.ReadDir(".")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	text, err := fio.Jobs.ReadFile("commit-4k.fio")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(withSettings(string(text), map[string]string{"bs": "8192", "nothing": "1"}), "\n")
	if !slices.Contains(got, "bs=8192") || slices.Contains(got, "bs=4k") || slices.Contains(got, "nothing=1") {
		t.Error(got)
	}
}

func TestTortureRefusesJournalInside(t *testing.T) {
	dir := t.TempDir()
	for acks, ok := range map[string]bool{filepath.Join(dir, "acks"): false, dir + ".acks": true, filepath.Join(filepath.Dir(dir), "..x"): true} {
		c := tortureCase{row: newRow(1, 1), dir: dir, acks: acks, owners: 1}
		if err := c.check(); (err == nil) != ok {
			t.Errorf("%s: %v", acks, err)
		}
	}
}
