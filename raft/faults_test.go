package raft_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/transport"
)

// sluice is a tally of which one node's part can be held up: the application of a command, or the writing of a snapshot.
type sluice struct {
	tally
	gates *gates
	// order is the indexes that were applied.
	order []raft.Index
}

// gates hold up one node's machine.
type gates struct {
	apply, write atomic.Pointer[gate]
	writing      atomic.Int32 // snapshots that are being written
}

type gate chan struct{}

// shut makes those wait who come to it, until the gate is closed as a channel.
func shut(p *atomic.Pointer[gate]) gate {
	g := make(gate)
	p.Store(&g)
	return g
}

func (g *gates) pass(p *atomic.Pointer[gate]) {
	if c := p.Load(); c != nil {
		<-*c
	}
}

// Apply implements raft.Machine.
func (s *sluice) Apply(ctx *raft.ApplyContext, command []byte) []byte {
	s.gates.pass(&s.gates.apply)
	s.order = append(s.order, ctx.Index)
	return s.tally.Apply(ctx, command)
}

// Snapshot implements raft.Machine.
func (s *sluice) Snapshot() raft.View { return sluiceView{s.tally.Snapshot().(tallyView), s.gates} }

type sluiceView struct {
	tallyView
	gates *gates
}

// WriteTo implements raft.View.
func (v sluiceView) WriteTo(w io.Writer) (int64, error) {
	v.gates.writing.Add(1)
	defer v.gates.writing.Add(-1)
	v.gates.pass(&v.gates.write)
	return v.tallyView.WriteTo(w)
}

// sluices are houses' options with sluices, and the gates of each node.
func sluices(nodes int) (houseOptions, map[string]*gates) {
	list := make(map[string]*gates)
	for i := range nodes {
		list[string(ids(i)[0])] = &gates{}
	}
	return houseOptions{change: func(o *raft.NodeOptions) {
		g := list[o.ID]
		o.Machines = map[string]func() raft.Machine{"sluice": func() raft.Machine { return &sluice{gates: g} }}
	}}, list
}

// sluiceTotal is the state of a sluice, -1 when it cannot be had.
func (h *house) sluiceTotal(ctx context.Context, i int) int64 {
	v, err := h.nodes[i].LocalQuery(ctx, "c", func(m raft.Machine) (any, error) { return m.(*sluice).n, nil }, raft.QueryOptions{})
	if err != nil {
		return -1
	}
	return int64(v.(uint64))
}

// warnings is a logger's handler that counts the messages of a text, and does not return from them before gate is closed.
type warnings struct {
	of    string
	gate  chan struct{} // nil for none
	count atomic.Int32
}

