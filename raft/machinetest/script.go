package machinetest

import (
	"bytes"
	"math/rand/v2"

	"github.com/rawl-db/rawl/raft"
)

// history is a log and what a machine made of it: the measure for all others.
type history struct {
	seed    uint64
	version uint64 // in force before the first entry
	known   uint64 // newest that the machine knows
	entries []raft.Entry
	trace   []string     // what each entry brought about
	marks   map[int]mark // by the number of entries applied
}

// mark is the state between two entries.
type mark struct {
	at      raft.EntryID
	context []byte
	state   []byte
	live    string
}

func (h *history) violation(kind error, entry int, detail string, cause error) *Violation {
	return &Violation{Kind: kind, Seed: h.seed, Entry: entry, Detail: detail, Cause: cause}
}

// marked reports whether the state is compared after n entries.
func (h *history) marked(n int) bool { return n%25 == 0 || n == len(h.entries) }

// script makes up a log, entry by entry, from what the machine asks for.
type script struct {
	c        *Config
	r        *rand.Rand
	h        *history
	millis   int64
	term     raft.Term
	sessions []raft.SessionID
	next     map[raft.SessionID]uint64
	timers   []raft.Effect
	nodes    []raft.Effect
	appended [][]byte
	version  uint64
}

// record makes up the log of a seed and applies it for the first time.
func record(c *Config, seed uint64) (*history, error) {
	h := &history{seed: seed, marks: make(map[int]mark)}
	known, err := versionOf(c.New)
	if err != nil {
		return nil, h.violation(ErrFailed, 0, "", err)
	}
	h.known, h.version = known, seed%(known+1)
	s := &script{c: c, r: rand.New(rand.NewPCG(seed, 0)), h: h, millis: 1_000_000_000_000, term: 1,
		next: make(map[raft.SessionID]uint64), version: h.version}
	m, err := start(h, c.New, raft.StateLeader)
	if err != nil {
		return nil, err
	}
	var handed handedOver
	for n := 1; n <= c.Entries; n++ {
		command := s.draw()
		data, err := raft.AppendCommand(nil, &command)
		if err != nil {
			return nil, h.violation(ErrConfig, n, "", err)
		}
		e := raft.Entry{Index: raft.Index(n), Term: s.term, Type: uint8(command.Kind), Data: data}
		h.entries = append(h.entries, e)
		e.Data = bytes.Clone(data)
		lines, effects, err := m.apply(e)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(e.Data, data) {
			return nil, h.violation(ErrCommandChanged, n, "", nil)
		}
		if err := s.learn(m, command, effects, n); err != nil {
			return nil, err
		}
		handed.add(n, effects)
		h.trace = append(h.trace, lines)
		if n%25 == 0 || n == c.Entries {
			if h.marks[n], err = m.mark(); err != nil {
				return nil, err
			}
		}
	}
	return h, handed.check(h)
}

func versionOf(create func() raft.Machine) (uint64, error) {
	a, err := raft.NewApplier(raft.ApplierOptions{New: create})
	if err != nil {
		return 0, err
	}
	return a.Known(), nil
}

// draw makes up the next command.
func (s *script) draw() raft.Command {
	s.millis += s.r.Int64N(2000) - 500 // leaders' clocks differ
	if s.r.IntN(50) == 0 {
		s.term++
	}
	c := s.drawKind()
	c.Time = s.millis
	if c.Kind <= raft.KindSessionClose {
		c.Reply, c.Origin = raft.ReplyFromLeader, raft.Origin{Node: "client", Request: s.r.Uint64()}
	}
	return c
}

