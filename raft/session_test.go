package raft

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func open(node NodeID, id byte) Command {
	return Command{Kind: KindSessionOpen, Open: OpenID{id}, Window: 8, Node: node, Incarnation: 1}
}

func numbered(id SessionID, p Priority, sequence, low uint64, payload string) Command {
	return Command{Kind: KindUser, Priority: p, Payload: []byte(payload),
		Session: SessionHeader{ID: id, Sequence: sequence, LowestUnacked: low}}
}

func wantReply(t *testing.T, got Effect, status ReplyStatus, reply string) {
	t.Helper()
	if got.Status != status || string(got.Data) != reply {
		t.Errorf("answered %d %q, want %d %q", got.Status, got.Data, status, reply)
	}
}

// A number is applied once; again it is answered as the first time, until the client settles it.
func TestSessionDuplicate(t *testing.T) {
	m := &scripted{}
	r := newReplica(t, m)
	s := r.ask(open("a", 1)).Session
	if s != 1 {
		t.Fatalf("session %d was opened by entry 1", s)
	}
	wantReply(t, r.ask(numbered(s, Normal, 1, 1, "x")), StatusApplied, "x at 2")
	wantReply(t, r.ask(numbered(s, Normal, 1, 1, "x")), StatusApplied, "x at 2")
	wantReply(t, r.ask(numbered(s, Low, 1, 1, "y")), StatusApplied, "y at 4")
	wantReply(t, r.ask(numbered(s, Normal, 2, 2, "z")), StatusApplied, "z at 5")
	wantReply(t, r.ask(numbered(s, Normal, 1, 1, "x")), StatusStale, "")
	wantReply(t, r.ask(numbered(s, Low, 1, 1, "y")), StatusApplied, "y at 4")
	wantReply(t, r.ask(numbered(99, Low, 1, 1, "y")), StatusSessionExpired, "")
	if first, again := r.ask(numbered(s, Low, 2, 2, "w")), r.ask(numbered(s, Low, 2, 2, "w")); first.Recalled || !again.Recalled {
		t.Errorf("recalled: %v at first, %v at the repetition", first.Recalled, again.Recalled)
	}
	if want := []string{"x", "y", "z", "w"}; !slices.Equal(m.applied, want) {
		t.Errorf("applied %q, want %q", m.applied, want)
	}
	checkTable(t, r.mu.table)
}

// Gaps: a number above one that is not applied is applied at once, and the lower one when it comes, if
// the client still wants it.
func TestSessionGap(t *testing.T) {
	m := &scripted{}
	r := newReplica(t, m)
	s := r.ask(open("a", 1)).Session
	wantReply(t, r.ask(numbered(s, Normal, 3, 1, "c")), StatusApplied, "c at 2")
	wantReply(t, r.ask(numbered(s, Normal, 1, 1, "a")), StatusApplied, "a at 3")
	wantReply(t, r.ask(numbered(s, Normal, 4, 4, "d")), StatusApplied, "d at 4")
	wantReply(t, r.ask(numbered(s, Normal, 2, 1, "b")), StatusStale, "") // given up by number 4
	if want := []string{"c", "a", "d"}; !slices.Equal(m.applied, want) {
		t.Errorf("applied %q, want %q", m.applied, want)
	}
}

func TestSessionOrdered(t *testing.T) {
	m := &scripted{}
	r := newReplica(t, m)
	o := open("a", 1)
	o.Ordered = true
	s := r.ask(o).Session
	wantReply(t, r.ask(numbered(s, Normal, 2, 1, "b")), StatusOutOfOrder, "")
	wantReply(t, r.ask(numbered(s, Low, 1, 1, "low")), StatusApplied, "low at 3")
	wantReply(t, r.ask(numbered(s, Normal, 1, 1, "a")), StatusApplied, "a at 4")
	wantReply(t, r.ask(numbered(s, Normal, 2, 1, "b")), StatusApplied, "b at 5")
	wantReply(t, r.ask(numbered(s, Normal, 4, 2, "d")), StatusOutOfOrder, "")
	wantReply(t, r.ask(numbered(s, Normal, 5, 5, "e")), StatusApplied, "e at 7") // 3 and 4 are given up
	if _, err := r.Admit(SessionHeader{ID: s, Sequence: 7, LowestUnacked: 5}, Normal); err != nil {
		t.Errorf("a pipelined number is not admitted: %v", err)
	}
	if want := []string{"low", "a", "b", "e"}; !slices.Equal(m.applied, want) {
		t.Errorf("applied %q, want %q", m.applied, want)
	}
}

