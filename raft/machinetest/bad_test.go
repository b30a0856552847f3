package machinetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/rawl-db/rawl/raft"
)

// calls counts over all machines, as a clock or a random number would differ between them.
var calls int

type (
	clocked    struct{ store } // replies by something outside of its state
	clockedKey struct{ store } // keeps something from outside in its state
	unsorted   struct{ store } // writes a map in its own order
	scattered  struct{ store } // asks for effects in a map's order
	keeping    struct {        // keeps the command
		store
		last []byte
	}
	changing struct{ store } // changes the command
	reusing  struct {        // replies with the same memory each time
		store
		buffer []byte
	}
	reusingMsg struct { // sends the same memory each time
		store
		buffer []byte
	}
	verbose   struct{ store } // replies with too much
	entering  struct{ store } // changes its state with its server's
	ticked    struct{ store } // changes its state with time
	overseen  struct{ store } // changes its state when looked at
	counted   struct{ store } // counts its snapshots
	shared    struct{ store } // its view is its state
	lazy      struct{ store } // its view reads the state when it is first written
	piecemeal struct{ store } // its view writes a list in pieces, and shares it
	silenced  struct{ store } // hides the errors of writers
	content   struct{ store } // hides the errors of readers
	counting  struct{ store } // returns a wrong length
	forgetful struct {        // leaves something out of its snapshots
		store
		forgotten int
	}
	mangled     struct{ store } // restores something else
	deaf        struct{ raft.Machine }
	panicking   struct{ store }
	hollow      struct{ store } // has no view
	writePanics struct{ store }
	upgrading   struct { // forgets the version when restored
		store
		rules uint64
	}
	living  struct{ store } // live indexes that are not in its snapshots
	restful struct {        // remembers in Apply whether it was restored
		store
		restored bool
	}
)

func (m *clocked) Apply(ctx *raft.ApplyContext, c []byte) []byte {
	calls++
	return fmt.Append(m.store.Apply(ctx, c), calls)
}

func (m *clockedKey) Apply(ctx *raft.ApplyContext, c []byte) []byte {
	calls++
	reply := m.store.Apply(ctx, c)
	m.s.Heard = calls
	return reply
}

func (m *unsorted) Snapshot() raft.View {
	var b bytes.Buffer
	for k, n := range m.s.Keys {
		fmt.Fprintln(&b, k, n)
	}
	return bytes.NewReader(b.Bytes())
}

func (m *scattered) Apply(ctx *raft.ApplyContext, c []byte) []byte {
	for k := range m.s.Keys {
		ctx.CancelTimer(k)
	}
	return m.store.Apply(ctx, c)
}

func (m *keeping) Apply(ctx *raft.ApplyContext, c []byte) []byte {
	reply := m.store.Apply(ctx, c)
	if m.last != nil && m.s.Keys != nil {
		m.s.Keys[string(m.last)] += 2
	}
	m.last = c
	return reply
}

func (m *changing) Apply(ctx *raft.ApplyContext, c []byte) []byte {
	reply := m.store.Apply(ctx, c)
	c[0] = 'x'
	return reply
}

func (m *reusing) Apply(ctx *raft.ApplyContext, c []byte) []byte {
	m.buffer = append(m.buffer[:0], m.store.Apply(ctx, c)...)
	return m.buffer
}

func (m *reusingMsg) Apply(ctx *raft.ApplyContext, c []byte) []byte {
	m.buffer = append(m.buffer[:0], c...)
	ctx.SendMsg(raft.ToMailbox("n", "box"), m.buffer, raft.SendOptions{})
	return m.store.Apply(ctx, c)
}

func (m *verbose) Apply(*raft.ApplyContext, []byte) []byte { return make([]byte, raft.MaxReply+1) }

func (m *entering) StateEnter(raft.ServerState, *raft.Effects) { m.s.Heard++ }
func (m *ticked) Tick(int64, *raft.Effects)                    { m.s.Heard++ }
func (m *overseen) Overview() map[string]any                   { m.s.Heard++; return nil }

