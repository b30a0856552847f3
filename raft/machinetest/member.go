package machinetest

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/rawl-db/rawl/raft"
)

// member is one machine on its way through a history.
type member struct {
	h *history
	a *raft.Applier
}

func start(h *history, create func() raft.Machine, state raft.ServerState) (*member, error) {
	a, err := raft.NewApplier(raft.ApplierOptions{New: create, InitialVersion: h.version, Place: raft.Place{Node: "node-a"}})
	if err != nil {
		return nil, h.violation(ErrFailed, 0, "", err)
	}
	m := &member{h: h, a: a}
	return m, m.enter(state)
}

// enter is a role marker. What the machine asks for then is not compared.
func (m *member) enter(state raft.ServerState) error {
	if _, err := m.a.EnterState(state); err != nil {
		return m.failed(err)
	}
	return nil
}

func (m *member) failed(err error) error {
	return m.h.violation(ErrFailed, int(m.a.At().Index), "", err)
}

// hears reports whether the machine in force hears of events.
func (m *member) hears() bool {
	_, outside := m.a.Machine().(raft.EventApplier)
	_, inside := raft.Unwrap(m.a.Machine()).(raft.EventApplier)
	return outside || inside
}

// apply applies an entry and returns what it brought about, as text and as it is. What is read from the log
// is read at once.
func (m *member) apply(e raft.Entry) (string, []raft.Effect, error) {
	got, err := m.a.Apply(e)
	if err != nil {
		return "", nil, m.h.violation(ErrFailed, int(e.Index), "", err)
	}
	effects := append([]raft.Effect(nil), got...)
	for i := 0; i < len(effects) && i < 1000; i++ {
		if effects[i].Kind != raft.EffectLogRead || effects[i].Read == nil {
			continue
		}
		more, err := m.a.RunRead(effects[i], m.read(effects[i].Indexes), nil)
		if err != nil {
			return "", nil, m.h.violation(ErrFailed, int(e.Index), "", err)
		}
		effects = append(effects, more...)
	}
	var lines strings.Builder
	for i := range effects {
		render(&lines, &effects[i])
	}
	return lines.String(), effects, nil
}

// read reads users' commands from the log as far as it is applied.
func (m *member) read(indexes raft.Seq) (commands []raft.LoggedCommand) {
	for i := range indexes.Limit(m.a.At().Index).All() {
		e := m.h.entries[i-1]
		c, err := raft.DecodeCommand(raft.CommandKind(e.Type), e.Data)
		if err == nil && c.Kind == raft.KindUser {
			commands = append(commands, raft.LoggedCommand{ID: e.ID(), Time: c.Time, Data: bytes.Clone(c.Payload)})
		}
	}
	return commands
}

// render writes an effect as a line. Of functions it says only that they are there.
func render(w *strings.Builder, e *raft.Effect) {
	x := *e
	call, read, plan := x.Call != nil, x.Read != nil, x.ReadPlan != nil
	indexes := x.Indexes.String()
	x.Call, x.Read, x.ReadPlan, x.Indexes, x.Data = nil, nil, nil, raft.Seq{}, nil
	fmt.Fprintf(w, "%+v data %q call %t read %t plan %t indexes %s\n", x, e.Data, call, read, plan, indexes)
}

// capture takes a view of the present state.
func (m *member) capture() (*raft.Capture, error) {
	c, err := m.a.Capture()
	if err != nil {
		return nil, m.failed(err)
	}
	return c, nil
}

// mark captures and writes the present state.
func (m *member) mark() (mark, error) {
	c, err := m.capture()
	if err != nil {
		return mark{}, err
	}
	state, err := m.write(c.View)
	return mark{at: c.At, context: c.Context, state: state, live: c.Live.String()}, err
}

// write writes a view and closes it.
func (m *member) write(v raft.View) ([]byte, error) {
	var b bytes.Buffer
	n, err := writeView(v, &b)
	if err != nil {
		return nil, m.h.violation(ErrFailed, int(m.a.At().Index), "View.WriteTo", err)
	}
	if n != int64(b.Len()) {
		return nil, m.h.violation(ErrErrorSwallowed, int(m.a.At().Index), fmt.Sprintf("WriteTo wrote %d bytes and returned %d", b.Len(), n), nil)
	}
	return b.Bytes(), nil
}

// writeView turns a panic into an error, and closes the view.
func writeView(v raft.View, w io.Writer) (n int64, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if c, ok := v.(io.Closer); ok {
		defer c.Close()
	}
	return v.WriteTo(w)
}

// compare says how a state differs from the history's at the same place, "" when it does not.
func (m *member) compare(got mark) string {
	want := m.h.marks[int(got.at.Index)]
	switch {
	case !bytes.Equal(got.state, want.state):
		return "snapshot " + firstDifference(string(got.state), string(want.state))
	case !bytes.Equal(got.context, want.context):
		return "context " + firstDifference(string(got.context), string(want.context))
	case got.live != want.live:
		return fmt.Sprintf("live indexes %s, want %s", got.live, want.live)
	}
	return ""
}

// follow applies the history from where the member is up to the given number of entries. Each entry is
// handed to prepare first, if it is not nil, which may change the memory but not the meaning, and to done
// afterwards. A difference in snapshots, and when traced in effects, is a violation of the given kind.
func (m *member) follow(kind error, until int, traced bool, prepare func(e *raft.Entry) (done func())) error {
	for n := int(m.a.At().Index) + 1; n <= until; n++ {
		e := m.h.entries[n-1]
		e.Data = bytes.Clone(e.Data)
		var done func()
		if prepare != nil {
			done = prepare(&e)
		}
		lines, _, err := m.apply(e)
		if err != nil {
			return err
		}
		if done != nil {
			done()
		}
		if traced && lines != m.h.trace[n-1] {
			return m.h.violation(kind, n, "effects "+firstDifference(lines, m.h.trace[n-1]), nil)
		}
		if !m.h.marked(n) {
			continue
		}
		got, err := m.mark()
		if err != nil {
			return err
		}
		if d := m.compare(got); d != "" {
			return m.h.violation(kind, n, d, nil)
		}
	}
	return nil
}