// The window is kept by the leader before it appends, and again when entries are applied.
func TestSessionWindow(t *testing.T) {
	r := newReplica(t, &scripted{})
	s := r.ask(open("a", 1)).Session
	for n := uint64(8); n > 0; n-- {
		if a, err := r.Admit(SessionHeader{ID: s, Sequence: n, LowestUnacked: 1}, Normal); err != nil || a.Answered {
			t.Fatalf("number %d: %+v, %v", n, a, err)
		}
		r.ask(numbered(s, Normal, n, 1, "x"))
	}
	if _, err := r.Admit(SessionHeader{ID: s, Sequence: 9, LowestUnacked: 1}, Normal); !errors.Is(err, ErrBusy) {
		t.Errorf("number 9 of a window of 8: %v", err)
	}
	wantReply(t, r.ask(numbered(s, Normal, 9, 1, "x")), StatusWindow, "")
	if _, err := r.Admit(SessionHeader{ID: s, Sequence: 9, LowestUnacked: 2}, Normal); err != nil {
		t.Errorf("number 9 when 1 is settled: %v", err)
	}
	if a, err := r.Admit(SessionHeader{ID: s, Sequence: 8, LowestUnacked: 1}, Normal); err != nil || !a.Answered ||
		a.Status != StatusApplied || string(a.Reply) != "x at 2" {
		t.Errorf("a number that is applied: %+v, %v", a, err)
	}
	wantReply(t, r.ask(numbered(s, Normal, 9, 9, "x")), StatusApplied, fmt.Sprintf("x at %d", r.At().Index))
	if _, err := r.Admit(SessionHeader{ID: s, Sequence: 8, LowestUnacked: 8}, Normal); !errors.Is(err, ErrStale) {
		t.Errorf("a number that is settled: %v", err)
	}
	checkTable(t, r.mu.table)
}

func TestSessionAdmitUnknown(t *testing.T) {
	r := newReplica(t, &scripted{})
	r.apply(Command{Kind: KindUser})
	one := SessionHeader{Sequence: 1, LowestUnacked: 1}
	if _, err := r.Admit(SessionHeader{}, Normal); err != nil {
		t.Errorf("a command of no session: %v", err)
	}
	one.ID = 1
	if _, err := r.Admit(one, Normal); !errors.Is(err, ErrSessionExpired) {
		t.Errorf("a session that is not there: %v", err)
	}
	one.ID = 2 // a new leader may not have applied the entry that opened it
	if a, err := r.Admit(one, Normal); err != nil || a.Answered {
		t.Errorf("a session that may be opened yet: %+v, %v", a, err)
	}
	if _, err := r.Admit(SessionHeader{ID: 2}, Normal); !errors.Is(err, ErrMalformed) {
		t.Errorf("a header without a number: %v", err)
	}
	if _, err := r.Admit(one, priorities); !errors.Is(err, ErrMalformed) {
		t.Errorf("a priority that is none: %v", err)
	}
}

// One OpenID opens one session, however often it comes.
func TestSessionOpenAgain(t *testing.T) {
	r := newReplica(t, &scripted{})
	first := r.ask(open("a", 1))
	again := r.ask(open("b", 1))
	other := r.ask(open("b", 2))
	if first.Session != 1 || again.Session != 1 || other.Session != 3 {
		t.Errorf("sessions %d, %d, %d", first.Session, again.Session, other.Session)
	}
	if !reflect.DeepEqual(r.mu.table.owners, map[NodeID]int{"b": 2}) {
		t.Errorf("owners %v", r.mu.table.owners)
	}
	checkTable(t, r.mu.table)
}

