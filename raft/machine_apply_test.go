package raft

import (
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestApplyOrder(t *testing.T) {
	m := &scripted{}
	r := newReplica(t, m)
	user := Command{Kind: KindUser, Payload: []byte("x")}
	r.term = 2
	for _, e := range []Entry{{Index: 0, Term: 2}, {Index: 2, Term: 2}} {
		if _, err := r.Apply(e); !errors.Is(err, ErrApplyOrder) {
			t.Errorf("entry %v first: %v", e.ID(), err)
		}
	}
	r.apply(user)
	old := r.entry(user)
	old.Term = 1
	if _, err := r.Apply(old); !errors.Is(err, ErrApplyOrder) {
		t.Errorf("a term that falls: %v", err)
	}
	if effects, err := r.Apply(Entry{Index: 2, Term: 3, Type: 15, Data: []byte("the core's own")}); err != nil || len(effects) != 0 {
		t.Errorf("the core's entry: %v, %v", effects, err)
	}
	r.term = 3
	broken := r.entry(user)
	broken.Data = broken.Data[:5]
	if _, err := r.Apply(broken); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "3/3") {
		t.Errorf("a broken entry: %v", err)
	}
	if _, err := r.Apply(Entry{Index: 3, Term: 3, Type: 200}); !errors.Is(err, ErrUnknownFormat) {
		t.Errorf("an entry of an unknown kind: %v", err)
	}
	r.apply(user) // nothing has changed meanwhile
	if r.At() != (EntryID{Term: 3, Index: 3}) || len(m.applied) != 2 {
		t.Errorf("at %v, applied %q", r.At(), m.applied)
	}
}

// The machine's time is the leader's, and never falls.
func TestApplyMeta(t *testing.T) {
	var got []Meta
	m := &scripted{apply: func(ctx *ApplyContext, _ []byte) []byte { got = append(got, ctx.Meta); return nil }}
	r := newReplica(t, m)
	r.apply(Command{Kind: KindUser, Time: 100, Priority: Low})
	r.apply(Command{Kind: KindUser, Time: 90, Reply: ReplyFromMember, Origin: Origin{Node: "a", Request: 3}, ReplyNode: "b"})
	r.apply(Command{Kind: KindSessionOpen, Time: 110, Open: OpenID{1}, Window: 1, Node: "a"})
	r.apply(numbered(3, Normal, 1, 1, "x"))
	want := []Meta{
		{Index: 1, Term: 1, Time: 100, Priority: Low},
		{Index: 2, Term: 1, Time: 100, Reply: ReplyFromMember, Origin: Origin{Node: "a", Request: 3}, ReplyNode: "b"},
		{Index: 4, Term: 1, Time: 110, Session: SessionHeader{ID: 3, Sequence: 1, LowestUnacked: 1}},
	}
	if !reflect.DeepEqual(got, want) || r.Time() != 110 {
		t.Errorf("meta\n%+v, want\n%+v; time %d", got, want, r.Time())
	}
}

func TestApplyEvents(t *testing.T) {
	m := &scripted{}
	r := newReplica(t, m)
	r.apply(Command{Kind: KindTimeout, Timer: "t", Armed: 4})
	r.apply(Command{Kind: KindNodeUp, Node: "n", Incarnation: 2, Armed: 5})
	r.apply(Command{Kind: KindNodeDown, Node: "n", Incarnation: 2})
	want := []string{"raft.TimedOut{Name:t Armed:4}", "raft.NodeUp{Node:n Incarnation:2 Armed:5}",
		"raft.NodeDown{Node:n Incarnation:2 Armed:0}"}
	if !slices.Equal(m.applied, want) {
		t.Errorf("applied %q, want %q", m.applied, want)
	}
	// A machine that hears of no events goes on.
	deaf := newReplica(t, struct{ Machine }{m})
	deaf.apply(Command{Kind: KindTimeout, Timer: "t"})
	if deaf.At().Index != 1 || len(m.applied) != 3 {
		t.Errorf("at %v, applied %q", deaf.At(), m.applied)
	}
}

