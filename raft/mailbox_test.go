package raft

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/transport"
)

// heldServer is the server of a cluster of one whose mailbox is held: what comes in waits until free is called.
func heldServer(t *testing.T, o NodeOptions) (s *server, free func()) {
	t.Helper()
	began := time.Now()
	net, err := transport.New[Packet](transport.Options{Now: func() int64 { return int64(time.Since(began)) }})
	if err != nil {
		t.Fatal(err)
	}
	o.ID, o.Dir, o.Network = "n", t.TempDir(), InProcess(net)
	if o.Engine.MemoryBytes == 0 {
		o.Engine.MemoryBytes = 64 << 20
	}
	o.Engine.WALFileBytes, o.Engine.Strategy = 1<<20, engine.StrategyNone
	o.Machines = map[string]func() Machine{"m": func() Machine { return &scripted{} }}
	n, err := OpenNode(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if _, err := n.StartCluster(ctx, ClusterConfig{Name: "s", Machine: "m", Members: []ServerID{{Name: "s", Node: "n"}}}); err != nil {
		t.Fatal(err)
	}
	s = n.server(ServerID{Name: "s", Node: "n"})
	held, gate := make(chan struct{}), make(chan struct{})
	s.mail.do(func() { close(held); <-gate }, nil)
	<-held
	freed := false
	free = func() {
		if !freed {
			freed = true
			close(gate)
		}
	}
	t.Cleanup(func() {
		free()
		if err := errors.Join(n.Close(context.Background()), net.Close()); err != nil {
			t.Error(err)
		}
	})
	return s, free
}

// Nobody who puts something into a full mailbox waits: peers' messages are dropped, commands refused, what is durable is
// noted once.
func TestMailboxBounds(t *testing.T) {
	s, free := heldServer(t, NodeOptions{MailboxBytes: 10_000})
	peer := ServerID{Name: "s", Node: "other"}
	message := func() *raftPacket {
		return newRaftPacket(core.Head{From: peer, To: s.id}, core.Append{Entries: []engine.Entry{{Data: make([]byte, 1000)}}})
	}
	size := message().Size()
	const sent = 100
	for range sent {
		s.node.receiveRaft(message())
	}
	taken := 10_000 / size
	if m, err := s.node.KeyMetrics("s"); err != nil || m.Dropped != uint64(sent-taken) {
		t.Errorf("%d of %d messages of %d bytes were dropped, %v", m.Dropped, sent, size, err)
	}
	answers := make(chan answer, 100)
	command := func(bytes int) {
		s.perform(&opCommand{ticket{kind: KindUser, data: make([]byte, bytes)}}, func(a answer) { answers <- a })
	}
	for range 10 {
		command(1000)
	}
	for k := range 10 {
		select {
		case a := <-answers:
			if !errors.Is(a.err, ErrBusy) || a.err.Outcome != NotApplied || !a.err.Retriable {
				t.Errorf("command %d: %v", k, a.err)
			}
		default: // some fit
			if k < 8 {
				t.Errorf("only %d of 10 commands were refused", k)
			}
		}
	}
	for range 1000 {
		s.mail.Written(engine.Written{})
		s.mail.Ready(s.log)
	}
	s.mail.mu.Lock()
	waiting, bytes := len(s.mail.in.messages)+len(s.mail.in.commands)+len(s.mail.in.inputs)+len(s.mail.in.tasks), s.mail.bytes
	s.mail.mu.Unlock()
	if waiting > taken+1 || bytes > 10_000 {
		t.Errorf("%d things of %d bytes wait", waiting, bytes)
	}
	free()
}

// A mailbox that is empty takes one thing of any size: else a message above the bound would never arrive.
func TestMailboxTakesOne(t *testing.T) {
	s, free := heldServer(t, NodeOptions{MailboxBytes: 100})
	s.node.receiveRaft(newRaftPacket(core.Head{To: s.id}, core.Append{Entries: []engine.Entry{{Data: make([]byte, 1000)}}}))
	if m, err := s.node.KeyMetrics("s"); err != nil || m.Dropped != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	free()
}

// While a leader's commands are not applied others are refused beyond the bound, and admitted again when they are.
func TestUnappliedBound(t *testing.T) {
	gate := make(chan struct{})
	s, free := heldServer(t, NodeOptions{UnappliedBytes: 5000})
	free()
	blocked := make(chan struct{})
	s.applies.do(func() error { close(blocked); <-gate; return nil })
	<-blocked
	answers := make(chan answer, 100)
	busy := 0
	for range 10 {
		data, err := AppendCommand(nil, &Command{Kind: KindUser, Payload: make([]byte, 1000)})
		if err != nil {
			t.Fatal(err)
		}
		s.perform(&opCommand{ticket{kind: KindUser, data: data}}, func(a answer) { answers <- a })
		turned := make(chan struct{})
		s.mail.do(func() { close(turned) }, nil)
		<-turned
		turned = make(chan struct{})
		s.mail.do(func() { close(turned) }, nil) // commands come last in a turn
		<-turned
		select {
		case a := <-answers:
			if !errors.Is(a.err, ErrBusy) || a.err.Outcome != NotApplied {
				t.Error(a.err)
			}
			busy++
		default:
		}
	}
	if busy != 6 {
		t.Errorf("%d of 10 commands were refused", busy)
	}
	close(gate)
	for range 10 - busy {
		if a := <-answers; a.err != nil {
			t.Error(a.err)
		}
	}
}

// Commands that come at once are refused, to be sent again, when the log does not take so many: its server goes on.
func TestBatchTooLarge(t *testing.T) {
	s, free := heldServer(t, NodeOptions{Engine: engine.Options{MemoryBytes: 4 << 20, LogMemoryBytes: 1 << 20}})
	size := s.node.Engine().MaxEntryBytes() - MaxCommandHeader
	const commands = 8
	if commands*size < 512<<10 {
		t.Fatalf("%d bytes are not too many", commands*size)
	}
	ends := make(chan error, commands)
	for range commands {
		go func() {
			_, err := s.node.Process(t.Context(), s.id, make([]byte, size), ProcessOptions{})
			ends <- err
		}()
	}
	for waiting := 0; waiting < commands; {
		s.mail.mu.Lock()
		waiting = 0
		if s.mail.in != nil {
			waiting = len(s.mail.in.commands)
		}
		s.mail.mu.Unlock()
		runtime.Gosched()
	}
	free()
	for range commands {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
	if err := s.stopError(); err != nil {
		t.Error(err)
	}
}

// An acknowledgement that commits nothing yet causes no turn; whatever else comes does, and takes it along.
func TestAcknowledgementsWait(t *testing.T) {
	const term = 3
	packet := func(term Term, b core.Body) func(*mailbox) {
		return func(m *mailbox) { m.receive(newRaftPacket(core.Head{Term: term}, b)) }
	}
	ack, written := packet(term, core.AppendReply{}), func(m *mailbox) { m.Written(engine.Written{}) }
	for name, x := range map[string]struct {
		slack uint8
		puts  []func(*mailbox)
		runs  bool
	}{
		"one of two":     {1, []func(*mailbox){ack}, false},
		"both":           {1, []func(*mailbox){ack, ack}, true},
		"the device's":   {1, []func(*mailbox){written}, false},
		"device and one": {1, []func(*mailbox){written, ack}, true},
		"two of three":   {2, []func(*mailbox){ack, written}, false},
		"the last":       {0, []func(*mailbox){ack}, true},
		"an older term":  {1, []func(*mailbox){packet(term-1, core.AppendReply{})}, false},
		"a newer term":   {1, []func(*mailbox){packet(term+1, core.AppendReply{})}, true},
		"a rejection":    {1, []func(*mailbox){packet(term, core.AppendReply{Rejected: EntryID{Index: 1}})}, true},
		"another answer": {1, []func(*mailbox){packet(term, core.RoundReply{})}, true},
		"an input":       {1, []func(*mailbox){ack, func(m *mailbox) { m.put(core.LogReady{}) }}, true},
		"a timer":        {1, []func(*mailbox){ack, (*mailbox).ring}, true},
		"a cursor": {1, []func(*mailbox){func(m *mailbox) {
			m.server.cursorWaits.Store(true)
			m.Written(engine.Written{})
		}}, true},
	} {
		s := &server{node: &Node{opts: NodeOptions{MailboxBytes: 1 << 20}}}
		s.node.queue = &runQueue{node: s.node} // without workers
		m := &s.mail
		m.server, m.slack = s, x.slack
		s.figures.term.Store(term)
		for _, put := range x.puts {
			put(m)
		}
		if m.running != x.runs || m.in == nil {
			t.Errorf("%s: a turn is due: %v, %v is wanted", name, m.running, x.runs)
		}
	}
}
