package core_test

import (
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

// BenchmarkCommit is what the core costs for proposals through a leader and two followers, each on a disk and a
// network that cost nothing: all steps of all three servers.
func BenchmarkCommit(b *testing.B) {
	for _, batch := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) { benchmarkCommit(b, batch) })
	}
}

func benchmarkCommit(b *testing.B, batch int) {
	c := newCircuit(b)
	c.run(0, core.TriggerElection{})
	in := core.Proposed{Proposals: make([]core.Proposal, batch)}
	data := make([]byte, 256)
	for k := range in.Proposals {
		in.Proposals[k] = core.Proposal{Kind: core.FirstShellKind, Data: data, Ref: uint64(k)}
	}
	var input core.Input = in
	b.ReportAllocs()
	b.ResetTimer()
	commits := 0
	for b.Loop() {
		c.run(0, input)
		commits += batch
	}
	b.StopTimer()
	if got := int(c.servers[0].Commit()); got < commits {
		b.Fatalf("%d of %d committed", got, commits)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(commits), "ns/commit")
	b.ReportMetric(float64(c.steps)/float64(commits), "steps/commit")
}

// circuit is three servers with the shortest ways between them.
type circuit struct {
	servers [3]*core.Server
	entries [3][]core.Entry // the newest of each log
	wire    []delivery
	steps   int
}

type delivery struct {
	to int
	in core.Input
}

func newCircuit(tb testing.TB) *circuit {
	conf := core.Configuration{Cluster: core.ClusterID{1}, Epoch: 1}
	for k := range 3 {
		conf.Members = append(conf.Members, core.Member{Membership: core.Voter, Identity: core.Identity{
			ID: core.ServerID{Name: "kv", Node: fmt.Sprintf("n%d", k)}, UID: "u", Incarnation: core.Incarnation(k + 1)}})
	}
	c := &circuit{}
	for k := range 3 {
		s, err := core.New(core.Options{Self: conf.Members[k].Identity}, core.Restore{Snapshot: core.SnapshotMeta{Configuration: conf}})
		if err != nil {
			tb.Fatal(err)
		}
		c.servers[k] = s
		c.run(k, core.Recovered{})
	}
	return c
}

// run steps until nothing is left to do. Disks answer last, as they are slower than networks.
func (c *circuit) run(to int, in core.Input) {
	c.wire = append(c.wire[:0], delivery{to, in})
	for n := 0; n < len(c.wire); n++ {
		c.step(c.wire[n].to, c.wire[n].in)
	}
}

func (c *circuit) step(k int, in core.Input) {
	c.steps++
	e := c.servers[k].Step(in)
	if e.HardState != nil {
		c.wire = append(c.wire, delivery{k, core.HardStateWritten{State: *e.HardState}})
	}
	if n := len(e.Append); n > 0 {
		log := c.entries[k]
		if len(log) > 1024 {
			log = append(log[:0], log[len(log)-512:]...)
		}
		c.entries[k] = append(log, e.Append...)
		c.wire = append(c.wire, delivery{k, core.Written{ID: e.Append[n-1].ID()}})
	}
	for _, m := range e.Messages {
		c.wire = append(c.wire, delivery{index(m.To.Node), core.Received{Message: m}})
	}
	for _, s := range e.Sends {
		log := c.entries[k]
		at := int(s.First - log[0].Index)
		entries := log[at : at+int(s.Last-s.First)+1 : at+int(s.Last-s.First)+1]
		c.wire = append(c.wire, delivery{index(s.Head.To.Node), core.Received{Message: core.Message{Head: s.Head, Body: core.Append{
			Prev: s.Prev, Commit: s.Commit, Probe: s.Probe, Entries: entries}}}},
			delivery{k, core.Sent{To: s.Head.To, Last: s.Last, Bytes: 256 * len(entries)}})
	}
}
