package raft_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// onDevices are houses' options with a device for each node that can be made to fail.
func onDevices(nodes int) (houseOptions, []*errorfs.FS) {
	o := tallies(nil)
	var list []*errorfs.FS
	for i := range nodes {
		fs := errorfs.New(memfs.New(uint64(i)), errorfs.Plan{})
		list = append(list, fs)
		o.devices = append(o.devices, vfs.FS(fs))
	}
	o.change = func(n *raft.NodeOptions) {
		n.Engine.Strategy = engine.StrategyDatasync
		n.Engine.SlowAfter, n.Engine.StallAfter = 50*time.Millisecond, 200*time.Millisecond
		n.HeartbeatInterval, n.DetectionBound = 200*time.Millisecond, time.Second
	}
	return o, list
}

// commits are what a WAL file's batches come down to.
func commits(op errorfs.Op) bool {
	return op.Kind == errorfs.OpWrite && op.Durable && strings.HasSuffix(op.Name, ".wal")
}

// TestH5DeviceHangs: the leader's device answers nothing any more, while its node goes on and its heartbeats too (H7).
// Another member leads before long, nothing that was answered is lost, and clusters that are led elsewhere keep their leader. When
// the device answers again the member has everything.
func TestH5DeviceHangs(t *testing.T) {
	o, devices := onDevices(3)
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.start(ctx, "free", "tally", 0, 1, 2)
	at := h.leader(ctx, 0, "c")
	other := (at + 1) % 3
	h.lead(ctx, other, "free")
	h.add(ctx, at, "c")
	h.add(ctx, at, "free")
	term, beats := h.metrics(other, "free").Term, h.nodes[at].Heartbeats()
	devices[at].Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.Stall, Match: commits})
	h.add(ctx, other, "c")
	<-devices[at].Stalled()
	h.leader(ctx, other, "c", at)
	sum := h.add(ctx, other, "c")
	if sum != 3 {
		t.Fatalf("the sum is %d", sum)
	}
	until(t, ctx, "heartbeats", func() bool { return h.nodes[at].Heartbeats() > beats+boundBeats })
	if m := h.metrics(other, "free"); m.Role != core.RoleLeader || m.Term != term {
		t.Fatalf("the other cluster: %v in %d, led %d", m.Role, m.Term, term)
	}
	h.add(ctx, other, "free")
	devices[at].Heal()
	until(t, ctx, "the state", func() bool { return h.total(ctx, at, "c") == int64(sum) && h.total(ctx, at, "free") == 2 })
}

// lead makes a node's member the leader.
func (h *house) lead(ctx context.Context, i int, name string) {
	h.t.Helper()
	until(h.t, ctx, "leadership", func() bool {
		_ = h.nodes[i].TransferLeadership(ctx, h.id(i, name), h.id(i, name)) // it may not have everything yet
		return h.metrics(i, name).Role == core.RoleLeader
	})
}

// TestH5AllDevicesHang: the devices of all nodes hang for a while. Nobody can lead better, nothing is acknowledged
// meanwhile, and all goes on afterwards.
func TestH5AllDevicesHang(t *testing.T) {
	o, devices := onDevices(3)
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	at := h.leader(ctx, 0, "c")
	h.add(ctx, at, "c")
	for _, d := range devices {
		d.Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.Stall, Match: commits})
	}
	done := make(chan error, 1)
	go func() {
		_, err := h.nodes[at].Process(ctx, h.id(at, "c"), one(), raft.ProcessOptions{})
		done <- err
	}()
	<-devices[at].Stalled()
	until(t, ctx, "a stalled engine", func() bool { s, _ := h.nodes[at].Engine().Health(); return s == engine.HealthStalled })
	select {
	case err := <-done:
		if err == nil {
			t.Fatal("acknowledged by nobody's device")
		}
	default:
	}
	for _, d := range devices {
		d.Heal()
	}
	h.leader(ctx, at, "c")
	sum := h.add(ctx, at, "c")
	if sum != 2 && sum != 3 {
		t.Fatalf("the sum is %d", sum)
	}
	for i := range 3 {
		until(t, ctx, "equal states", func() bool { return h.total(ctx, i, "c") == int64(sum) })
	}
}