func (m *counted) Snapshot() raft.View {
	m.s.Heard++
	return m.store.Snapshot()
}

func (m *shared) Snapshot() raft.View { return view{m.s} }

type lazyView struct{ m *store }

func (v lazyView) WriteTo(w io.Writer) (int64, error) { return v.m.Snapshot().WriteTo(w) }

func (m *lazy) Snapshot() raft.View { return lazyView{&m.store} }

func (m *piecemeal) Apply(ctx *raft.ApplyContext, c []byte) []byte {
	if m.s.Live == nil {
		m.s.Live = make([]raft.Index, 4)
	}
	m.s.Live[ctx.Index%4] = ctx.Index
	return nil
}

func (m *piecemeal) LiveIndexes() raft.Seq { return raft.Seq{} }

type piecemealView []raft.Index

func (v piecemealView) WriteTo(w io.Writer) (total int64, err error) {
	for _, i := range v {
		n, err := fmt.Fprintln(w, i)
		if total += int64(n); err != nil {
			return total, err
		}
	}
	return total, nil
}

func (m *piecemeal) Snapshot() raft.View { return piecemealView(m.s.Live) }

type silencedView struct{ view }

func (v silencedView) WriteTo(w io.Writer) (int64, error) {
	n, _ := v.view.WriteTo(w)
	return n, nil
}

func (m *silenced) Snapshot() raft.View { return silencedView{view{m.s.clone()}} }

func (m *content) Restore(r io.Reader) error {
	b, _ := io.ReadAll(r)
	_ = json.Unmarshal(b, &m.s)
	return nil
}

type countingView struct{ view }

func (v countingView) WriteTo(w io.Writer) (int64, error) {
	n, err := v.view.WriteTo(w)
	return n + 1, err
}

func (m *counting) Snapshot() raft.View { return countingView{view{m.s.clone()}} }

func (m *forgetful) Apply(ctx *raft.ApplyContext, c []byte) []byte {
	m.forgotten++
	return fmt.Append(m.store.Apply(ctx, c), m.forgotten)
}

func (m *mangled) Restore(r io.Reader) error {
	err := m.store.Restore(r)
	m.s.Heard++
	return err
}

func (m *panicking) Apply(*raft.ApplyContext, []byte) []byte { panic("no") }
func (m *hollow) Snapshot() raft.View                        { return nil }

type panickingView struct{}

func (panickingView) WriteTo(io.Writer) (int64, error) { panic("no") }

func (m *writePanics) Snapshot() raft.View { return panickingView{} }

func (m *upgrading) ApplyEvent(ctx *raft.ApplyContext, ev raft.Event) {
	if v, ok := ev.(raft.VersionChanged); ok {
		m.rules = v.To
	}
	m.store.ApplyEvent(ctx, ev)
}

func (m *upgrading) Apply(ctx *raft.ApplyContext, c []byte) []byte {
	return fmt.Append(m.store.Apply(ctx, c), m.rules)
}

func (m *upgrading) WhichMachine(uint64) raft.Machine { return m }

func (m *living) Snapshot() raft.View {
	s := m.s.clone()
	s.Live = nil
	return view{s}
}

func (m *restful) Restore(r io.Reader) error {
	m.restored = true
	return m.store.Restore(r)
}

func (m *restful) Apply(ctx *raft.ApplyContext, c []byte) []byte {
	if m.restored {
		ctx.Checkpoint()
	}
	return m.store.Apply(ctx, c)
}

// WhichMachine of the embedded store would leave the bad machine behind.
func (m *living) WhichMachine(uint64) raft.Machine  { return m }
func (m *restful) WhichMachine(uint64) raft.Machine { return m }