// Enabled implements slog.Handler.
func (*warnings) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (w *warnings) Handle(_ context.Context, r slog.Record) error {
	if r.Message == w.of {
		w.count.Add(1)
		if w.gate != nil {
			<-w.gate
		}
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (w *warnings) WithAttrs([]slog.Attr) slog.Handler { return w }

// WithGroup implements slog.Handler.
func (w *warnings) WithGroup(string) slog.Handler { return w }

// TestE1OwnSnapshotBesideInstall: a member writes a snapshot of its own when a newer one arrives. It is installed when the own
// one is finished, and stays, also through a restart.
func TestE1OwnSnapshotBesideInstall(t *testing.T) {
	o, gates := sluices(3)
	refusals := &warnings{of: "a snapshot cannot be received"}
	quiet := o.change
	o.change = func(n *raft.NodeOptions) {
		quiet(n)
		n.Logger = slog.New(refusals)
	}
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "sluice", 0, 1, 2)
	leader := h.leader(ctx, 0, "c")
	slow, other := (leader+1)%3, (leader+2)%3
	g := gates[string(ids(slow)[0])]
	write := shut(&g.write)
	h.add(ctx, leader, "c")
	h.release(ctx, leader, "c")
	until(t, ctx, "the slow member's snapshot", func() bool { return g.writing.Load() > 0 })
	h.cutOff(slow, leader, other)
	until(t, ctx, "the loss of the slow member", func() bool {
		at := h.metrics(leader, "c").Snapshot
		h.add(ctx, leader, "c")
		h.release(ctx, leader, "c")
		return h.metrics(slow, "c").Last < at
	})
	h.net.HealAll()
	until(t, ctx, "refusals of transfers", func() bool { return refusals.count.Load() >= 4 })
	if k := h.nodes[leader].RefusedTransfers(h.id(slow, "c")); k != 1 { // each would double the pause, and the member is busy only
		t.Errorf("%d failures count", k)
	}
	if g.writing.Load() == 0 {
		t.Fatal("the own snapshot is not being written any more")
	}
	close(write)
	until(t, ctx, "the installation", func() bool { return h.metrics(slow, "c").Snapshot >= h.metrics(leader, "c").Snapshot })
	installed := h.metrics(slow, "c").Snapshot
	sum := h.add(ctx, leader, "c")
	until(t, ctx, "the state", func() bool { return h.sluiceTotal(ctx, slow) == int64(sum) })
	demandNewest(t, h, slow, installed)
	h.close(slow)
	h.open(slow)
	until(t, ctx, "the state after a restart", func() bool { return h.sluiceTotal(ctx, slow) == int64(sum) })
	demandNewest(t, h, slow, installed)
}

// demandNewest checks that a member's snapshot, and what it says of it, is at least that one.
func demandNewest(t *testing.T, h *house, i int, want raft.Index) {
	t.Helper()
	log, err := h.nodes[i].Engine().Log(h.uid(ctxFor(t), i, "c"))
	if err != nil {
		t.Fatal(err)
	}
	list := log.Snapshots()
	if len(list) == 0 || list[len(list)-1].ID.Index < want || h.metrics(i, "c").Snapshot < want {
		t.Fatalf("n%d has %+v and says %d, installed was %d", i, list, h.metrics(i, "c").Snapshot, want)
	}
}

// TestE2SnapshotReplacedWhileSent: the snapshot that is being sent to a new member is replaced by newer ones of the sender, over and over. Its
// file stays until it is sent, and goes then. What arrives is whole.
func TestE2SnapshotReplacedWhileSent(t *testing.T) {
	o, devices := onDevices(3)
	o.machines = map[string]func() raft.Machine{"bulk": func() raft.Machine { return new(bulk) }}
	o.change = func(n *raft.NodeOptions) { n.DetectionBound, n.SnapshotTimeout = 10*time.Minute, 10*time.Minute }
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "bulk", 0, 1)
	leader := h.leader(ctx, 0, "c")
	const added = 2
	h.tell(ctx, leader, "c", []byte("fill"))
	h.release(ctx, leader, "c")
	removed := make(chan string, 1024) // of the leader's snapshots, those whose files go
	devices[leader].Arm(errorfs.Plan{Match: func(op errorfs.Op) bool {
		name := filepath.Base(op.Name)
		if op.Kind == errorfs.OpRemove && strings.HasPrefix(name, "snapshot-") {
			removed <- name
		}
		return false
	}})
	devices[added].Arm(errorfs.Plan{K: 2, Sticky: true, Fault: errorfs.Stall, Match: func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpWrite && strings.HasSuffix(op.Name, ".part")
	}})
	id, err := h.nodes[added].StartServer(ctx, raft.ServerConfig{Name: "c", Machine: "bulk"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.nodes[leader].AddMember(ctx, h.id(leader, "c"), id, raft.MemberOptions{}); err != nil {
		t.Fatal(err)
	}
	defer devices[added].Heal()
	stalled := <-devices[added].Stalled()
	sent := strings.TrimSuffix(filepath.Base(stalled.Name), ".part")
	replaced := func() bool { // the files go in the order in which newer snapshots came; the names are in that order too
		h.release(ctx, leader, "c")
		for len(removed) > 0 {
			switch name := <-removed; {
			case name == sent:
				t.Fatalf("%s is removed while it is sent", name)
			case name > sent:
				return true
			}
		}
		return false
	}
	for range 3 {
		until(t, ctx, "the end of a newer snapshot", replaced)
	}
	devices[added].Heal()
	until(t, ctx, "the end of what was sent", func() bool { return len(removed) > 0 && <-removed == sent })
	want := &bulk{}
	want.Apply(nil, []byte("fill"))
	until(t, ctx, "the state", func() bool {
		v, err := h.nodes[added].LocalQuery(ctx, "c", func(m raft.Machine) (any, error) { return m.(*bulk).b, nil }, raft.QueryOptions{})
		return err == nil && v.([]byte) != nil
	})
	for i := range 3 {
		v, err := h.nodes[i].LocalQuery(ctx, "c", func(m raft.Machine) (any, error) { return slices.Equal(m.(*bulk).b, want.b), nil }, raft.QueryOptions{})
		if err != nil || !v.(bool) {
			t.Fatalf("n%d: the state is not what was sent: %v", i, err)
		}
	}
}

// TestE9E12InstallBehindQueuedApply: a snapshot is installed while entries below it wait to be applied, and the log below
// it is released. They are applied first, each once, or not at all; the state never goes back.
func TestE9E12InstallBehindQueuedApply(t *testing.T) {
	o, gates := sluices(3)
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "sluice", 0, 1, 2)
	leader := h.leader(ctx, 0, "c")
	slow, other := (leader+1)%3, (leader+2)%3
	h.add(ctx, leader, "c")
	until(t, ctx, "the state", func() bool { return h.sluiceTotal(ctx, slow) == 1 })
	apply := shut(&gates[string(ids(slow)[0])].apply)
	for range 20 {
		h.add(ctx, leader, "c")
	}
	queued := h.metrics(leader, "c").Commit
	until(t, ctx, "entries that wait", func() bool { return h.metrics(slow, "c").Commit >= queued })
	h.cutOff(slow, leader, other)
	for range 5 {
		h.add(ctx, leader, "c")
	}
	h.release(ctx, leader, "c")
	h.release(ctx, other, "c")
	sum := h.add(ctx, leader, "c")
	h.net.HealAll()
	until(t, ctx, "a transfer", func() bool { return h.metrics(slow, "c").Role == core.RoleReceiveSnapshot })
	if at := h.metrics(slow, "c").Applied; at >= queued {
		t.Fatalf("applied %d of %d with a machine that is held up", at, queued)
	}
	close(apply)
	lowest := raft.Index(0)
	until(t, ctx, "the state", func() bool {
		if at := h.metrics(slow, "c").Applied; at < lowest {
			t.Fatalf("applied falls from %d to %d", lowest, at)
		} else {
			lowest = at
		}
		return h.sluiceTotal(ctx, slow) == int64(sum)
	})
	v, err := h.nodes[slow].LocalQuery(ctx, "c", func(m raft.Machine) (any, error) { return slices.Clone(m.(*sluice).order), nil }, raft.QueryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for k, i := range v.([]raft.Index) {
		if k > 0 && i <= v.([]raft.Index)[k-1] {
			t.Fatalf("applied in the order %v", v)
		}
	}
}

// TestF15LateAnswers: commands whose leader is cut off, whose context ends, whose leader is replaced, or whose node closes: each
// call returns, once, and late answers reach nobody else.
func TestF15LateAnswers(t *testing.T) {
	o := tallies(nil)
	o.watchful = true
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	at := h.leader(ctx, 0, "c")
	var wg sync.WaitGroup
	var acked, maybe atomic.Int64
	call := func(i int, ctx context.Context) {
		_, err := h.nodes[i].Process(ctx, h.id(i, "c"), one(), raft.ProcessOptions{})
		var p *raft.ProposalError
		switch {
		case err == nil:
			acked.Add(1)
		case !errors.As(err, &p):
			t.Errorf("%T %v", err, err)
		case p.Outcome == raft.MaybeApplied:
			maybe.Add(1)
		}
	}
	for range 3 {
		at = h.leader(ctx, at, "c")
		brief, cancel := context.WithCancel(ctx)
		h.cutOff(at, (at+1)%3, (at+2)%3)
		for range 10 {
			wg.Go(func() { call(at, ctx) })       // superseded by another leader
			wg.Go(func() { call(at, brief) })     // given up
			wg.Go(func() { call((at+1)%3, ctx) }) // finds the new leader
		}
		until(t, ctx, "calls under way", func() bool { return h.metrics(at, "c").Last > h.metrics(at, "c").Commit })
		cancel()
		h.leader(ctx, (at+1)%3, "c", at)
		h.net.HealAll()
		wg.Wait()
		for i := range 3 {
			until(t, ctx, "no outstanding call", func() bool { return h.nodes[i].Outstanding() == 0 })
		}
	}
	sum := int64(h.add(ctx, at, "c"))
	if least, most := acked.Load()+1, acked.Load()+maybe.Load()+1; sum < least || sum > most {
		t.Fatalf("%d applied, %d acknowledged and %d unknown", sum, least, maybe.Load())
	}
}

// TestF5ResetBehindMessages: the end of the connection to a leader reaches a busy member together with the leader's last
// messages. They do not bring the belief in it back.
func TestF5ResetBehindMessages(t *testing.T) {
	o := tallies(nil)
	o.change = func(n *raft.NodeOptions) { n.DetectionBound = 10 * time.Minute } // nothing but the reset tells of the leader's end
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	leader := h.leader(ctx, 0, "c")
	busy, other := (leader+1)%3, (leader+2)%3
	h.add(ctx, leader, "c")
	until(t, ctx, "a leader that all follow", func() bool { return h.metrics(busy, "c").Leader == h.id(leader, "c") })
	release := h.nodes[busy].Hold("c")
	h.add(ctx, leader, "c")
	until(t, ctx, "an append that waits", func() bool { m, _ := h.nodes[busy].Held("c"); return m > 0 })
	_, before := h.nodes[busy].Held("c")
	if err := h.ends[leader].Close(); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "the reset", func() bool { _, n := h.nodes[busy].Held("c"); return n > before })
	release()
	h.leader(ctx, other, "c", leader)
	h.leader(ctx, busy, "c", leader)
}

