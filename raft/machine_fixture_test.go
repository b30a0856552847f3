package raft

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
)

// scripted is a machine whose behaviour each test sets; its state is the list of what it applied.
type scripted struct {
	applied []string
	apply   func(ctx *ApplyContext, command []byte) []byte
	event   func(ctx *ApplyContext, ev Event)
	enter   func(state ServerState, effects *Effects)
	aux     func(ctx *AuxContext, ev AuxEvent) ([]byte, error)
	live    Seq
}

func (m *scripted) Apply(ctx *ApplyContext, command []byte) []byte {
	m.applied = append(m.applied, string(command))
	if m.apply != nil {
		return m.apply(ctx, command)
	}
	return fmt.Appendf(nil, "%s at %d", command, ctx.Index)
}

func (m *scripted) ApplyEvent(ctx *ApplyContext, ev Event) {
	m.applied = append(m.applied, fmt.Sprintf("%T%+v", ev, ev))
	if m.event != nil {
		m.event(ctx, ev)
	}
}

func (m *scripted) StateEnter(state ServerState, effects *Effects) {
	if m.enter != nil {
		m.enter(state, effects)
	}
}

func (m *scripted) HandleAux(ctx *AuxContext, ev AuxEvent) ([]byte, error) {
	if m.aux != nil {
		return m.aux(ctx, ev)
	}
	return nil, nil
}

func (m *scripted) LiveIndexes() Seq { return m.live }

func (m *scripted) Snapshot() View {
	b, err := json.Marshal(m.applied)
	if err != nil {
		panic(err)
	}
	return bytes.NewReader(b)
}

func (m *scripted) Restore(r io.Reader) error { return json.NewDecoder(r).Decode(&m.applied) }

// replica applies commands to a machine of a test's.
type replica struct {
	*Applier
	t    testing.TB
	term Term
}

func newReplica(t testing.TB, m Machine) *replica {
	t.Helper()
	a, err := NewApplier(ApplierOptions{New: func() Machine { return m }, Place: Place{Node: "here"}})
	if err != nil {
		t.Fatal(err)
	}
	return &replica{Applier: a, t: t, term: 1}
}

func (r *replica) entry(c Command) Entry {
	r.t.Helper()
	b, err := AppendCommand(nil, &c)
	if err != nil {
		r.t.Fatal(err)
	}
	return Entry{Index: r.At().Index + 1, Term: r.term, Type: uint8(c.Kind), Data: b}
}

// apply applies a command and returns its effects, which stay valid.
func (r *replica) apply(c Command) []Effect {
	r.t.Helper()
	effects, err := r.Apply(r.entry(c))
	if err != nil {
		r.t.Fatal(err)
	}
	return slices.Clone(effects)
}

// ask applies a command whose reply the leader gives, and returns it.
func (r *replica) ask(c Command) Effect {
	r.t.Helper()
	if r.state != StateLeader {
		r.enter(StateLeader)
	}
	c.Reply = ReplyFromLeader
	effects := r.apply(c)
	if n := len(effects); n == 0 || effects[n-1].Kind != EffectReply {
		r.t.Fatalf("%v: effects %+v without a reply at their end", c.Kind, effects)
	}
	return effects[len(effects)-1]
}

func (r *replica) enter(state ServerState) []Effect {
	r.t.Helper()
	effects, err := r.EnterState(state)
	if err != nil {
		r.t.Fatal(err)
	}
	return slices.Clone(effects)
}

// snapshot returns what a capture holds: the context and the state's bytes.
func (r *replica) snapshot() (*Capture, []byte) {
	r.t.Helper()
	c, err := r.Capture()
	if err != nil {
		r.t.Fatal(err)
	}
	var state bytes.Buffer
	if _, err := c.View.WriteTo(&state); err != nil {
		r.t.Fatal(err)
	}
	return c, state.Bytes()
}

// kinds lists the kinds of effects.
func kinds(effects []Effect) (list []EffectKind) {
	for i := range effects {
		list = append(list, effects[i].Kind)
	}
	return list
}

// checkTable recounts what the table counts as it goes.
func checkTable(t testing.TB, table *sessionTable) {
	t.Helper()
	total, owners, opened := 0, map[NodeID]int{}, map[OpenID]SessionID{}
	for id, s := range table.sessions {
		size := sessionCost
		for p := range s.lanes {
			l := &s.lanes[p]
			least := l.low
			for _, one := range l.slots {
				if one.sequence < least || one.sequence-l.low >= uint64(s.window) {
					t.Fatalf("session %d keeps number %d with lowest %d", id, one.sequence, l.low)
				}
				least = one.sequence + 1
				size += one.cost()
			}
		}
		if size != s.bytes || size > MaxSessionReplies {
			t.Fatalf("session %d counts for %d bytes, says %d", id, size, s.bytes)
		}
		total += size
		owners[s.owner]++
		opened[s.open] = id
	}
	if total != table.bytes || total > MaxSessionTable || !maps.Equal(owners, table.owners) || !maps.Equal(opened, table.opened) {
		t.Fatalf("table counts for %d bytes, says %d; owners %v, says %v", total, table.bytes, owners, table.owners)
	}
	if n := len(table.appendTo(nil)); n > total+16 {
		t.Fatalf("table encodes in %d bytes and counts for %d", n, total)
	}
}