func (s *script) drawKind() raft.Command {
	switch k := s.r.IntN(100); {
	case k < 4 && len(s.sessions) < 8:
		return raft.Command{Kind: raft.KindSessionOpen, Open: raft.OpenID{1, byte(s.r.Uint32()), byte(s.r.Uint32()), byte(s.r.Uint32())},
			Window: 16, Node: []string{"node-a", "node-b"}[s.r.IntN(2)], Incarnation: 1}
	case k < 6 && len(s.sessions) > 0:
		return raft.Command{Kind: raft.KindSessionClose, Session: raft.SessionHeader{ID: s.pick()}}
	case k < 7 && len(s.sessions) > 0:
		return raft.Command{Kind: raft.KindSessionKeepAlive, Session: raft.SessionHeader{ID: s.pick()}, Node: "node-b",
			Incarnation: 1, Acked: [2]uint64{0, 2}}
	case k < 8:
		return raft.Command{Kind: raft.KindSessionExpire, Node: "node-a", Incarnation: 1, Armed: raft.Index(len(s.h.entries))}
	case k < 20 && len(s.timers) > 0:
		t := s.timers[s.r.IntN(len(s.timers))]
		return raft.Command{Kind: raft.KindTimeout, Timer: t.Name, Armed: t.Index}
	case k < 30 && len(s.nodes) > 0:
		n := s.nodes[s.r.IntN(len(s.nodes))]
		kind := []raft.CommandKind{raft.KindNodeUp, raft.KindNodeDown}[s.r.IntN(2)]
		return raft.Command{Kind: kind, Node: n.Node, Incarnation: 1, Armed: n.Index}
	case k < 32 && s.version < s.h.known && len(s.h.entries) > 0:
		s.version++
		return raft.Command{Kind: raft.KindMachineVersion, Version: s.version}
	}
	return s.drawUser()
}

// drawUser makes up a user's command, in a session or not, which may be one that came before.
func (s *script) drawUser() raft.Command {
	c := raft.Command{Kind: raft.KindUser, Priority: raft.Priority(s.r.IntN(2))}
	if len(s.appended) > 0 && s.r.IntN(2) == 0 {
		c.Payload, s.appended = s.appended[0], s.appended[1:]
	} else {
		c.Payload = s.c.Command(s.r)
	}
	if len(s.sessions) == 0 || s.r.IntN(2) == 0 {
		return c
	}
	id := s.pick()
	if s.r.IntN(4) > 0 || s.next[id] == 0 {
		s.next[id]++
	}
	c.Priority = raft.Normal
	c.Session = raft.SessionHeader{ID: id, Sequence: s.next[id], LowestUnacked: max(s.next[id], 4) - 3}
	return c
}

func (s *script) pick() raft.SessionID { return s.sessions[s.r.IntN(len(s.sessions))] }

// learn notes what the machine asked for.
func (s *script) learn(m *member, c raft.Command, effects []raft.Effect, n int) error {
	for _, e := range effects {
		asks := false
		switch {
		case e.Kind == raft.EffectReply && e.Session != 0:
			s.sessions = append(s.sessions, e.Session)
		case e.Kind == raft.EffectReply && e.Status == raft.StatusReplyTooLarge:
			return s.h.violation(ErrReplyTooLarge, n, "", nil)
		case e.Kind == raft.EffectTimer && !e.Cancel:
			s.timers, asks = append(s.timers, e), true
		case e.Kind == raft.EffectMonitor && e.Owner == raft.ForMachine:
			s.nodes, asks = append(s.nodes, e), true
		case e.Kind == raft.EffectAppend || e.Kind == raft.EffectTryAppend:
			s.appended = append(s.appended, bytes.Clone(e.Data))
		}
		if asks && !m.hears() {
			return s.h.violation(ErrDeaf, n, e.Kind.String(), nil)
		}
	}
	s.timers, s.nodes = newest(s.timers), newest(s.nodes)
	s.appended = s.appended[max(0, len(s.appended)-32):]
	if c.Kind == raft.KindSessionClose || c.Kind == raft.KindSessionExpire {
		s.sessions = s.sessions[len(s.sessions)/2:] // some that are closed, and commands of closed ones, go on
	}
	return nil
}

func newest(effects []raft.Effect) []raft.Effect { return effects[max(0, len(effects)-32):] }