// TestF5NoticeOfTheEnd: a leader's server is stopped while its node goes on. That it leads no longer reaches the others, whether
// the members have one name or each its own.
func TestF5NoticeOfTheEnd(t *testing.T) {
	for _, names := range [][3]string{{"c", "c", "c"}, {"c0", "c1", "c2"}} {
		o := tallies(nil)
		o.change = func(n *raft.NodeOptions) { n.DetectionBound = 10 * time.Minute }
		h := newHouseWith(t, 3, o)
		ctx := ctxFor(t)
		var members []raft.ServerID
		for i, name := range names {
			members = append(members, h.id(i, name))
		}
		if _, err := h.nodes[0].StartCluster(ctx, raft.ClusterConfig{Name: "cluster", Machine: "tally", Members: members}); err != nil {
			t.Fatal(err)
		}
		for i, name := range names {
			until(t, ctx, "a leader that all follow", func() bool { return !h.metrics(i, name).Leader.IsZero() })
		}
		at := slices.Index(members, h.metrics(0, names[0]).Leader)
		if err := h.nodes[at].StopServer(ctx, names[at]); err != nil {
			t.Fatal(err)
		}
		for i, name := range names {
			if i != at {
				until(t, ctx, "another leader", func() bool { l := h.metrics(i, name).Leader; return !l.IsZero() && l != members[at] })
			}
		}
	}
}

