package machinetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/raft"
)

// state is what the store of the tests holds.
type state struct {
	Keys    map[string]int
	Live    []raft.Index
	Version uint64
	Heard   int
}

// store is a machine that keeps the contract, and uses everything that there is.
type store struct {
	s     state
	known uint64
}

func (m *store) Apply(ctx *raft.ApplyContext, command []byte) []byte {
	key := string(command)
	if m.s.Keys == nil {
		m.s.Keys = map[string]int{}
	}
	m.s.Keys[key]++
	switch ctx.Index % 8 {
	case 0:
		ctx.TimerAt(key, ctx.Time+1)
	case 1:
		ctx.Monitor(key, raft.ForMachine)
	case 2:
		if ctx.Session.ID != 0 {
			ctx.SendMsg(raft.ToSession(ctx.Session.ID), []byte(key), raft.SendOptions{})
		}
	case 3:
		if m.s.Keys[key] < 3 {
			ctx.Append([]byte(key), raft.AppendOptions{})
		}
	case 4:
		m.s.Live = append(m.s.Live, ctx.Index)
		ctx.LogRead(raftlog.SeqOf(m.s.Live...), "", func(commands []raft.LoggedCommand, effects *raft.Effects) {
			effects.PromoteCheckpoint(raft.Index(len(commands)) + 1)
		})
	case 5:
		m.s.Live = nil
		delete(m.s.Keys, key)
	}
	return fmt.Appendf(nil, "%d by %d", m.s.Keys[key], m.s.Version)
}

func (m *store) ApplyEvent(_ *raft.ApplyContext, ev raft.Event) {
	m.s.Heard++
	if v, ok := ev.(raft.VersionChanged); ok {
		m.s.Version = v.To
	}
}

func (m *store) StateEnter(_ raft.ServerState, effects *raft.Effects) { effects.Checkpoint() }
func (m *store) Tick(_ int64, effects *raft.Effects)                  { effects.Timer("t", time.Second) }
func (m *store) Overview() map[string]any                             { return map[string]any{"keys": len(m.s.Keys)} }
func (m *store) LiveIndexes() raft.Seq                                { return raftlog.SeqOf(m.s.Live...) }
func (m *store) Version() uint64                                      { return m.known }
func (m *store) WhichMachine(uint64) raft.Machine                     { return m }

func (m *store) HandleAux(*raft.AuxContext, raft.AuxEvent) ([]byte, error) { return nil, nil }

func (s state) clone() state {
	s.Keys, s.Live = maps.Clone(s.Keys), slices.Clone(s.Live)
	return s
}

func (m *store) Snapshot() raft.View { return view{m.s.clone()} }

func (m *store) Restore(r io.Reader) error { return json.NewDecoder(r).Decode(&m.s) }

type view struct{ s state }

func (v view) WriteTo(w io.Writer) (int64, error) {
	b, err := json.Marshal(v.s)
	if err != nil {
		return 0, err
	}
	n, err := w.Write(b)
	return int64(n), err
}

// draw draws a command: a name for a timer and a node as well.
func draw(r *rand.Rand) []byte { return []byte("k" + strconv.Itoa(r.IntN(20))) }

func config(create func() raft.Machine) Config {
	c := Config{New: create, Command: draw}
	if testing.Short() {
		c.Seeds = 5
	}
	return c
}

func TestSoundMachines(t *testing.T) {
	for version := range uint64(3) {
		c := config(func() raft.Machine { return &store{known: version} })
		c.Old = func() raft.Machine { return &store{known: version / 2} }
		Run(t, c)
	}
	for _, clone := range []func(map[string]int) map[string]int{nil, maps.Clone[map[string]int]} {
		create, err := raft.Simple(raft.Fold[map[string]int]{
			New: func() map[string]int { return map[string]int{} },
			Apply: func(_ *raft.ApplyContext, s map[string]int, command []byte) (map[string]int, []byte) {
				s[string(command)]++
				return s, command
			},
			Clone: clone,
		})
		if err != nil {
			t.Fatal(err)
		}
		Run(t, config(create))
	}
}

// The logs that are made up have something of everything.
func TestScriptIsRich(t *testing.T) {
	kinds := map[raft.CommandKind]int{}
	effects := map[string]int{}
	c := Config{New: func() raft.Machine { return &store{known: 3} }, Command: draw, Entries: 400}
	for seed := range uint64(10) {
		h, err := record(&c, seed+1)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range h.entries {
			kinds[raft.CommandKind(e.Type)]++
			for _, line := range strings.Split(h.trace[i], "\n") {
				kind, _, _ := strings.Cut(strings.TrimPrefix(line, "{Kind:"), " ")
				effects[kind]++
			}
		}
	}
	for k := raft.KindUser; k <= raft.KindMachineVersion; k++ {
		if kinds[k] < 10 {
			t.Errorf("%d entries of kind %v in 4,000", kinds[k], k)
		}
	}
	for _, k := range []raft.EffectKind{raft.EffectSendMsg, raft.EffectAppend, raft.EffectMonitor, raft.EffectTimer,
		raft.EffectLogRead, raft.EffectPromoteCheckpoint, raft.EffectReply} {
		if effects[k.String()] < 10 {
			t.Errorf("%d effects of kind %v in 4,000 entries", effects[k.String()], k)
		}
	}
}

func TestConfig(t *testing.T) {
	sound := config(func() raft.Machine { return &store{} })
	for name, change := range map[string]func(*Config){
		"no machine":        func(c *Config) { c.New = nil },
		"no commands":       func(c *Config) { c.Command = nil },
		"negative seeds":    func(c *Config) { c.Seeds = -1 },
		"negative entries":  func(c *Config) { c.Entries = -1 },
		"nothing violating": func(*Config) {},
	} {
		c := sound
		change(&c)
		if err := Check(c); errors.Is(err, ErrConfig) != (name != "nothing violating") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// told is a T that notes what it was told.
type told struct{ what []any }

func (t *told) Helper()           {}
func (t *told) Fatal(what ...any) { t.what = what }

func TestRunTells(t *testing.T) {
	var heard told
	Run(&heard, config(func() raft.Machine { return plain(&panicking{}) }))
	var v *Violation
	if len(heard.what) != 1 || !errors.As(heard.what[0].(error), &v) || v.Seed != 1 || v.Entry == 0 || !errors.Is(v, raft.ErrMachine) ||
		!strings.Contains(v.Error(), "seed 1, entry") {
		t.Errorf("told %v", heard.what)
	}
}
