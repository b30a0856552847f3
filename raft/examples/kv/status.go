package main

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// statusPatience is how long another node may take to say how it is.
const statusPatience = time.Second

// nodeStatus is what a node says of itself.
type nodeStatus struct {
	Node    string `json:"node"`
	Life    uint64 `json:"life"` // numbers the node's lives
	Role    string `json:"role"`
	Term    uint64 `json:"term"`
	Leader  string `json:"leader"`
	Last    uint64 `json:"last"`
	Written uint64 `json:"written"`
	Commit  uint64 `json:"commit"`
	Applied uint64 `json:"applied"`
	// Snapshot is the index of the newest one.
	Snapshot uint64 `json:"snapshot"`
	Stopped  string `json:"stopped,omitempty"` // why the member does not run

	Disk      string  `json:"disk"` // ok, slow, stalled, readOnly, failed
	DiskCause string  `json:"disk_cause,omitempty"`
	SyncMs    float64 `json:"sync_ms"` // of late
	LogBytes  int64   `json:"log_bytes"`

	Keys      int            `json:"keys"` // 0 until the machine has answered
	KeysBytes int64          `json:"keys_bytes"`
	Readers   []readerStatus `json:"readers"`
	Peers     []peerStatus   `json:"peers"`
}

type readerStatus struct {
	Name     string `json:"name"`
	Position uint64 `json:"position"`
	Behind   uint64 `json:"behind"` // entries
}

type peerStatus struct {
	Node  string  `json:"node"`
	State string  `json:"state"`
	RTTMs float64 `json:"rtt_ms"`
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// nodeStatus asks nobody, and does not wait.
func (s *server) nodeStatus() nodeStatus {
	o := s.node.Overview()
	n := nodeStatus{Node: s.opts.ID, Life: o.Life, Role: "none", Readers: []readerStatus{}, Peers: []peerStatus{}}
	for _, m := range o.Servers {
		if m.ID != s.self {
			continue
		}
		k := &m.Metrics
		n.Role, n.Term, n.Leader = k.Role.String(), uint64(k.Term), k.Leader.Node
		n.Last, n.Written, n.Commit = uint64(k.Last), uint64(k.Written), uint64(k.Commit)
		n.Applied, n.Snapshot = uint64(k.Applied), uint64(k.Snapshot)
		n.LogBytes = m.Log.MemoryBytes + m.Log.SegmentBytes
		if m.Err != nil {
			n.Role, n.Stopped = "stopped", m.Err.Error()
		}
	}
	disk := s.node.Engine().Stats()
	n.Disk, n.SyncMs = disk.Health.String(), millis(disk.SyncEWMA)
	if disk.HealthCause != nil {
		n.DiskCause = disk.HealthCause.Error()
	}
	for _, r := range s.node.Engine().Readers() {
		n.Readers = append(n.Readers, readerStatus{r.Name, uint64(r.Position), r.Entries})
	}
	for _, p := range o.Peers {
		n.Peers = append(n.Peers, peerStatus{p.ID, p.State.String(), millis(p.RTT)})
	}
	return n
}

// statusQuery is the registered query by which other nodes ask; it adds what the machine knows.
func (s *server) statusQuery(m raft.Machine, _ []byte) ([]byte, error) {
	n := s.nodeStatus()
	if st, ok := m.(*store); ok {
		n.Keys, n.KeysBytes = st.keys.size()
	}
	return json.Marshal(n)
}

// clusterStatus is what one node knows of all.
type clusterStatus struct {
	Self    nodeStatus     `json:"self"`
	Uptime  string         `json:"uptime"`
	Members []memberStatus `json:"members"`
	Error   string         `json:"error,omitempty"` // why the leader could not be asked
	Events  []event        `json:"events"`
}

// memberStatus is a member as the leader has it, and as it says itself: Status is nil when it does not answer.
type memberStatus struct {
	member
	Status *nodeStatus `json:"status"`
	Error  string      `json:"error,omitempty"`
}

// clusterStatus asks the leader and every node, for statusPatience each at most.
func (s *server) clusterStatus(ctx context.Context) clusterStatus {
	c := clusterStatus{Self: s.nodeStatus(), Uptime: time.Since(s.began).Round(time.Second).String(), Events: s.event.newest()}
	asked, cancel := context.WithTimeout(ctx, statusPatience)
	list, err := s.members(asked)
	cancel()
	if err != nil { // nobody leads: who the members are is still known here
		c.Error = err.Error()
		if b, err := s.node.Leaderboard(serverName); err == nil {
			for _, m := range b.Members() {
				at := s.opts.Book.announced(m.ID.Node)
				list = append(list, member{Node: m.ID.Node, Membership: m.Membership.String(), URL: at.URL, Raft: at.Raft})
			}
		}
	}
	c.Members = make([]memberStatus, len(list))
	var answers sync.WaitGroup
	for i := range list {
		m := &c.Members[i]
		m.member = list[i]
		answers.Go(func() { m.Status, m.Error = s.ask(ctx, m.Node) })
	}
	answers.Wait()
	return c
}

// ask asks a node how it is.
func (s *server) ask(ctx context.Context, node string) (*nodeStatus, string) {
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	var n nodeStatus
	b, err := s.node.QueryMember(ctx, raft.ServerID{Name: serverName, Node: node}, queryStatus, nil, raft.QueryOptions{})
	if err == nil {
		err = json.Unmarshal(b, &n)
	}
	switch {
	case err == nil:
		return &n, ""
	case node == s.opts.ID: // its machine is stopped, or busy
		n = s.nodeStatus()
		return &n, err.Error()
	}
	return nil, err.Error()
}

func (s *server) statusJSON(w http.ResponseWriter, r *http.Request) error {
	writeJSON(w, http.StatusOK, s.clusterStatus(r.Context()))
	return nil
}

// healthz says whether the process is of use at all: whoever runs it starts it again when not.
func (s *server) healthz(w http.ResponseWriter, _ *http.Request) error {
	if h := s.node.Engine().Stats(); h.Health == engine.HealthFailed {
		return &apiError{Status: http.StatusServiceUnavailable, Code: "disk_failed", Message: h.HealthCause.Error()}
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
	return nil
}

// readyz says whether requests should be sent here.
func (s *server) readyz(w http.ResponseWriter, _ *http.Request) error {
	m, err := s.node.KeyMetrics(serverName)
	if err == nil {
		err = m.Err
	}
	disk := s.node.Engine().Stats().Health
	why := ""
	switch {
	case s.draining.Err() != nil:
		why = "the node is stopping"
	case err != nil:
		why = err.Error()
	case s.outside.Load():
		why = "the node is not a member of the cluster"
	case m.Leader.IsZero():
		why = "no leader is known"
	case m.Role != core.RoleFollower && m.Role != core.RoleLeader:
		why = "the member is in state " + m.Role.String()
	case disk != engine.HealthOK && disk != engine.HealthSlow:
		why = "the disk is " + disk.String()
	default:
		writeJSON(w, http.StatusOK, map[string]string{"status": "ready", "role": m.Role.String(), "leader": m.Leader.Node})
		return nil
	}
	return &apiError{Status: http.StatusServiceUnavailable, Code: "not_ready", Message: why, Retry: true}
}