// TestH6StalledFollower: a member stands still while more is written than may be on its way to it, and nothing is written after.
// When it goes on it gets everything, without anybody's help.
func TestH6StalledFollower(t *testing.T) {
	o := tallies(nil)
	o.change = func(n *raft.NodeOptions) { n.WindowEntries, n.BatchEntries = 8, 4 }
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	leader := h.leader(ctx, 0, "c")
	stalled := (leader + 1) % 3
	if err := h.net.Pause(ids(stalled)[0]); err != nil {
		t.Fatal(err)
	}
	var sum uint64
	for range 60 {
		sum = h.add(ctx, leader, "c")
	}
	if at := h.total(ctx, stalled, "c"); at == int64(sum) {
		t.Fatal("it does not stand still")
	}
	if err := h.net.Resume(ids(stalled)[0]); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "the state", func() bool { return h.total(ctx, stalled, "c") == int64(sum) })
}

// patient has a node suspect nobody who was heard within a second: one of the machine's processors may be busy elsewhere
// for shorter, and then a node that lives is not heard, on whose behalf no lateness of its own is forgiven.
func patient(n *raft.NodeOptions) {
	n.HeartbeatInterval, n.DetectionBound = 200*time.Millisecond, time.Second
	n.Engine.StallAfter = time.Minute
}

// boundBeats is how many heartbeats a patient node of three receives in two detection bounds.
const boundBeats = 2 * 2 * 5