func TestSessionKeepAliveAndClose(t *testing.T) {
	m := &scripted{}
	r := newReplica(t, m)
	s := r.ask(open("a", 1)).Session
	r.ask(numbered(s, Normal, 1, 1, "x"))
	r.ask(numbered(s, Low, 1, 1, "y"))
	wantReply(t, r.ask(Command{Kind: KindSessionKeepAlive, Session: SessionHeader{ID: s}, Node: "b", Acked: [2]uint64{2, 0}}), StatusApplied, "")
	wantReply(t, r.ask(numbered(s, Normal, 1, 1, "x")), StatusStale, "")
	wantReply(t, r.ask(numbered(s, Low, 1, 1, "y")), StatusApplied, "y at 3")
	checkTable(t, r.mu.table)
	wantReply(t, r.ask(Command{Kind: KindSessionClose, Session: SessionHeader{ID: s}}), StatusApplied, "")
	wantReply(t, r.ask(Command{Kind: KindSessionClose, Session: SessionHeader{ID: s}}), StatusSessionExpired, "")
	wantReply(t, r.ask(Command{Kind: KindSessionKeepAlive, Session: SessionHeader{ID: s}, Node: "b"}), StatusSessionExpired, "")
	wantReply(t, r.ask(numbered(s, Low, 2, 1, "z")), StatusSessionExpired, "")
	if want := []string{"x", "y", "raft.SessionDown{Session:1 Reason:0}"}; !slices.Equal(m.applied, want) {
		t.Errorf("applied %q, want %q", m.applied, want)
	}
	if n, size := r.Sessions(); n != 0 || size != 0 {
		t.Errorf("%d sessions, %d bytes", n, size)
	}
}

// Expiry ends the sessions of a node in that life or an earlier one, unless they were active behind what
// the leader had applied when it judged.
func TestSessionExpire(t *testing.T) {
	m := &scripted{}
	r := newReplica(t, m)
	for i := range byte(4) { // sessions 1 to 4
		c := open("a", i+1)
		c.Incarnation = uint64(i/2) + 1 // 1, 1, 2, 2
		r.ask(c)
	}
	r.ask(open("b", 9)) // 5
	r.ask(numbered(2, Normal, 1, 1, "active"))
	r.apply(Command{Kind: KindSessionExpire, Node: "a", Incarnation: 1, Armed: 5})
	if got := r.mu.table.ids(); !slices.Equal(got, []SessionID{2, 3, 4, 5}) {
		t.Errorf("sessions %v after the first life expired, one being active", got)
	}
	r.apply(Command{Kind: KindSessionExpire, Session: SessionHeader{ID: 4}, Armed: 3})
	r.apply(Command{Kind: KindSessionExpire, Node: "a", Incarnation: 2, Armed: r.At().Index})
	r.apply(Command{Kind: KindSessionExpire, Session: SessionHeader{ID: 5}, Armed: 5})
	want := []string{"active"}
	for _, id := range []int{1, 2, 3, 4, 5} {
		want = append(want, fmt.Sprintf("raft.SessionDown{Session:%d Reason:1}", id))
	}
	if !slices.Equal(m.applied, want) {
		t.Errorf("applied\n%q, want\n%q", m.applied, want)
	}
	checkTable(t, r.mu.table)
}

