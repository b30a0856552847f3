package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// requestFigures count what was asked for, by path and status.
type requestFigures struct {
	mu    sync.Mutex
	count map[requestKey]uint64
	nanos map[string]time.Duration // by path
}

type requestKey struct {
	path string
	code int
}

func (f *requestFigures) add(path string, code int, took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count == nil {
		f.count, f.nanos = map[requestKey]uint64{}, map[string]time.Duration{}
	}
	f.count[requestKey{path, code}]++
	f.nanos[path] += took
}

// exposition is text in Prometheus' format.
type exposition struct{ strings.Builder }

// family begins a metric.
func (x *exposition) family(name, kind, help string) {
	fmt.Fprintf(x, "# HELP kv_%s %s\n# TYPE kv_%s %s\n", name, help, name, kind)
}

// sample is one value; labels is empty, or the pairs of a label set.
func (x *exposition) sample(name, labels string, v float64) {
	if labels != "" {
		labels = "{" + labels + "}"
	}
	fmt.Fprintf(x, "kv_%s%s %s\n", name, labels, strconv.FormatFloat(v, 'g', -1, 64))
}

func (x *exposition) single(name, kind, help string, v float64) {
	x.family(name, kind, help)
	x.sample(name, "", v)
}

// summary writes a histogram of nanoseconds, as seconds.
func (x *exposition) summary(name, help string, h raft.Histogram) {
	x.family(name, "summary", help)
	for _, q := range []float64{0.5, 0.99, 0.999} {
		x.sample(name, fmt.Sprintf("quantile=%q", strconv.FormatFloat(q, 'g', -1, 64)), float64(h.Quantile(q))/1e9)
	}
	x.sample(name+"_sum", "", float64(h.Sum)/1e9)
	x.sample(name+"_count", "", float64(h.Count))
}

// label quotes a label's value as the format wants it.
func label(name, value string) string {
	return name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value) + `"`
}

// metrics serves GET /metrics.
func (s *server) metrics(w http.ResponseWriter, _ *http.Request) error {
	x := &exposition{}
	s.memberMetrics(x)
	s.diskMetrics(x)
	s.transportMetrics(x)
	s.requestMetrics(x)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write([]byte(x.String())) // the client is gone: nobody is left to tell
	return nil
}

