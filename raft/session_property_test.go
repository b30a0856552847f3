package raft

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// call is one numbered command of a client's.
type call struct {
	session  SessionID
	priority Priority
	sequence uint64
}

// client is what a client knows of its session.
type client struct {
	*SessionNumbers
	acked map[call]string // answers that it has had
}

// sessionWorld is clients that send numbered commands over a network that loses, repeats and reorders them, to
// replicas that lead in turn: each admits by what it has applied, which may be old, and appends to one log.
type sessionWorld struct {
	t        *rapid.T
	tb       testing.TB
	log      []Entry
	machines [2]*scripted
	replicas [2]*replica
	contexts map[Index][]byte // of whichever replica came there first
	network  []Command        // on their way to a leader
	clients  map[SessionID]*client
	ordered  map[SessionID]bool
	opens    byte
	applied  map[call]int    // how often the machine applied it
	answers  map[call]string // the first answer that the machine gave
	order    map[SessionID]*[priorities]uint64
}

func newSessionWorld(t *rapid.T, tb testing.TB) *sessionWorld {
	w := &sessionWorld{t: t, tb: tb, contexts: map[Index][]byte{}, clients: map[SessionID]*client{},
		ordered: map[SessionID]bool{}, applied: map[call]int{}, answers: map[call]string{},
		order: map[SessionID]*[priorities]uint64{}}
	for i := range w.replicas {
		w.machines[i] = &scripted{}
		w.replicas[i] = newReplica(tb, w.machines[i])
		w.replicas[i].enter(StateLeader)
	}
	w.machines[0].apply = w.count
	return w
}

// count is the machine of the first replica: it notes what it applies.
func (w *sessionWorld) count(ctx *ApplyContext, command []byte) []byte {
	c := call{ctx.Session.ID, ctx.Priority, ctx.Session.Sequence}
	if w.applied[c]++; w.applied[c] > 1 {
		w.t.Fatalf("%+v applied %d times", c, w.applied[c])
	}
	if w.ordered[c.session] {
		last := &w.order[c.session][c.priority]
		if c.sequence <= *last {
			w.t.Fatalf("%+v of an ordered session applied behind number %d", c, *last)
		}
		*last = c.sequence
	}
	w.answers[c] = fmt.Sprintf("%s at %d", command, ctx.Index)
	return []byte(w.answers[c])
}

