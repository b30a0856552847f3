package raft_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// agent is a machine that asks for the effects that its commands name, and remembers what it hears.
type agent struct {
	Heard   []string
	Watched []string
	node    string
	calls   *atomic.Int64 // of this node
	found   chan string
}

// Apply implements raft.Machine.
func (a *agent) Apply(ctx *raft.ApplyContext, command []byte) []byte {
	word := strings.Fields(string(command))
	switch word[0] {
	case "timer":
		ctx.Timer(word[1], 20*time.Millisecond)
	case "never":
		ctx.Timer(word[1], time.Hour)
	case "at":
		ctx.TimerAt(word[1], ctx.Time+20)
	case "past":
		ctx.TimerAt(word[1], 1)
	case "cancel":
		ctx.CancelTimer(word[1])
	case "monitor":
		a.Watched = append(a.Watched, word[1])
		ctx.Monitor(word[1], raft.ForMachine)
	case "demonitor":
		a.Watched = slices.DeleteFunc(a.Watched, func(n string) bool { return n == word[1] })
		ctx.Demonitor(word[1], raft.ForMachine)
	case "call":
		ctx.Call(func() { a.calls.Add(1) })
	case "append":
		ctx.Append([]byte("appended"), raft.AppendOptions{})
	case "huge":
		ctx.Append(make([]byte, 4<<20), raft.AppendOptions{})
	case "read", "plan":
		a.readBack(ctx, word)
	case "cursor":
		ctx.ReleaseCursor(raft.CursorConditions{Written: ctx.Index + 3})
	}
	a.Heard = append(a.Heard, string(command))
	return fmt.Appendf(nil, "%d", ctx.Index)
}

// readBack has the entries up to this one read, here or by the member on a node.
func (a *agent) readBack(ctx *raft.ApplyContext, word []string) {
	var all raft.Seq
	for i := raft.Index(1); i <= ctx.Index+1; i++ { // the last is not there
		all.Add(i)
	}
	node := ""
	if len(word) > 1 {
		node = word[1]
	}
	if word[0] == "read" {
		ctx.LogRead(all, node, func(commands []raft.LoggedCommand, effects *raft.Effects) {
			a.tell(len(commands), string(commands[0].Data))
			effects.Append([]byte("found"), raft.AppendOptions{})
		})
		return
	}
	ctx.LogPlan(all, node, func(plan *raft.Plan) {
		go func() { // a plan may be carried out anywhere
			defer plan.Close()
			n, first := 0, ""
			for e, err := range plan.Execute(context.Background()) {
				c, bad := raft.DecodeCommand(raft.CommandKind(e.Type), append([]byte(nil), e.Data...))
				if err == nil && bad == nil && c.Kind == raft.KindUser {
					if n++; n == 1 {
						first = string(c.Payload)
					}
				}
			}
			a.tell(n, first)
		}()
	})
}

func (a *agent) tell(n int, first string) { a.found <- fmt.Sprintf("%s %d %s", a.node, n, first) }

// ApplyEvent implements raft.EventApplier.
func (a *agent) ApplyEvent(ctx *raft.ApplyContext, event raft.Event) {
	switch e := event.(type) {
	case raft.TimedOut:
		a.Heard = append(a.Heard, fmt.Sprintf("timeout %s %d", e.Name, e.Armed))
	case raft.NodeUp:
		a.Heard = append(a.Heard, fmt.Sprintf("up %s %d", e.Node, e.Incarnation))
	case raft.NodeDown:
		a.Heard = append(a.Heard, fmt.Sprintf("down %s %d", e.Node, e.Incarnation))
	case raft.SessionDown:
		a.Heard = append(a.Heard, fmt.Sprintf("session %d", e.Session))
	}
}

// StateEnter implements raft.StateEnterer: a new leader's monitors are its own to ask for.
func (a *agent) StateEnter(state raft.ServerState, effects *raft.Effects) {
	if state == raft.StateLeader {
		for _, n := range a.Watched {
			effects.Monitor(n, raft.ForMachine)
		}
	}
}

// HandleAux implements raft.AuxHandler.
func (a *agent) HandleAux(ctx *raft.AuxContext, event raft.AuxEvent) ([]byte, error) {
	if event.Kind == raft.AuxCall {
		ctx.TryAppend(event.Command, raft.AppendOptions{})
	}
	return nil, nil
}

// Snapshot implements raft.Machine.
func (a *agent) Snapshot() raft.View {
	b, _ := json.Marshal(a) // strings only
	return tallyView(b)
}

// Restore implements raft.Machine.
func (a *agent) Restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, a)
}

// agents is four nodes with a cluster of agents on the first three.
type agents struct {
	*house
	calls [4]atomic.Int64
	found chan string
}