// A panic anywhere in the machine ends this member's applying, with the cause and nothing of the data.
func TestMachinePanics(t *testing.T) {
	cause := errors.New("cause")
	secret := Command{Kind: KindUser, Payload: []byte("secret")}
	for op, run := range map[string]func(m *scripted, r *replica) error{
		"Apply": func(m *scripted, r *replica) error {
			m.apply = func(*ApplyContext, []byte) []byte { panic(cause) }
			_, err := r.Apply(r.entry(secret))
			return err
		},
		"ApplyEvent": func(m *scripted, r *replica) error {
			m.event = func(*ApplyContext, Event) { panic(cause) }
			_, err := r.Apply(r.entry(Command{Kind: KindTimeout, Timer: "t"}))
			return err
		},
		"StateEnter": func(m *scripted, r *replica) error {
			m.enter = func(ServerState, *Effects) { panic(cause) }
			_, err := r.EnterState(StateLeader)
			return err
		},
		"HandleAux": func(m *scripted, r *replica) error {
			m.aux = func(*AuxContext, AuxEvent) ([]byte, error) { panic(cause) }
			_, _, err := r.Aux(AuxEvent{})
			return err
		},
		"Call": func(_ *scripted, r *replica) error {
			return r.RunCall(Effect{Call: func() { panic(cause) }})
		},
		"LogRead": func(_ *scripted, r *replica) error {
			_, err := r.RunRead(Effect{Read: func([]LoggedCommand, *Effects) { panic(cause) }}, nil, nil)
			return err
		},
	} {
		m := &scripted{}
		r := newReplica(t, m)
		err := run(m, r)
		var failed *MachineError
		if !errors.As(err, &failed) || failed.Op != op || failed.Panic != cause || !strings.Contains(string(failed.Stack), "TestMachinePanics") ||
			!errors.Is(err, ErrMachine) || !errors.Is(err, cause) {
			t.Errorf("%s: %v", op, err)
		}
		if strings.Contains(err.Error(), "cause") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s tells too much: %v", op, err)
		}
		m.apply, m.event, m.enter, m.aux = nil, nil, nil, nil
		_, again := r.Apply(Entry{Index: 1, Term: 1})
		_, enter := r.EnterState(StateFollower)
		_, capture := r.Capture()
		for _, later := range []error{again, enter, capture, r.Restore(EntryID{}, nil, nil), r.RunCall(Effect{})} {
			if later != err {
				t.Errorf("%s: afterwards %v", op, later)
			}
		}
	}
}