// Each bad machine is caught, by what it does wrong.
func TestBadMachinesCaught(t *testing.T) {
	for _, tc := range []struct {
		create func() raft.Machine
		want   error
	}{
		{func() raft.Machine { return plain(&clocked{}) }, ErrNondeterministic},
		{func() raft.Machine { return plain(&clockedKey{}) }, ErrNondeterministic},
		{func() raft.Machine { return plain(&unsorted{}) }, ErrNondeterministic},
		{func() raft.Machine { return plain(&scattered{}) }, ErrNondeterministic},
		{func() raft.Machine { return plain(&keeping{}) }, ErrCommandKept},
		{func() raft.Machine { return plain(&changing{}) }, ErrCommandChanged},
		{func() raft.Machine { return plain(&reusing{}) }, ErrReplyChanged},
		{func() raft.Machine { return plain(&reusingMsg{}) }, ErrReplyChanged},
		{func() raft.Machine { return plain(&verbose{}) }, ErrReplyTooLarge},
		{func() raft.Machine { return plain(&entering{}) }, ErrLocalChange},
		{func() raft.Machine { return plain(&ticked{}) }, ErrLocalChange},
		{func() raft.Machine { return plain(&overseen{}) }, ErrLocalChange},
		{func() raft.Machine { return plain(&counted{}) }, ErrLocalChange},
		{func() raft.Machine { return plain(&shared{}) }, ErrViewChanged},
		{func() raft.Machine { return plain(&lazy{}) }, ErrViewChanged},
		{func() raft.Machine { return plain(&piecemeal{}) }, ErrViewChanged},
		{func() raft.Machine { return plain(&silenced{}) }, ErrErrorSwallowed},
		{func() raft.Machine { return plain(&content{}) }, ErrErrorSwallowed},
		{func() raft.Machine { return plain(&counting{}) }, ErrErrorSwallowed},
		{func() raft.Machine { return plain(&forgetful{}) }, ErrRestore},
		{func() raft.Machine { return plain(&mangled{}) }, ErrRestore},
		{func() raft.Machine { return &restful{} }, ErrRestore},
		{func() raft.Machine { return &living{} }, ErrRestore},
		{func() raft.Machine { return &upgrading{store: store{known: 2}} }, ErrRestore},
		{func() raft.Machine { return deaf{&store{}} }, ErrDeaf},
		{func() raft.Machine { return plain(&panicking{}) }, ErrFailed},
		{func() raft.Machine { return plain(&hollow{}) }, ErrFailed},
		{func() raft.Machine { return plain(&writePanics{}) }, ErrFailed},
		{func() raft.Machine { panic("no") }, ErrFailed},
	} {
		err := Check(config(tc.create))
		name := "none"
		if !errors.Is(err, ErrFailed) {
			name = fmt.Sprintf("%T", tc.create())
		}
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

// A release that changes the rules of an old version is caught.
func TestBadVersionsCaught(t *testing.T) {
	c := config(func() raft.Machine { return &upgrading{store: store{known: 2}, rules: 1} })
	c.Old = func() raft.Machine { return &store{known: 1} }
	if err := checkSeedUntilOld(c); !errors.Is(err, ErrVersions) {
		t.Errorf("%v, want %v", err, ErrVersions)
	}
	c.Old = func() raft.Machine { panic("no") }
	if err := checkSeedUntilOld(c); !errors.Is(err, ErrFailed) {
		t.Errorf("%v, want %v", err, ErrFailed)
	}
}

// checkSeedUntilOld leaves out the checks before that of the older release.
func checkSeedUntilOld(c Config) error {
	c.Entries = 400
	h, err := record(&c, 3)
	if err != nil {
		return err
	}
	return checkOld(&c, h)
}

// unversioned hides the versions of a machine, by which the store would take its place.
type unversioned struct {
	raft.Machine
	raft.EventApplier
	raft.StateEnterer
	raft.Ticker
	raft.Overviewer
	raft.LiveIndexer
}

type wholly interface {
	raft.Machine
	raft.EventApplier
	raft.StateEnterer
	raft.Ticker
	raft.Overviewer
	raft.LiveIndexer
}

func plain(m wholly) raft.Machine { return unversioned{m, m, m, m, m, m} }