func (s *server) memberMetrics(x *exposition) {
	m, err := s.node.KeyMetrics(serverName)
	up := 1.0
	if err != nil || m.Err != nil {
		up = 0
	}
	x.single("member_up", "gauge", "1 while the node's member runs.", up)
	x.single("leader", "gauge", "1 while the node's member leads.", truth(m.Leader == s.self))
	x.single("term", "gauge", "Term of the member.", float64(m.Term))
	x.family("index", "gauge", "Indexes of the member's log.")
	for _, i := range []struct {
		name string
		at   raft.Index
	}{{"last", m.Last}, {"written", m.Written}, {"commit", m.Commit}, {"applied", m.Applied}, {"snapshot", m.Snapshot}} {
		x.sample("index", label("of", i.name), float64(i.at))
	}
	x.family("member_total", "counter", "Counts of the member since it was started.")
	for i, n := range m.Counters {
		x.sample("member_total", label("what", raft.Counter(i).String()), float64(n))
	}
	x.single("mailbox_dropped_total", "counter", "Messages that found the member's mailbox full.", float64(m.Dropped))
	x.summary("commit_seconds", "Time from appending to commit, sampled on the leader.", s.node.Stats().CommitNanos)
	x.family("peer_up", "gauge", "1 while there is contact with a node, in both directions.")
	peers := s.node.Overview().Peers
	for _, p := range peers {
		x.sample("peer_up", label("node", p.ID), truth(p.State.String() == "up"))
	}
	x.family("peer_rtt_seconds", "gauge", "Smoothed round trip of heartbeats.")
	for _, p := range peers {
		x.sample("peer_rtt_seconds", label("node", p.ID), p.RTT.Seconds())
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (s *server) diskMetrics(x *exposition) {
	d := s.node.Engine().Stats()
	x.family("disk_health", "gauge", "1 for the state that the disk is in.")
	for _, h := range []string{"ok", "slow", "stalled", "readOnly", "failed"} {
		x.sample("disk_health", label("state", h), truth(d.Health.String() == h))
	}
	x.summary("sync_seconds", "Time of a durable write of the log.", d.SyncNanos)
	x.single("disk_failures_total", "counter", "Writes or syncs that failed.", float64(d.Failures))
	x.single("wal_bytes_total", "counter", "Bytes written to the write-ahead log.", float64(d.WALBytes))
	x.single("segment_bytes_total", "counter", "Bytes written to segments.", float64(d.SegmentBytes))
	x.single("memtable_bytes", "gauge", "Memory of entries that are not flushed.", float64(d.MemoryBytes))
	x.single("queue_bytes", "gauge", "Bytes that wait to be committed.", float64(d.QueueBytes))
	x.single("readers", "gauge", "Open readers of logs.", float64(d.Readers))
}

func (s *server) transportMetrics(x *exposition) {
	t := s.tcpStats()
	x.family("transport_messages_total", "counter", "Messages of the transport.")
	for _, c := range []struct {
		what string
		n    uint64
	}{{"sent", t.Sent}, {"refused", t.Refused}, {"lost", t.Lost}, {"unsendable", t.Unsendable}, {"delivered", t.Delivered}} {
		x.sample("transport_messages_total", label("what", c.what), float64(c.n))
	}
	x.family("transport_bytes_total", "counter", "Bytes written to other nodes, without TLS.")
	x.sample("transport_bytes_total", label("to", "log"), float64(t.LogBytes))
	x.sample("transport_bytes_total", label("to", "bulk"), float64(t.BulkBytes))
	x.family("transport_connections_total", "counter", "Connections to other nodes.")
	for _, c := range []struct {
		what string
		n    uint64
	}{{"dialed", t.Dialed}, {"accepted", t.Accepted}, {"failed", t.Failed}, {"made", t.Connections}} {
		x.sample("transport_connections_total", label("what", c.what), float64(c.n))
	}
	x.family("transport_offences_total", "counter", "Connections that ended for what the other side did.")
	for _, c := range []struct {
		what string
		n    uint64
	}{{"crowded", t.Crowded}, {"malformed", t.Malformed}, {"version", t.Version}, {"cookie", t.Cookie}, {"receiver", t.Receiver},
		{"identity", t.Identity}, {"outdated", t.Outdated}, {"too_long", t.TooLong}, {"damaged", t.Damaged},
		{"out_of_turn", t.OutOfTurn}, {"wrong_class", t.WrongClass}, {"undecoded", t.Undecoded}, {"cut", t.Cut}, {"timed_out", t.TimedOut}} {
		x.sample("transport_offences_total", label("what", c.what), float64(c.n))
	}
}

func (s *server) requestMetrics(x *exposition) {
	x.single("writes_under_way", "gauge", "Writes that are not answered.", float64(len(s.writes)))
	x.single("watches", "gauge", "Open watches.", float64(len(s.watchers)))
	x.single("sessions", "gauge", "Sessions of clients of this node.", float64(s.sessions.count()))
	s.figures.mu.Lock()
	defer s.figures.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(s.figures.count), func(a, b requestKey) int {
		if a.path != b.path {
			return strings.Compare(a.path, b.path)
		}
		return a.code - b.code
	})
	x.family("requests_total", "counter", "Requests by path and status.")
	for _, k := range keys {
		x.sample("requests_total", label("path", k.path)+","+label("code", strconv.Itoa(k.code)), float64(s.figures.count[k]))
	}
	x.family("request_seconds_total", "counter", "Time that requests took.")
	for _, path := range slices.Sorted(maps.Keys(s.figures.nanos)) {
		x.sample("request_seconds_total", label("path", path), s.figures.nanos[path].Seconds())
	}
}