func newAgents(t *testing.T, ctx context.Context) *agents {
	a := &agents{found: make(chan string, 100)}
	o := houseOptions{change: func(o *raft.NodeOptions) {
		node, calls := o.ID, &a.calls[o.ID[1]-'0']
		o.Machines = map[string]func() raft.Machine{"agent": func() raft.Machine { return &agent{node: node, calls: calls, found: a.found} }}
		o.SessionGrace, o.HeartbeatInterval, o.DetectionBound = 100*time.Millisecond, 20*time.Millisecond, 300*time.Millisecond
	}}
	a.house = newHouseWith(t, 4, o)
	a.start(ctx, "c", "agent", 0, 1, 2)
	a.do(ctx, 0, "hello")
	return a
}

// do has the cluster apply a command.
func (a *agents) do(ctx context.Context, i int, command string) raft.Reply {
	a.t.Helper()
	r, err := a.nodes[i].Process(ctx, a.id(i%3, "c"), []byte(command), raft.ProcessOptions{})
	if err != nil {
		a.t.Fatal(err)
	}
	return r
}

// heard is what a member's machine remembers.
func (a *agents) heard(ctx context.Context, i int) []string {
	v, err := a.nodes[i].LocalQuery(ctx, "c", func(m raft.Machine) (any, error) {
		return slices.Clone(m.(*agent).Heard), nil
	}, raft.QueryOptions{})
	if err != nil {
		return nil
	}
	return v.([]string)
}

// waitFor waits until all members have heard something, that often, and in the same order.
func (a *agents) waitFor(ctx context.Context, what string, times int) {
	a.t.Helper()
	for i := range 3 {
		until(a.t, ctx, fmt.Sprintf("%q on node %d", what, i), func() bool {
			n := 0
			for _, h := range a.heard(ctx, i) {
				if strings.HasPrefix(h, what) {
					n++
				}
			}
			if n > times {
				a.t.Fatalf("%q came %d times: %q", what, n, a.heard(ctx, i))
			}
			return n == times
		})
	}
}

func (a *agents) move(ctx context.Context) (leader int) {
	a.t.Helper()
	leader = (a.leader(ctx, 0, "c") + 1) % 3
	if err := a.nodes[0].TransferLeadership(ctx, a.id(0, "c"), a.id(leader, "c")); err != nil {
		a.t.Fatal(err)
	}
	for i := range 3 {
		until(a.t, ctx, "the new leader", func() bool { l, err := a.nodes[i].Leader("c"); return err == nil && l == a.id(leader, "c") })
	}
	return leader
}

// Timers run out once, as committed entries that name what set them; cancelled ones and those of an earlier leader do not.
func TestClusterTimers(t *testing.T) {
	ctx := ctxFor(t)
	a := newAgents(t, ctx)
	for _, name := range []string{"timer", "at", "past"} {
		r := a.do(ctx, 0, name+" "+name)
		a.waitFor(ctx, fmt.Sprintf("timeout %s %d", name, r.Index), 1)
	}
	a.do(ctx, 1, "never x")
	a.do(ctx, 1, "cancel x")
	a.do(ctx, 1, "never y")
	again := a.do(ctx, 1, "timer y") // set anew
	a.waitFor(ctx, fmt.Sprintf("timeout y %d", again.Index), 1)
	a.waitFor(ctx, "timeout x", 0)
	a.waitFor(ctx, "timeout y", 1)
}

// A monitored node's state is told at once and at each change, to all members in the same order, also by the next leader.
func TestClusterMonitors(t *testing.T) {
	ctx := ctxFor(t)
	a := newAgents(t, ctx)
	a.do(ctx, 0, "monitor n3")
	a.waitFor(ctx, "up n3", 1)
	a.close(3)
	a.waitFor(ctx, "down n3", 1)
	a.open(3)
	a.waitFor(ctx, "up n3", 2)
	a.move(ctx)
	a.waitFor(ctx, "up n3", 3) // the new leader's machine has asked anew
	a.close(3)
	a.waitFor(ctx, "down n3", 2)
	a.do(ctx, 0, "demonitor n3")
	a.open(3)
	a.do(ctx, 3, "seen") // there is contact again
	a.waitFor(ctx, "seen", 1)
	a.waitFor(ctx, "up n3", 3)
	if first := a.heard(ctx, 0); !slices.Equal(first, a.heard(ctx, 1)) || !slices.Equal(first, a.heard(ctx, 2)) {
		t.Error("members heard different things")
	}
}

