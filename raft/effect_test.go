package raft

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// asked is each effect as a machine asks for it, with who carries it out: L the leader, F others, R in
// replay. Of effects addressed to a member three cases stand in a row: a voter of node "there", of "here",
// and of neither is the one addressed.
var asked = []struct {
	name string
	ask  func(e *Effects)
	// by says who carries it out on node "here", with voters on "here" and "there".
	by string
}{
	{"send", func(e *Effects) { e.SendMsg(ToMailbox("there", "box"), []byte("m"), SendOptions{}) }, "L"},
	{"send here", func(e *Effects) { e.SendMsg(ToMailbox("here", "box"), nil, SendOptions{Local: true}) }, "LF"},
	{"send there", func(e *Effects) { e.SendMsg(ToMailbox("there", "box"), nil, SendOptions{Local: true}) }, ""},
	{"send elsewhere", func(e *Effects) { e.SendMsg(ToMailbox("elsewhere", "box"), nil, SendOptions{Local: true}) }, "L"},
	{"call", func(e *Effects) { e.Call(func() {}) }, "L"},
	{"append", func(e *Effects) { e.Append([]byte("c"), AppendOptions{}) }, "L"},
	{"try append", func(e *Effects) { e.TryAppend([]byte("c"), AppendOptions{Priority: Low}) }, "LF"},
	{"monitor", func(e *Effects) { e.Monitor("n", ForMachine) }, "L"},
	{"monitor for aux", func(e *Effects) { e.Monitor("n", ForAux) }, "LF"},
	{"demonitor", func(e *Effects) { e.Demonitor("n", ForMachine) }, "L"},
	{"demonitor for aux", func(e *Effects) { e.Demonitor("n", ForAux) }, "LF"},
	{"timer", func(e *Effects) { e.Timer("t", time.Second) }, "L"},
	{"timer at", func(e *Effects) { e.TimerAt("t", 1) }, "L"},
	{"cancel", func(e *Effects) { e.CancelTimer("t") }, "L"},
	{"read", func(e *Effects) { e.LogRead(Seq{}, "", func([]LoggedCommand, *Effects) {}) }, "L"},
	{"read here", func(e *Effects) { e.LogRead(Seq{}, "here", func([]LoggedCommand, *Effects) {}) }, "LF"},
	{"read there", func(e *Effects) { e.LogRead(Seq{}, "there", func([]LoggedCommand, *Effects) {}) }, ""},
	{"plan", func(e *Effects) { e.LogPlan(Seq{}, "", func(*Plan) {}) }, "L"},
	{"plan here", func(e *Effects) { e.LogPlan(Seq{}, "here", func(*Plan) {}) }, "LF"},
	{"plan elsewhere", func(e *Effects) { e.LogPlan(Seq{}, "elsewhere", func(*Plan) {}) }, "L"},
	{"release", func(e *Effects) { e.ReleaseCursor(CursorConditions{Written: 3}) }, "LF"},
	{"promote", func(e *Effects) { e.PromoteCheckpoint(3) }, "LF"},
	{"checkpoint", func(e *Effects) { e.Checkpoint() }, "LF"},
	{"reply", func(e *Effects) { e.add(Effect{Kind: EffectReply}) }, "L"},
	{"reply here", func(e *Effects) { e.add(Effect{Kind: EffectReply, Local: true, Node: "here"}) }, "LF"},
	{"reply there", func(e *Effects) { e.add(Effect{Kind: EffectReply, Local: true, Node: "there"}) }, ""},
}

func votersHereAndThere(n NodeID) bool { return n == "here" || n == "there" }

func TestEffectsRealised(t *testing.T) {
	states := map[string]ServerState{"L": StateLeader, "F": StateFollower, "R": StateRecover}
	for _, tc := range asked {
		m := &scripted{apply: func(ctx *ApplyContext, _ []byte) []byte { tc.ask(&ctx.Effects); return nil }}
		r := newReplica(t, m)
		r.place.VoterOn, r.place.MemberOn = votersHereAndThere, votersHereAndThere
		got := ""
		for _, who := range []string{"L", "F", "R"} {
			r.enter(states[who])
			if n := len(r.apply(Command{Kind: KindUser})); n == 1 {
				got += who
			} else if n > 1 {
				t.Errorf("%s: %d effects", tc.name, n)
			}
		}
		if got != tc.by {
			t.Errorf("%s: carried out by %q, want %q", tc.name, got, tc.by)
		}
	}
	// A node without a voter leaves to the leader what is addressed to it.
	r := newReplica(t, &scripted{apply: func(ctx *ApplyContext, _ []byte) []byte {
		ctx.SendMsg(ToMailbox("here", "box"), nil, SendOptions{Local: true})
		return nil
	}})
	r.place.VoterOn = func(n NodeID) bool { return n == "there" }
	r.enter(StateFollower)
	r.place.MemberOn = votersHereAndThere
	c := Command{Kind: KindUser, Reply: ReplyFromMember, ReplyNode: "here", Origin: Origin{Node: "caller"}}
	if got := r.apply(c); !slices.Equal(kinds(got), []EffectKind{EffectReply}) {
		t.Errorf("a member that does not vote carries out %+v", got)
	}
	r.place.Node = "there"
	r.enter(StateLeader)
	if got := r.apply(c); !slices.Equal(kinds(got), []EffectKind{EffectSendMsg}) {
		t.Errorf("the leader carries out %+v", got)
	}
}

