package main

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
)

func smallRaftRow(clusters, clients, outstanding int) raftRow {
	r := newRaftRow(clusters, clients)
	r.Outstanding, r.Duration, r.Store.WALFile = outstanding, 300*time.Millisecond, 1<<20
	return r
}

func TestRaftEndToEnd(t *testing.T) {
	reads, failover := smallRaftRow(1, 4, 1), smallRaftRow(1, 4, 1)
	reads.Reads, failover.Failovers = true, 2
	processes, secured, killed := smallRaftRow(3, 2, 1), smallRaftRow(1, 1, 50), smallRaftRow(6, 1, 1)
	secured.TLS, killed.Failovers = true, 3
	for _, r := range []*raftRow{&processes, &secured, &killed} {
		r.Nodes = nodesProcess
	}
	for _, r := range []raftRow{smallRaftRow(3, 2, 1), smallRaftRow(1, 1, 50), reads, failover, processes, secured, killed} {
		t.Run(r.Nodes+" "+r.label(), func(t *testing.T) {
			var out bytes.Buffer
			s := raftSuite{dir: t.TempDir(), out: io.Discard, json: &out}
			if err := s.run(t.Context(), []raftRow{r}, runRaftRow); err != nil {
				t.Fatal(err)
			}
			var m map[string]any
			if err := json.Unmarshal(out.Bytes(), &m); err != nil {
				t.Fatal(err)
			}
			for _, k := range []string{"suite", "clusters", "clients", "outstanding", "size", "nodes", "backend", "commits_per_s", "commit_p50_us",
				"commit_p99_us", "commit_p999_us", "cpu_s_per_m", "syncs_per_commit", "device_bytes_per_byte", "rss_mb", "wire_bytes_per_byte", "messages_per_s", "ping_p50_us"} {
				if _, ok := m[k]; !ok {
					t.Errorf("no key %s", k)
				}
			}
			if n := m["commits_per_s"].(float64); n <= 0 && r.Failovers == 0 {
				t.Errorf("%v commits/s", n)
			}
			for k, want := range map[string]bool{"wire_bytes_per_byte": r.Nodes == nodesProcess && r.Failovers == 0,
				"messages_per_s": r.Nodes == nodesProcess, "failover_max_ms": r.Failovers > 0} {
				if n, _ := m[k].(float64); (n > 0) != want {
					t.Errorf("%s is %v", k, m[k])
				}
			}
		})
	}
}

func TestIdleEndToEnd(t *testing.T) {
	l := idleLife{Dir: t.TempDir(), Clusters: 20, Rest: 50 * time.Millisecond, Store: newRow(1, 1)}
	l.Store.WALFile = 1 << 20
	var out bytes.Buffer
	if err := l.lives(t.Context(), io.Discard, &out); err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(&out); d.More(); {
		var r idleReport
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.Clusters != 20 || r.Seconds <= 0 || r.Suite == "reopen" && (r.Entries < 1 || r.Terms < 1) {
			t.Errorf("%+v", r)
		}
	}
}

func TestTally(t *testing.T) {
	apply := func(numbers ...uint64) *tally {
		m := newTallyMachine().(*tallyMachine)
		command := make([]byte, commandHeader)
		for _, n := range numbers {
			encodeCommand(command, 7, n)
			m.Apply(&raft.ApplyContext{}, command)
		}
		var state bytes.Buffer
		if _, err := m.Snapshot().WriteTo(&state); err != nil {
			t.Fatal(err)
		}
		again := newTallyMachine().(*tallyMachine)
		if err := again.Restore(&state); err != nil {
			t.Fatal(err)
		}
		return again.clients[7]
	}
	unknown := map[uint64]bool{2: true, 5: true}
	for name, x := range map[string]struct {
		applied []uint64
		good    bool
	}{
		"all": {[]uint64{1, 2, 3, 4}, true}, "unknown left out": {[]uint64{1, 3, 4}, true}, "unknown late": {[]uint64{1, 3, 4, 2}, true},
		"unknown behind": {[]uint64{1, 3, 4, 5}, true}, "lost": {[]uint64{1, 2, 4}, false}, "last lost": {[]uint64{1, 2, 3}, false},
		"twice": {[]uint64{1, 2, 3, 4, 4}, false}, "invented": {[]uint64{1, 2, 3, 4, 5, 6}, false}, "none": {nil, false},
	} {
		o := outcome{acked: 3, last: 4, unknown: unknown}
		if err := o.check(apply(x.applied...)); (err == nil) != x.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRaftRowValidation(t *testing.T) {
	good := newRaftRow(1, 1)
	if err := good.validate(); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(*raftRow){
		"no clusters": func(r *raftRow) { r.Clusters = 0 }, "too many": func(r *raftRow) { r.Clients = maxClients + 1 },
		"small": func(r *raftRow) { r.Size = commandHeader - 1 }, "failover of reads": func(r *raftRow) { r.Reads, r.Failovers = true, 1 },
		"nowhere": func(r *raftRow) { r.Nodes = "moon" }, "TLS in one process": func(r *raftRow) { r.TLS = true },
		"failover of many": func(r *raftRow) { r.Clusters, r.Failovers = 2, 1 },
		"no time":          func(r *raftRow) { r.Duration = 0 }, "strategy": func(r *raftRow) { r.Store.Strategy = "maybe" },
	} {
		r := newRaftRow(1, 1)
		f(&r)
		if r.validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