func TestMachineErrorText(t *testing.T) {
	index := 5
	err := guard("Apply", 7, func() { _ = make([]int, 2)[index] })
	if err == nil || !strings.Contains(err.Error(), "Apply at index 7: panicked: runtime error: index out of range") {
		t.Errorf("%v", err)
	}
	err = guard("Apply", 7, func() { panic("secret") })
	if want := "raft: machine failed: Apply at index 7: panicked with a string"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestNewApplierErrors(t *testing.T) {
	if _, err := NewApplier(ApplierOptions{New: func() Machine { return nil }}); !errors.Is(err, ErrMachine) {
		t.Errorf("no machine: %v", err)
	}
	if _, err := NewApplier(ApplierOptions{New: func() Machine { panic("x") }}); !errors.Is(err, ErrMachine) {
		t.Errorf("panic: %v", err)
	}
	o := ApplierOptions{New: func() Machine { return &scripted{} }, InitialVersion: 1}
	if _, err := NewApplier(o); !errors.Is(err, ErrMachineVersion) {
		t.Errorf("a version that the machine does not know: %v", err)
	}
}

func TestStateEnterAndTick(t *testing.T) {
	m := &ticking{}
	r := newReplica(t, m)
	var states []ServerState
	m.enter = func(s ServerState, effects *Effects) {
		states = append(states, s)
		effects.Monitor("n", ForMachine)
	}
	if got := r.enter(StateRecovered); len(got) != 0 {
		t.Errorf("effects of recovered %+v", got)
	}
	if got, err := r.Tick(5); err != nil || len(got) != 0 || m.ticks != 0 {
		t.Errorf("tick of one that does not lead: %+v, %v, %d ticks", got, err, m.ticks)
	}
	if got := r.enter(StateLeader); !slices.Equal(kinds(got), []EffectKind{EffectMonitor}) || got[0].Index != 0 {
		t.Errorf("effects of leader %+v", got)
	}
	if got, err := r.Tick(5); err != nil || !slices.Equal(kinds(got), []EffectKind{EffectTimer}) || m.ticks != 5 {
		t.Errorf("tick: %+v, %v, at %d", got, err, m.ticks)
	}
	if want := []ServerState{StateRecovered, StateLeader}; !slices.Equal(states, want) {
		t.Errorf("states %v, want %v", states, want)
	}
}

type ticking struct {
	scripted
	ticks int64
}

func (m *ticking) Tick(millis int64, effects *Effects) {
	m.ticks = millis
	effects.Timer("t", 1)
}

// Commands for the AuxHandler are handled behind the other effects of the same entry, in the order they
// were asked for.
func TestAux(t *testing.T) {
	m := &scripted{}
	r := newReplica(t, m)
	var heard []string
	m.aux = func(ctx *AuxContext, ev AuxEvent) ([]byte, error) {
		heard = append(heard, string(ev.Command))
		switch string(ev.Command) {
		case "first":
			ctx.Aux([]byte("third"))
		case "third":
			ctx.Checkpoint()
		case "bad":
			ctx.CancelTimer("")
		case "refused":
			return nil, io.ErrUnexpectedEOF
		}
		return []byte("reply"), nil
	}
	m.apply = func(ctx *ApplyContext, _ []byte) []byte {
		ctx.Aux([]byte("first"))
		ctx.Aux([]byte("second"))
		ctx.ReleaseCursor(CursorConditions{})
		return nil
	}
	r.apply(Command{Kind: KindUser}) // replay
	r.enter(StateFollower)
	if got := r.apply(Command{Kind: KindUser}); !slices.Equal(kinds(got), []EffectKind{EffectReleaseCursor, EffectCheckpoint}) {
		t.Errorf("effects %+v", got)
	}
	if want := []string{"first", "second", "third"}; !slices.Equal(heard, want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
	reply, effects, err := r.Aux(AuxEvent{Kind: AuxCall, Command: []byte("third")})
	if string(reply) != "reply" || err != nil || !slices.Equal(kinds(effects), []EffectKind{EffectCheckpoint}) {
		t.Errorf("call: %q, %+v, %v", reply, effects, err)
	}
	if _, _, err := r.Aux(AuxEvent{Kind: AuxCall, Command: []byte("refused")}); err != io.ErrUnexpectedEOF {
		t.Errorf("a call refused: %v", err)
	}
	if _, _, err := r.Aux(AuxEvent{Command: []byte("bad")}); !errors.Is(err, ErrEffect) || !errors.Is(err, ErrMachine) {
		t.Errorf("an impossible effect: %v", err)
	}
	deaf := newReplica(t, struct{ Machine }{&scripted{apply: m.apply}})
	deaf.enter(StateFollower)
	if got := deaf.apply(Command{Kind: KindUser}); !slices.Equal(kinds(got), []EffectKind{EffectReleaseCursor}) {
		t.Errorf("effects of a machine without aux %+v", got)
	}
	if _, _, err := deaf.Aux(AuxEvent{}); !errors.Is(err, ErrNoAux) {
		t.Errorf("a machine without aux: %v", err)
	}
}

// The AuxHandler of a member hears when a session that it monitors ends, once, and at once when it is not there.
func TestAuxSessionDown(t *testing.T) {
	m := &scripted{}
	r := newReplica(t, m)
	var heard []SessionID
	m.aux = func(_ *AuxContext, ev AuxEvent) ([]byte, error) {
		if ev.Kind == AuxSessionDown {
			heard = append(heard, ev.Session)
		}
		return nil, nil
	}
	m.apply = func(ctx *ApplyContext, command []byte) []byte {
		if string(command) == "un" {
			ctx.DemonitorSession(2)
			return nil
		}
		for id := SessionID(1); id <= 4; id++ {
			ctx.MonitorSession(id)
		}
		return nil
	}
	r.enter(StateFollower)
	for i := range byte(3) {
		r.apply(open("a", i+1))
	}
	r.apply(Command{Kind: KindUser})
	r.apply(Command{Kind: KindUser, Payload: []byte("un")})
	r.apply(Command{Kind: KindSessionClose, Session: SessionHeader{ID: 3}})
	c, state := r.snapshot()
	restored := newReplica(t, &scripted{aux: m.aux})
	r.apply(Command{Kind: KindSessionExpire, Node: "a", Incarnation: 1, Armed: r.At().Index})
	if want := []SessionID{4, 3, 1}; !slices.Equal(heard, want) {
		t.Errorf("heard of %v, want %v", heard, want)
	}
	// A snapshot in which a monitored session is gone tells of it too.
	r = newReplica(t, m)
	r.enter(StateFollower)
	for i := range byte(4) {
		r.apply(open("a", i+1))
	}
	r.apply(Command{Kind: KindUser})
	heard = nil
	if err := restored.Restore(c.At, c.Context, strings.NewReader(string(state))); err != nil {
		t.Fatal(err)
	}
	if _, err := restored.Installed(r.Applier); err != nil {
		t.Fatal(err)
	}
	if want := []SessionID{3, 4}; !slices.Equal(heard, want) || !restored.watched[1] || !restored.watched[2] {
		t.Errorf("heard of %v, want %v; watched %v", heard, want, restored.watched)
	}
}

// What is read from the log goes to its function, and what that asks for carries the entry that asked.
func TestRunRead(t *testing.T) {
	m := &scripted{}
	r := newReplica(t, m)
	m.apply = func(ctx *ApplyContext, _ []byte) []byte {
		ctx.LogRead(raftlogSeq(1, 2), "", func(commands []LoggedCommand, effects *Effects) {
			effects.Append(commands[0].Data, AppendOptions{})
		})
		ctx.LogPlan(raftlogSeq(1), "", func(plan *Plan) {
			if plan == nil {
				t.Error("no plan")
			}
		})
		return nil
	}
	r.enter(StateLeader)
	reads := r.apply(Command{Kind: KindUser})
	r.apply(Command{Kind: KindNodeUp, Node: "n"})
	got, err := r.RunRead(reads[0], []LoggedCommand{{ID: EntryID{Term: 1, Index: 1}, Data: []byte("x")}}, nil)
	if err != nil || len(got) != 1 || got[0].Kind != EffectAppend || got[0].Index != 1 || string(got[0].Data) != "x" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := r.RunRead(reads[1], nil, new(Plan)); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestOverview(t *testing.T) {
	r := newReplica(t, &scripted{})
	if got, err := r.Overview(); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	r = newReplica(t, overviewing{&scripted{}})
	if got, err := r.Overview(); !errors.Is(err, ErrMachine) || got != nil {
		t.Errorf("%v, %v", got, err)
	}
	r.apply(Command{Kind: KindUser}) // it ends nothing
	if got, err := r.Overview(); err != nil || got["applied"] != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

type overviewing struct{ *scripted }

func (m overviewing) Overview() map[string]any {
	if len(m.applied) == 0 {
		panic("nothing to show")
	}
	return map[string]any{"applied": len(m.applied)}
}

func TestRest(t *testing.T) {
	m := &scripted{apply: func(ctx *ApplyContext, _ []byte) []byte {
		for range 10 * restingEffects {
			ctx.Checkpoint()
		}
		return nil
	}}
	r := newReplica(t, m)
	r.enter(StateLeader)
	for range 2 {
		if got := r.apply(Command{Kind: KindUser}); len(got) != 10*restingEffects {
			t.Errorf("%d effects", len(got))
		}
		r.Rest()
		if n := cap(r.ctx.Effects.list); n > restingEffects {
			t.Errorf("room for %d effects is kept", n)
		}
	}
}