// Every state but the leader's and recovery has a follower's effects.
func TestEffectsByState(t *testing.T) {
	for s := StateRecover; s <= StateDeleted; s++ {
		want := RoleFollower
		switch s {
		case StateRecover:
			want = RoleReplay
		case StateLeader:
			want = RoleLeader
		}
		if s.role() != want {
			t.Errorf("state %d has role %d, want %d", s, s.role(), want)
		}
	}
}

// The table has each kind once without variant, and its variants right behind.
func TestEffectTable(t *testing.T) {
	for k := range EffectKind(effectKinds) {
		row := effectRows[firstRow[k]]
		if row.kind != k || row.local || row.aux {
			t.Errorf("%v begins at %+v", k, row)
		}
		if row.replay != never {
			t.Errorf("%v happens in replay", k)
		}
	}
	for i := range effectRows {
		r := &effectRows[i]
		e := Effect{Kind: r.kind, Local: r.local}
		if r.aux {
			e.Owner = ForAux
		}
		if rowOf(&e) != r {
			t.Errorf("line %d is not the one for %+v", i, e)
		}
	}
}

// Effects keep their order and what was asked for, and carry the entry that asked.
func TestEffectsAsData(t *testing.T) {
	m := &scripted{apply: func(ctx *ApplyContext, c []byte) []byte {
		ctx.Timer("t", time.Second)
		ctx.TimerAt("t", 5)
		ctx.CancelTimer("t")
		ctx.Append([]byte("c"), AppendOptions{Priority: Low, Reply: ReplyFromLeader, Origin: Origin{Node: "n", Request: 1}})
		ctx.ReleaseCursor(CursorConditions{Written: 7, NoSnapshotSends: true})
		ctx.SendMsg(ToMailbox("n", "box"), []byte("m"), SendOptions{Event: true})
		return []byte("reply")
	}}
	r := newReplica(t, m)
	r.enter(StateLeader)
	origin := Origin{Node: "caller", Request: 9}
	got := r.apply(Command{Kind: KindUser, Reply: ReplyFromLeader, Origin: origin})
	want := []Effect{
		{Kind: EffectTimer, Name: "t", After: time.Second},
		{Kind: EffectTimer, Name: "t", At: 5},
		{Kind: EffectTimer, Name: "t", Cancel: true},
		{Kind: EffectAppend, Data: []byte("c"), Append: AppendOptions{Priority: Low, Reply: ReplyFromLeader, Origin: Origin{Node: "n", Request: 1}}},
		{Kind: EffectReleaseCursor, When: CursorConditions{Written: 7, NoSnapshotSends: true}},
		{Kind: EffectSendMsg, Node: "n", Name: "box", Data: []byte("m"), Event: true},
		{Kind: EffectReply, Data: []byte("reply"), Origin: origin, Mode: ReplyFromLeader, Node: "caller"},
	}
	for i := range want {
		want[i].Index = 1
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("effects\n%+v, want\n%+v", got, want)
	}
}

// A message to a session goes to its owner's node, and nowhere when it has ended.
func TestEffectsToSessions(t *testing.T) {
	m := &scripted{apply: func(ctx *ApplyContext, _ []byte) []byte {
		ctx.SendMsg(ToSession(1), []byte("m"), SendOptions{Local: true})
		return nil
	}}
	r := newReplica(t, m)
	r.place.VoterOn = votersHereAndThere
	r.enter(StateLeader)
	r.apply(open("elsewhere", 1))
	if got := r.apply(Command{Kind: KindUser}); len(got) != 1 || got[0].Node != "elsewhere" {
		t.Errorf("effects %+v", got)
	}
	keep := Command{Kind: KindSessionKeepAlive, Session: SessionHeader{ID: 1}, Node: "there"}
	r.apply(keep)
	if got := r.apply(Command{Kind: KindUser}); len(got) != 0 {
		t.Errorf("the leader sends %+v, though a voter is where the session is", got)
	}
	keep.Node = "here"
	r.enter(StateFollower)
	r.apply(keep)
	if got := r.apply(Command{Kind: KindUser}); len(got) != 1 || got[0].Node != "here" {
		t.Errorf("the voter where the session is sends %+v", got)
	}
	r.apply(Command{Kind: KindSessionClose, Session: SessionHeader{ID: 1}})
	if got := r.apply(Command{Kind: KindUser}); len(got) != 0 {
		t.Errorf("a session that has ended is sent %+v", got)
	}
}