// The leader watches the nodes that own sessions, and a new leader does.
func TestSessionOwnersWatched(t *testing.T) {
	r := newReplica(t, &scripted{})
	if got := r.enter(StateLeader); len(got) != 0 {
		t.Errorf("effects %+v", got)
	}
	watch := func(what string, effects []Effect, want ...string) {
		t.Helper()
		var got []string
		for _, e := range effects {
			if e.Owner == ForSessions {
				got = append(got, fmt.Sprintf("%v %s", e.Kind, e.Node))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	watch("first of a", r.apply(open("a", 1)), "monitor a")
	watch("second of a", r.apply(open("a", 2)))
	watch("first of b", r.apply(open("b", 3)), "monitor b")
	watch("from b to c", r.apply(Command{Kind: KindSessionKeepAlive, Session: SessionHeader{ID: 3}, Node: "c"}), "monitor c", "demonitor b")
	watch("from c to a, by opening again", r.apply(open("a", 3)), "demonitor c")
	r.apply(numbered(1, Normal, 1, 1, "x"))
	watch("one of a spared", r.apply(Command{Kind: KindSessionExpire, Node: "a", Incarnation: 1, Armed: r.At().Index - 1}),
		"demonitor a", "monitor a")
	watch("those of an earlier life", r.apply(Command{Kind: KindSessionExpire, Node: "a", Armed: r.At().Index}))
	r.apply(open("a", 2))
	r.apply(open("a", 3))
	watch("as follower", r.enter(StateFollower))
	watch("as follower, of d", r.apply(open("d", 4)))
	watch("as leader", r.enter(StateLeader), "monitor a", "monitor d")
	watch("one of a closed", r.apply(Command{Kind: KindSessionClose, Session: SessionHeader{ID: 1}}))
	watch("all of a expired", r.apply(Command{Kind: KindSessionExpire, Node: "a", Incarnation: 9, Armed: r.At().Index}), "demonitor a")
}

// Replies that exceed a bound are not kept; the command is applied all the same, and never again.
func TestSessionReplyBounds(t *testing.T) {
	m := &scripted{}
	m.apply = func(_ *ApplyContext, command []byte) []byte {
		if string(command) == "huge" {
			return make([]byte, MaxReply+1)
		}
		return bytes.Repeat(command, MaxReply)
	}
	r := newReplica(t, m)
	if got := r.ask(Command{Kind: KindUser, Payload: []byte("huge")}); got.Status != StatusReplyTooLarge || got.Data != nil {
		t.Errorf("answered %d with %d bytes, without a session", got.Status, len(got.Data))
	}
	s := r.ask(open("a", 1)).Session
	wantReply(t, r.ask(numbered(s, Normal, 1, 1, "huge")), StatusReplyTooLarge, "")
	wantReply(t, r.ask(numbered(s, Normal, 1, 1, "huge")), StatusReplyTooLarge, "")
	large := strings.Repeat("x", MaxReply)
	for n := uint64(2); n <= 5; n++ {
		wantReply(t, r.ask(numbered(s, Normal, n, 1, "x")), StatusApplied, large)
	}
	wantReply(t, r.ask(numbered(s, Normal, 4, 1, "x")), StatusApplied, large)
	wantReply(t, r.ask(numbered(s, Normal, 5, 1, "x")), StatusReplyGone, "")
	if _, err := r.Admit(SessionHeader{ID: s, Sequence: 6, LowestUnacked: 1}, Low); !errors.Is(err, ErrBusy) {
		t.Errorf("a session above its bound: %v", err)
	}
	if _, err := r.Admit(SessionHeader{ID: s, Sequence: 6, LowestUnacked: 5}, Normal); err != nil {
		t.Errorf("a command that settles others: %v", err)
	}
	if len(m.applied) != 6 {
		t.Errorf("%d commands applied, want 6", len(m.applied))
	}
	checkTable(t, r.mu.table)
}

// The table never exceeds its bound, whatever is committed.
func TestSessionTableFull(t *testing.T) {
	m := &scripted{}
	m.apply = func(*ApplyContext, []byte) []byte { m.applied = nil; return make([]byte, MaxReply/2) }
	r := newReplica(t, m)
	refused := map[CommandKind]int{}
	for i := range uint64(3000) {
		c := open("a", 0)
		c.Open = OpenID{1, byte(i), byte(i >> 8)}
		s := r.ask(c)
		if s.Status == StatusSessionsFull {
			refused[KindSessionOpen]++
		}
		if got := r.ask(numbered(SessionID(1+i%2*2), Normal, 1+i%8, 1, "x")); got.Status == StatusSessionsFull {
			refused[KindUser]++
		}
		if i%200 == 7 {
			checkTable(t, r.mu.table)
		}
	}
	for i := 0; refused[KindSessionOpen] < 100; i++ {
		c := open("a", 0)
		c.Open = OpenID{2, byte(i), byte(i >> 8)}
		if r.ask(c).Status == StatusSessionsFull {
			refused[KindSessionOpen]++
		}
	}
	checkTable(t, r.mu.table)
	last := r.mu.table.ids()[len(r.mu.table.sessions)-1]
	for n := uint64(1); n <= 8; n++ {
		if got := r.ask(numbered(last, Normal, n, 1, "x")); got.Status == StatusSessionsFull {
			refused[KindUser]++
		}
	}
	checkTable(t, r.mu.table)
	if refused[KindUser] == 0 {
		t.Error("no command was refused although the table was full")
	}
	if err := r.AdmitOpen(OpenID{3}); !errors.Is(err, ErrSessionsFull) {
		t.Errorf("a full table admits a session: %v", err)
	}
	if err := r.AdmitOpen(OpenID{1}); err != nil {
		t.Errorf("a full table refuses a session that is open: %v", err)
	}
}

// What a session does behind the leader's judgement keeps it: opening again, a keep-alive, any command.
func TestSessionActivity(t *testing.T) {
	for what, c := range map[string]Command{
		"open again": open("a", 1),
		"keep-alive": {Kind: KindSessionKeepAlive, Session: SessionHeader{ID: 1}, Node: "a", Incarnation: 1},
		"command":    numbered(1, Normal, 1, 1, "x"),
		"refused":    numbered(1, Normal, 100, 1, "x"),
	} {
		r := newReplica(t, &scripted{})
		r.ask(open("a", 1))
		r.ask(c)
		r.apply(Command{Kind: KindSessionExpire, Node: "a", Incarnation: 1, Armed: 1})
		r.apply(Command{Kind: KindSessionExpire, Session: SessionHeader{ID: 1}, Armed: 1})
		if n, _ := r.Sessions(); n != 1 {
			t.Errorf("%s: the session expired", what)
		}
		r.apply(Command{Kind: KindSessionExpire, Node: "a", Incarnation: 1, Armed: 2})
		if n, _ := r.Sessions(); n != 0 {
			t.Errorf("%s: the session did not expire", what)
		}
	}
}

// Any goroutine may ask for admission while entries are applied: what it is told was true then.
func TestSessionAdmitBeside(t *testing.T) {
	r := newReplica(t, &scripted{})
	s := r.ask(open("a", 1)).Session
	stop, asked := make(chan struct{}), make(chan int)
	go func() { // ends when stop is closed; the test waits for asked
		n, low := 0, uint64(1)
		for {
			a, err := r.Admit(SessionHeader{ID: s, Sequence: low, LowestUnacked: low}, Normal)
			if err != nil && !errors.Is(err, ErrStale) {
				t.Errorf("number %d: %v", low, err)
			}
			if a.Answered && string(a.Reply) != fmt.Sprintf("x at %d", low+1) {
				t.Errorf("number %d is answered %q", low, a.Reply)
			}
			if a.Answered || err != nil {
				low++
			}
			n++
			r.Sessions()
			if err := r.AdmitOpen(OpenID{2}); err != nil {
				t.Error(err)
			}
			select {
			case <-stop:
				asked <- n
				return
			default:
			}
		}
	}()
	for n := uint64(1); n <= 3000; n++ {
		r.ask(numbered(s, Normal, n, max(n, 8)-7, "x"))
	}
	close(stop)
	if n := <-asked; n == 0 {
		t.Error("nothing was asked")
	}
}