// The end of a session comes behind its own commands, those of low priority too.
func TestClusterSessionDown(t *testing.T) {
	ctx := ctxFor(t)
	a := newAgents(t, ctx)
	s, err := a.nodes[3].OpenSession(ctx, a.id(0, "c"), raft.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.nodes[3].OpenPipeline(a.id(0, "c"), raft.PipelineOptions{Session: s, Priority: raft.Low, Notify: func([]raft.Notice) {}})
	if err != nil {
		t.Fatal(err)
	}
	for k := range uint64(200) {
		if err := p.Send(k, []byte("mine")); err != nil {
			t.Fatal(err)
		}
	}
	a.close(3)
	end := fmt.Sprintf("session %d", s.ID())
	a.waitFor(ctx, end, 1)
	for i := range 3 {
		list := a.heard(ctx, i)
		if at := slices.Index(list, end); slices.Contains(list[at:], "mine") {
			t.Errorf("node %d: a command of the session behind its end", i)
		}
	}
}

// The leader alone reads the log back, or the member that is asked to; what it does then is done there.
func TestClusterLogRead(t *testing.T) {
	ctx := ctxFor(t)
	a := newAgents(t, ctx)
	leader := a.leader(ctx, 0, "c")
	other := (leader + 1) % 3
	next := func(want string) {
		t.Helper()
		select {
		case got := <-a.found:
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		case <-ctx.Done():
			t.Fatal("nothing was read")
		}
	}
	a.do(ctx, 0, "read")
	next(fmt.Sprintf("n%d 2 hello", leader))
	a.waitFor(ctx, "found", 1) // what reading asked for
	a.do(ctx, 0, fmt.Sprintf("plan n%d", other))
	next(fmt.Sprintf("n%d 4 hello", other))
	until(t, ctx, "a snapshot", func() bool {
		a.do(ctx, 0, "cursor")
		for range 3 {
			a.do(ctx, 0, "more")
		}
		return a.metrics(leader, "c").Snapshot > 4
	})
	r := a.do(ctx, 0, "plan") // most of what it asks for is released: it is left out
	snapshot := a.metrics(leader, "c").Snapshot
	got := <-a.found
	var n int
	var node, first string
	if _, err := fmt.Sscan(got, &node, &n, &first); err != nil || n < 1 || n > int(r.Index-snapshot)+3 {
		t.Errorf("%q, the snapshot is at %d, the command at %d: %v", got, snapshot, r.Index, err)
	}
	if err := a.metrics(leader, "c").Err; err != nil {
		t.Error(err)
	}
	if len(a.found) > 0 {
		t.Errorf("others read too: %q", <-a.found)
	}
}

// A released cursor waits for its conditions.
func TestClusterCursorWaits(t *testing.T) {
	ctx := ctxFor(t)
	a := newAgents(t, ctx)
	leader := a.leader(ctx, 0, "c")
	r := a.do(ctx, leader, "cursor")
	a.do(ctx, leader, "one")
	a.do(ctx, leader, "two")
	if at := a.metrics(leader, "c").Snapshot; at != 0 {
		t.Errorf("a snapshot at %d before entry %d is durable", at, r.Index+3)
	}
	until(t, ctx, "the snapshot", func() bool {
		a.do(ctx, leader, "more")
		return a.metrics(leader, "c").Snapshot >= r.Index
	})
}

// What a leader's machine appends is applied once by all; a follower's companion hands it to the leader; what is too large
// is dropped and ends nobody. What was carried out before a crash is not carried out again.
func TestClusterAppendAndReplay(t *testing.T) {
	ctx := ctxFor(t)
	a := newAgents(t, ctx)
	a.do(ctx, 0, "append")
	a.waitFor(ctx, "appended", 1)
	a.do(ctx, 0, "huge")
	for i := range 3 {
		if _, err := a.nodes[3].AuxCommand(ctx, a.id(i, "c"), fmt.Appendf(nil, "aux%d", i)); err != nil {
			t.Fatal(err)
		}
		a.waitFor(ctx, fmt.Sprintf("aux%d", i), 1)
	}
	for range 5 {
		a.do(ctx, 1, "call")
	}
	leader := a.leader(ctx, 0, "c")
	total := func() (n int64) {
		for i := range a.calls {
			n += a.calls[i].Load()
		}
		return n
	}
	until(t, ctx, "the calls", func() bool { return total() == 5 })
	a.waitFor(ctx, "call", 5) // who leads next has none of them before it
	if got := a.calls[leader].Load(); got != 5 {
		t.Errorf("the leader made %d of 5 calls", got)
	}
	for i := range 3 {
		a.close(i)
		a.open(i)
	}
	a.do(ctx, 0, "call")
	until(t, ctx, "the call", func() bool { return total() >= 6 })
	a.waitFor(ctx, "call", 6)
	if got := total(); got != 6 {
		t.Errorf("%d calls of 6", got)
	}
	if m := a.metrics(leader, "c"); m.Err != nil || m.Role == core.RoleEnded {
		t.Error(errors.Join(m.Err))
	}
}