// TestF15DeviceFails: the leader's device fails for good. Its server stops with the cause and says so to the
// others, who lead on; what waited there is answered.
func TestF15DeviceFails(t *testing.T) {
	o, devices := onDevices(3)
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	at := h.leader(ctx, 0, "c")
	other := (at + 1) % 3
	h.add(ctx, at, "c")
	devices[at].Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.EIO})
	done := make(chan error, 1)
	go func() {
		_, err := h.nodes[at].Process(ctx, h.id(at, "c"), one(), raft.ProcessOptions{})
		done <- err
	}()
	until(t, ctx, "the end of the leader", func() bool { return h.metrics(at, "c").Err != nil })
	h.leader(ctx, other, "c", at)
	err := <-done
	sum := h.add(ctx, other, "c")
	if least := map[bool]uint64{true: 3, false: 2}[err == nil]; sum < least || sum > 3 {
		t.Fatalf("the sum is %d after %v", sum, err)
	}
	if err := h.metrics(at, "c").Err; !errors.Is(err, engine.ErrFailed) {
		t.Fatalf("it stopped for %v", err)
	}
	if err := h.nodes[at].Close(ctx); !errors.Is(err, engine.ErrFailed) {
		t.Errorf("close: %v", err)
	}
	h.nodes[at] = nil
	devices[at].Heal()
	h.open(at)
	until(t, ctx, "the state", func() bool { return h.total(ctx, at, "c") == int64(sum) })
}

// TestColdReadsHoldUpNobody: a follower lags behind what the leader's memory holds, and the leader's device answers no read: the
// others go on, and when it answers the follower has everything.
func TestColdReadsHoldUpNobody(t *testing.T) {
	o, devices := onDevices(3)
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	at := h.leader(ctx, 0, "c")
	behind := (at + 1) % 3
	h.close(behind)
	for range 50 {
		h.add(ctx, at, "c")
	}
	if err := h.nodes[at].Engine().Flush(ctx); err != nil {
		t.Fatal(err)
	}
	devices[at].Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.Stall, Match: func(op errorfs.Op) bool {
		return (op.Kind == errorfs.OpRead || op.Kind == errorfs.OpOpen) && strings.HasSuffix(op.Name, ".seg")
	}})
	h.open(behind)
	<-devices[at].Stalled()
	sum := uint64(0)
	for range 10 {
		sum = h.add(ctx, at, "c")
	}
	if cold := h.metrics(at, "c").Counters[raft.CounterColdEntries]; cold != 0 {
		t.Fatalf("%d entries were read", cold)
	}
	devices[at].Heal()
	until(t, ctx, "the state", func() bool { return h.total(ctx, behind, "c") == int64(sum) })
	if cold := h.metrics(at, "c").Counters[raft.CounterColdEntries]; cold < 50 {
		t.Fatalf("%d entries were read", cold)
	}
}

// TestColdReadsAreBounded: a node's device answers no read while a follower of more of its clusters than may read at a time lags
// behind. The others wait for their turn, and have it.
func TestColdReadsAreBounded(t *testing.T) {
	o, devices := onDevices(3)
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	const at, behind = 0, 1
	var names []string
	for i := range raft.ColdReaders + 2 {
		names = append(names, fmt.Sprintf("c%d", i))
		h.start(ctx, names[i], "tally", 0, 1, 2)
		h.lead(ctx, at, names[i])
	}
	h.close(behind)
	for _, name := range names {
		h.add(ctx, at, name)
	}
	if err := h.nodes[at].Engine().Flush(ctx); err != nil {
		t.Fatal(err)
	}
	devices[at].Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.Stall, Match: func(op errorfs.Op) bool {
		return (op.Kind == errorfs.OpRead || op.Kind == errorfs.OpOpen) && strings.HasSuffix(op.Name, ".seg")
	}})
	defer devices[at].Heal()
	h.open(behind)
	until(t, ctx, "reads", func() bool {
		running, waiting := h.nodes[at].ColdReads()
		return running+waiting >= len(names)
	})
	if running, _ := h.nodes[at].ColdReads(); running != raft.ColdReaders {
		t.Errorf("%d reads at a time", running)
	}
	devices[at].Heal()
	for _, name := range names {
		until(t, ctx, "the state", func() bool { return h.total(ctx, behind, name) == 1 })
	}
	until(t, ctx, "no reads", func() bool { running, waiting := h.nodes[at].ColdReads(); return running+waiting == 0 })
}