// TestH7HeartbeatsBesideApply: the machines of a cluster hang for longer than the detection bound. Nobody is suspected, its leadership
// stays, and other clusters go on.
func TestH7HeartbeatsBesideApply(t *testing.T) {
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	o := tallies(gate)
	o.change = patient
	h := newHouseWith(t, 3, o)
	defer open()
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.start(ctx, "free", "tally", 0, 1, 2)
	leader := h.leader(ctx, 0, "c")
	h.add(ctx, leader, "c")
	term := h.metrics(leader, "c").Term
	hung := make(chan error, 1)
	go func() {
		_, err := h.nodes[leader].Process(ctx, h.id(leader, "c"), cmdBlock, raft.ProcessOptions{})
		hung <- err
	}()
	var before [3]uint64
	for i := range 3 {
		before[i] = h.nodes[i].Heartbeats()
	}
	until(t, ctx, "two detection bounds of heartbeats", func() bool {
		h.add(ctx, leader, "free")
		for i := range 3 {
			if h.nodes[i].Heartbeats() < before[i]+boundBeats {
				return false
			}
		}
		return true
	})
	if m := h.metrics(leader, "c"); m.Role != core.RoleLeader || m.Term != term {
		t.Fatalf("%v in %d, led %d", m.Role, m.Term, term)
	}
	open()
	if err := <-hung; err != nil {
		t.Fatal(err)
	}
}

// TestH8SmallQueues: every queue is as small as it can be, and clients of all nodes ask for more than fits, of three clusters
// that are led from different nodes. Everybody is answered, nothing waits for ever, and what was answered is applied.
func TestH8SmallQueues(t *testing.T) {
	o := tallies(nil)
	o.change = func(n *raft.NodeOptions) {
		n.MailboxBytes, n.UnappliedBytes = 2<<10, 2<<10
		n.WindowEntries, n.WindowBytes, n.BatchEntries, n.BatchBytes = 4, 512, 2, 256
	}
	o.network = transport.Options{Outbox: [transport.Classes]int{1 << 10, 1 << 10, 1 << 10}}
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	names := []string{"c0", "c1", "c2"}
	for k, name := range names {
		h.start(ctx, name, "tally", k, (k+1)%3, (k+2)%3)
	}
	var wg sync.WaitGroup
	var acked, maybe [3]atomic.Int64
	for k := range 36 {
		wg.Go(func() {
			i, c := k%3, k/3%3
			for range 20 {
				_, err := h.nodes[i].Process(ctx, h.id(i, names[c]), one(), raft.ProcessOptions{})
				var p *raft.ProposalError
				switch {
				case err == nil:
					acked[c].Add(1)
				case errors.As(err, &p) && p.Outcome == raft.MaybeApplied:
					maybe[c].Add(1)
				case !errors.As(err, &p):
					t.Errorf("%T %v", err, err)
				}
				if ctx.Err() != nil {
					t.Errorf("client %d still waits", k)
					return
				}
			}
		})
	}
	wg.Wait()
	for c, name := range names {
		sum := int64(h.add(ctx, c, name))
		if least, most := acked[c].Load()+1, acked[c].Load()+maybe[c].Load()+1; sum < least || sum > most {
			t.Errorf("%s: %d applied, %d acknowledged and %d unknown", name, sum, least, maybe[c].Load())
		}
		for i := range 3 {
			until(t, ctx, "equal states", func() bool { return h.total(ctx, i, name) == sum })
		}
	}
}

// laggardWindow is how many entries are on their way to a member that lags behind, at most.
const laggardWindow = 1024

// TestH10LaggardUnderLoad: a member that was away comes back while clients write without a pause, over a slow link that
// carries several times what they write. It catches up with what is written meanwhile.
func TestH10LaggardUnderLoad(t *testing.T) {
	o := tallies(nil)
	o.change = func(n *raft.NodeOptions) { n.WindowEntries, n.BatchEntries = laggardWindow, 128 }
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	leader := h.leader(ctx, 0, "c")
	behind := (leader + 1) % 3
	h.close(behind)
	load, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var written atomic.Int64
	for range 4 {
		wg.Go(func() {
			for load.Err() == nil {
				if _, err := h.nodes[leader].Process(load, h.id(leader, "c"), one(), raft.ProcessOptions{}); err == nil {
					written.Add(1)
				}
			}
		})
	}
	until(t, ctx, "something to catch up with", func() bool { return written.Load() > 2*laggardWindow })
	for _, d := range [][2]int{{leader, behind}, {behind, leader}} {
		if err := h.net.SetRule(ids(d[0])[0], ids(d[1])[0], transport.Rule{DelayMin: time.Millisecond, DelayMax: 2 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
	}
	h.open(behind)
	until(t, ctx, "less than a window behind, under load", func() bool {
		end := h.metrics(leader, "c").Commit
		return h.metrics(behind, "c").Applied+laggardWindow >= end && end > 0
	})
	stop()
	wg.Wait()
	sum := int64(h.add(ctx, leader, "c"))
	until(t, ctx, "the state", func() bool { return h.total(ctx, behind, "c") == sum })
}