// An effect that cannot be stops the member, in every role.
func TestEffectsImpossible(t *testing.T) {
	long := string(make([]byte, MaxName+1))
	for name, ask := range map[string]func(e *Effects){
		"message to nobody":     func(e *Effects) { e.SendMsg(Recipient{}, nil, SendOptions{}) },
		"message to two":        func(e *Effects) { e.SendMsg(Recipient{Session: 1, Node: "a", Name: "b"}, nil, SendOptions{}) },
		"message to no mailbox": func(e *Effects) { e.SendMsg(ToMailbox("a", ""), nil, SendOptions{}) },
		"call of nothing":       func(e *Effects) { e.Call(nil) },
		"append, priority":      func(e *Effects) { e.Append(nil, AppendOptions{Priority: 9}) },
		"append, no origin":     func(e *Effects) { e.TryAppend(nil, AppendOptions{Reply: ReplyFromLocal}) },
		"monitor of no node":    func(e *Effects) { e.Monitor("", ForMachine) },
		"monitor for sessions":  func(e *Effects) { e.Monitor("n", ForSessions) },
		"demonitor of no node":  func(e *Effects) { e.Demonitor("", ForAux) },
		"monitor of no session": func(e *Effects) { e.MonitorSession(0) },
		"demonitor of none":     func(e *Effects) { e.DemonitorSession(0) },
		"timer without name":    func(e *Effects) { e.Timer("", 1) },
		"timer in the past":     func(e *Effects) { e.Timer("t", -1) },
		"timer at 0":            func(e *Effects) { e.TimerAt("t", 0) },
		"timer name too long":   func(e *Effects) { e.CancelTimer(long) },
		"read by nobody":        func(e *Effects) { e.LogRead(Seq{}, "", nil) },
		"plan for nobody":       func(e *Effects) { e.LogPlan(Seq{}, "", nil) },
		"promotion at 0":        func(e *Effects) { e.PromoteCheckpoint(0) },
	} {
		for _, state := range []ServerState{StateRecover, StateFollower, StateLeader} {
			r := newReplica(t, &scripted{apply: func(ctx *ApplyContext, _ []byte) []byte { ask(&ctx.Effects); return nil }})
			r.enter(state)
			_, err := r.Apply(r.entry(Command{Kind: KindUser}))
			var failed *MachineError
			if !errors.As(err, &failed) || !errors.Is(err, ErrEffect) || failed.Op != "Apply" || failed.Index != 1 {
				t.Errorf("%s in state %d: %v", name, state, err)
			}
		}
	}
}

// Effects cost no allocation, nor does applying a command that asks for some.
func TestEffectsAllocs(t *testing.T) {
	name, reply := "t", []byte("reply")
	m := &silent{apply: func(ctx *ApplyContext, c []byte) []byte {
		ctx.Timer(name, time.Second)
		ctx.SendMsg(ToMailbox("n", "box"), c, SendOptions{})
		return reply
	}}
	r := newReplica(t, m)
	r.enter(StateLeader)
	e := r.entry(Command{Kind: KindUser, Reply: ReplyFromLeader, Origin: Origin{Node: "caller"}, Payload: []byte("x")})
	r.apply(Command{Kind: KindUser})
	n := testing.AllocsPerRun(100, func() {
		e.Index = r.At().Index + 1
		if effects, err := r.Apply(e); err != nil || len(effects) != 3 {
			t.Fatal(len(effects), err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations per command", n)
	}
}

// silent is a machine without state.
type silent struct {
	scripted
	apply func(ctx *ApplyContext, command []byte) []byte
}

func (m *silent) Apply(ctx *ApplyContext, command []byte) []byte { return m.apply(ctx, command) }

func TestEffectKindNames(t *testing.T) {
	var names []string
	for k := range EffectKind(effectKinds) + 1 {
		names = append(names, k.String())
	}
	slices.Sort(names)
	if n := len(slices.Compact(slices.Clone(names))); n != effectKinds+1 || names[0] == "" {
		t.Errorf("names %q", names)
	}
	if got := fmt.Sprint(KindUser, KindMachineVersion, CommandKind(3), Low, Normal); got != "user machine-version type-3 low normal" {
		t.Error(got)
	}
}

func TestApplyContextByHand(t *testing.T) {
	for role, want := range map[Role]int{RoleReplay: 0, RoleFollower: 1, RoleLeader: 2} {
		ctx := NewApplyContext(Meta{Index: 7}, role)
		ctx.Timer("t", 1)
		ctx.Checkpoint()
		asked, err := ctx.Asked()
		if len(asked) != want || err != nil || want > 0 && asked[0].Index != 7 {
			t.Errorf("role %d: %+v, %v", role, asked, err)
		}
	}
	ctx := NewApplyContext(Meta{Index: 7}, RoleFollower)
	ctx.Timer("", 1)
	if _, err := ctx.Asked(); !errors.Is(err, ErrEffect) {
		t.Errorf("%v", err)
	}
}