func (w *sessionWorld) propose(c Command) {
	c.Reply, c.Origin = ReplyFromLeader, Origin{Node: "client"}
	b, err := AppendCommand(nil, &c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.log = append(w.log, Entry{Index: Index(len(w.log) + 1), Term: 1, Type: uint8(c.Kind), Data: b})
}

// pick draws a client, nil when there is none.
func (w *sessionWorld) pick() (SessionID, *client) {
	ids := w.replicas[0].mu.table.ids()
	ids = slices.DeleteFunc(ids, func(id SessionID) bool { return w.clients[id] == nil })
	if len(ids) == 0 {
		w.t.Skip()
	}
	id := rapid.SampledFrom(ids).Draw(w.t, "session")
	return id, w.clients[id]
}

func (w *sessionWorld) open() {
	w.opens++
	c := open(rapid.SampledFrom([]string{"a", "b"}).Draw(w.t, "owner"), w.opens)
	c.Ordered = rapid.Bool().Draw(w.t, "ordered")
	w.propose(c)
	if rapid.Bool().Draw(w.t, "twice") {
		w.propose(c)
	}
}

// send puts a new command, or one that was not answered, on its way.
func (w *sessionWorld) send() {
	id, c := w.pick()
	p := Priority(rapid.IntRange(0, 1).Draw(w.t, "priority"))
	pending := c.Pending(p)
	k := rapid.IntRange(0, len(pending)).Draw(w.t, "which")
	var h SessionHeader
	if k < len(pending) {
		h = c.Again(p, pending[k])
	} else {
		var err error
		if h, err = c.Next(p); errors.Is(err, ErrBusy) {
			w.t.Skip()
		}
	}
	w.network = append(w.network, numbered(id, p, h.Sequence, h.LowestUnacked, fmt.Sprintf("%d/%d/%d", id, p, h.Sequence)))
}

// deliver hands a command to a leader, which may repeat it, or loses it.
func (w *sessionWorld) deliver() {
	if len(w.network) == 0 {
		w.t.Skip()
	}
	k := rapid.IntRange(0, len(w.network)-1).Draw(w.t, "which")
	c := w.network[k]
	fate := rapid.SampledFrom([]string{"arrives", "arrives twice", "lost"}).Draw(w.t, "fate")
	if fate != "arrives twice" {
		w.network = slices.Delete(w.network, k, k+1)
	}
	if fate == "lost" {
		return
	}
	leader := w.replicas[rapid.IntRange(0, 1).Draw(w.t, "leader")]
	a, err := leader.Admit(c.Session, c.Priority)
	switch {
	case err != nil:
	case a.Answered:
		w.answer(call{c.Session.ID, c.Priority, c.Session.Sequence}, a.Status, a.Reply)
	default:
		w.propose(c)
	}
}

// answer is what comes back to the client.
func (w *sessionWorld) answer(c call, status ReplyStatus, reply []byte) {
	if !status.Applied() {
		return
	}
	if w.applied[c] != 1 || w.answers[c] != string(reply) {
		w.t.Fatalf("%+v answered %d %q; the machine applied it %d times and said %q", c, status, reply, w.applied[c], w.answers[c])
	}
	client := w.clients[c.session]
	if client == nil || rapid.Bool().Draw(w.t, "answer lost") {
		return
	}
	if before, ok := client.acked[c]; ok && before != string(reply) {
		w.t.Fatalf("%+v answered %q and %q", c, before, reply)
	}
	client.acked[c] = string(reply)
	client.Settle(c.priority, c.sequence)
}

func (w *sessionWorld) giveUp() {
	_, c := w.pick()
	p := Priority(rapid.IntRange(0, 1).Draw(w.t, "priority"))
	pending := c.Pending(p)
	if len(pending) == 0 {
		w.t.Skip()
	}
	c.Settle(p, rapid.SampledFrom(pending).Draw(w.t, "number"))
}

func (w *sessionWorld) renewOrEnd() {
	id, c := w.pick()
	switch rapid.IntRange(0, 3).Draw(w.t, "what") {
	case 0, 1:
		w.propose(Command{Kind: KindSessionKeepAlive, Session: SessionHeader{ID: id}, Node: "b",
			Acked: c.Acked()})
	case 2:
		w.propose(Command{Kind: KindSessionClose, Session: SessionHeader{ID: id}})
	case 3:
		armed := Index(rapid.IntRange(0, len(w.log)).Draw(w.t, "armed"))
		b, err := AppendCommand(nil, &Command{Kind: KindSessionExpire, Node: "a", Incarnation: 1, Armed: armed})
		if err != nil {
			w.t.Fatal(err)
		}
		w.log = append(w.log, Entry{Index: Index(len(w.log) + 1), Term: 1, Type: uint8(KindSessionExpire), Data: b})
	}
}

// apply has a replica apply some of the log, the second one no further than the first; both come to the
// same tables.
func (w *sessionWorld) apply(which, most int) {
	r, end := w.replicas[which], Index(len(w.log))
	if which == 1 {
		end = w.replicas[0].At().Index
	}
	for ; most > 0 && r.At().Index < end; most-- {
		e := w.log[r.At().Index]
		kept := bytes.Clone(e.Data)
		effects, err := r.Apply(e)
		if err != nil || !bytes.Equal(kept, e.Data) {
			w.t.Fatalf("entry %d: %v", e.Index, err)
		}
		if which == 0 {
			w.replies(e, slices.Clone(effects))
		}
		checkTable(w.tb, r.mu.table)
		context := r.appendContext(nil)
		if before := w.contexts[e.Index]; before == nil {
			w.contexts[e.Index] = context
		} else if !bytes.Equal(before, context) {
			w.t.Fatalf("replicas differ at entry %d:\n%x\n%x", e.Index, before, context)
		}
	}
}

func (w *sessionWorld) replies(e Entry, effects []Effect) {
	c, err := DecodeCommand(CommandKind(e.Type), e.Data)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, x := range effects {
		if x.Kind != EffectReply {
			continue
		}
		switch id := x.Session; {
		case c.Kind == KindUser:
			w.answer(call{c.Session.ID, c.Priority, c.Session.Sequence}, x.Status, x.Data)
		case id != 0 && w.clients[id] == nil:
			w.ordered[id] = c.Ordered
			w.order[id] = new([priorities]uint64)
			w.clients[id] = &client{NewSessionNumbers(id, c.Window), map[call]string{}}
		}
	}
}

// restore replaces the second replica by the state of the first.
func (w *sessionWorld) restore() {
	c, state := w.replicas[0].snapshot()
	if c.At.Index == 0 {
		w.t.Skip()
	}
	w.machines[1] = &scripted{}
	w.replicas[1] = newReplica(w.tb, w.machines[1])
	if err := w.replicas[1].Restore(c.At, c.Context, bytes.NewReader(state)); err != nil {
		w.t.Fatal(err)
	}
	w.replicas[1].enter(StateLeader)
}

// Each number is applied at most once, and exactly once with one answer if it was answered, through retries,
// duplicates, reordering, changes of leaders, snapshots and the end of sessions.
func TestSessionExactlyOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newSessionWorld(rt, t)
		w.open()
		w.apply(0, 2)
		rt.Repeat(map[string]func(*rapid.T){
			"open":    func(*rapid.T) { w.open() },
			"send":    func(*rapid.T) { w.send() },
			"send 2":  func(*rapid.T) { w.send() },
			"deliver": func(*rapid.T) { w.deliver() },
			"again":   func(*rapid.T) { w.deliver() },
			"give up": func(*rapid.T) { w.giveUp() },
			"session": func(*rapid.T) { w.renewOrEnd() },
			"apply":   func(*rapid.T) { w.apply(0, 4) },
			"follow":  func(*rapid.T) { w.apply(1, 4) },
			"restore": func(*rapid.T) { w.restore() },
			"":        func(*rapid.T) {},
		})
		w.apply(0, len(w.log))
		w.apply(1, len(w.log))
		for _, client := range w.clients {
			for c := range client.acked {
				if w.applied[c] != 1 {
					rt.Fatalf("%+v was answered and applied %d times", c, w.applied[c])
				}
			}
		}
		if a, b := w.machines[0].applied, w.machines[1].applied; !slices.Equal(a, b) {
			rt.Fatalf("replicas applied\n%q\n%q", a, b)
		}
	})
}
