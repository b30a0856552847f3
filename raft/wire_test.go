package raft

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/detector"
)

// The packets of this file go from alpha to beta.
const (
	alpha NodeID = "alpha"
	beta  NodeID = "beta"
)

// namedPacket is one of each kind and variant.
type namedPacket struct {
	name   string
	packet Packet
}

func wirePackets(t testing.TB) []namedPacket {
	here, there := ServerID{Name: "kv", Node: beta}, ServerID{Name: "kv", Node: alpha}
	third := ServerID{Name: "kv-3", Node: "gamma"}
	list := []namedPacket{
		{"message", newRaftPacket(core.Head{Cluster: core.ClusterID{7, 15: 9}, Epoch: 1, From: there, To: here, FromInc: 3, ToInc: 1 << 63, Term: 9},
			core.Append{Prev: EntryID{Term: 9, Index: 299}, Commit: 298, Entries: []Entry{{Index: 300, Term: 9, Type: 16, Data: []byte("x")}}})},
		{"heartbeat", &detector.Heartbeat{From: alpha, To: beta, Incarnation: 5, Seq: 1 << 20, Stamp: 1 << 40, Answer: true, PeerIncarnation: 6,
			Echo: 77, EchoStamp: 1 << 39, EchoDelay: 12345, NoticeAck: 4, NoticeFirst: 9, Notices: [][]byte{[]byte("one"), {}}}},
		{"beliefs", &beliefs{list: []belief{{here, 9}, {ServerID{Name: "other", Node: beta}, 1 << 40}}}},
		{"withdrawal", &withdrawal{id: 5<<40 | 17}},
		{"message to a mailbox", &machineMessage{from: there, name: "box", index: 300, data: []byte("hello")}},
		{"message to a session", &machineMessage{from: there, session: sessionKey{core.ClusterID{1}, 77}, event: true, index: 301}},
		{"snapshot header", &snapshotPart{to: here, toInc: 7, transfer: 11, header: []byte("header")}},
		{"snapshot live", &snapshotPart{to: here, toInc: 7, transfer: 11, sums: []uint32{1, 1 << 31}, live: []engine.Entry{
			{Index: 9, Term: 1, Type: 16, Data: []byte("live")}, {Index: 1 << 40, Term: 2, Type: 17, Data: []byte{}}}}},
		{"snapshot chunk", &snapshotPart{to: here, toInc: 7, transfer: 11, chunk: 300, data: []byte("chunk"), sum: engine.ChunkSum{Seed: 1 << 63, Hash: 2}}},
		{"snapshot end", &snapshotPart{to: here, toInc: 7, transfer: 11, end: true}},
		{"snapshot failed", &snapshotPart{to: here, toInc: 7, transfer: 11, failed: true}},
		{"snapshot reply", &snapshotReply{to: here, transfer: 11, have: true, next: 300, parts: 4}},
		{"snapshot alive", &snapshotReply{to: here, transfer: 11, alive: true}},
		{"snapshot hold", &snapshotHold{to: here, toInc: 7, from: there, at: 1 << 40, left: time.Minute}},
		{"snapshot done", &snapshotReply{to: here, transfer: 11, done: true, failed: true}},
	}
	for _, op := range wireOperations(t, here, third) {
		list = append(list, namedPacket{"request " + op.name, &request{id: 5<<40 | 3, to: here, call: op.call}})
	}
	for _, a := range wireAnswers(there, third) {
		list = append(list, namedPacket{"response " + a.name, &response{id: 6<<40 | 9, answer: a.answer}})
	}
	return list
}

type namedOperation struct {
	name string
	call any
}

func wireOperations(t testing.TB, here, third ServerID) []namedOperation {
	command := func(c Command) *opCommand {
		data, err := AppendCommand(nil, &c)
		if err != nil {
			t.Fatal(err)
		}
		return &opCommand{ticket{kind: c.Kind, data: data, session: c.Session, open: c.Open, priority: c.Priority, elsewhere: c.Reply > ReplyFromLeader}}
	}
	member := core.Member{Identity: core.Identity{ID: third, UID: "uid-3", Incarnation: 1 << 50}, Membership: core.Promotable}
	initial := core.Configuration{Cluster: core.ClusterID{1, 2}, Epoch: 1, Members: []core.Member{
		{Identity: core.Identity{ID: here, UID: "uid-1", Incarnation: 7}, Membership: core.Voter}}}
	return []namedOperation{
		{"command", command(Command{Kind: KindUser, Reply: ReplyFromLeader, Payload: []byte("payload")})},
		{"command of a session", command(Command{Kind: KindUser, Priority: Low, Reply: ReplyFromMember, ReplyNode: "gamma",
			Origin: Origin{Node: alpha, Request: 12}, Session: SessionHeader{ID: 7, Sequence: 1000, LowestUnacked: 999}, Payload: []byte("p")})},
		{"command opening", command(Command{Kind: KindSessionOpen, Open: OpenID{1, 15: 2}, Window: 64, Ordered: true, Node: alpha, Incarnation: 5})},
		{"command deleting", &opCommand{ticket{kind: CommandKind(core.KindDelete)}}},
		{"query", &opQuery{name: "sum", arg: []byte("arg"), level: queryConsistent, at: EntryID{Term: 3, Index: 1 << 20}}},
		{"members", &opMembers{}},
		{"change", &opChange{core.ChangeMembership{Change: core.AddMember, Member: member, Expected: 400}}},
		{"transfer", &opTransfer{to: third}}, {"trigger", &opTrigger{unlessLed: true}},
		{"aux", &opAux{command: []byte("aux"), consistent: true}}, {"cast", &opAux{cast: true}},
		{"progress", &opProgress{}}, {"overview", &opOverview{}}, {"identity", &opIdentity{}},
		{"start", &opStart{config: ServerConfig{Name: here.Name, Cluster: "c", System: "fast", UID: "uid-1", Machine: "m", InitialVersion: 2,
			Options: ServerOptions{TickInterval: time.Second, WindowBytes: 1 << 20, RecoveryInterval: -1}, initial: initial, inc: 7}}},
		{"undo", &opStart{config: ServerConfig{Name: here.Name, inc: 7}, undo: true}},
		{"shrink", &opShrink{epoch: 1<<63 | 1}},
		{"of later code", &opUnknown{number: 200, rest: []byte("later")}},
		{"command of later code", &opUnknown{number: wireCommand, rest: []byte{200, 1, 0}}},
		{"server start", &opServer{what: callStart, config: ServerConfig{Name: here.Name, Cluster: "c", Machine: "m", InitialVersion: 2}}},
		{"server restart", &opServer{what: callRestart, again: RestartOptions{Cluster: "d", Options: &ServerOptions{WindowEntries: 9}}}},
		{"server stop", &opServer{what: callStop}}, {"server delete", &opServer{what: callDelete}},
		{"replace", &opReplace{replaces: 1 << 50, by: core.Identity{ID: ServerID{Name: "kv", Node: alpha}, UID: "uid-9", Incarnation: 1<<63 | 1}}},
	}
}

type namedAnswer struct {
	name   string
	answer answer
}

func wireAnswers(there, third ServerID) []namedAnswer {
	configuration := core.Configuration{Cluster: core.ClusterID{1, 2}, Epoch: 1, Members: []core.Member{
		{Identity: core.Identity{ID: there, UID: "uid-1", Incarnation: 7}, Membership: core.Voter},
		{Identity: core.Identity{ID: third, UID: "uid-3", Incarnation: 9}, Membership: core.Promotable, Target: 300}}}
	return []namedAnswer{
		{"reply", answer{reply: []byte("reply"), index: 300, term: 9, leader: there}},
		{"empty reply", answer{reply: []byte{}, index: 300, term: 9, leader: there}},
		{"status", answer{status: StatusSessionExpired, session: 7, leader: third}},
		{"nothing", answer{}},
		{"error", answer{leader: third, err: &ProposalError{Retriable: true, Leader: third,
			Err: &remoteError{text: "core: not the leader", codes: []uint64{64}}}}},
		{"error of no leader", answer{leader: third, err: &ProposalError{Outcome: MaybeApplied,
			Err: &remoteError{text: "of later code", codes: []uint64{2, 64, 5000}}}}},
		{"error without a cause", answer{err: &ProposalError{}}},
		{"configuration", answer{any: configuration, index: 12, leader: there}},
		{"progress", answer{leader: there, any: []MemberInfo{{Member: configuration.Members[0], Leader: true, Next: 301, Match: 300, Commit: 299},
			{Member: configuration.Members[1], Next: 200, Match: 199, Commit: 198, Mode: "probe"}}}},
		{"identity", answer{any: configuration.Members[0].Identity}},
		{"overview", answer{any: map[string]any{"server": "kv@alpha", "term": uint64(9), "last": EntryID{Term: 9, Index: 300}, "sessions": 3,
			"negative": -300, "configuration": configuration.Members, "yes": true, "no": false, "half": 0.5, "nothing": nil,
			"machine": map[string]any{"list": []any{1, "two", []any{}}}}}},
	}
}

// goldenPackets are the bytes of wirePackets, which were written once; new ones stand behind the old.
func goldenPackets(t testing.TB) map[string][]byte {
	t.Helper()
	var made bytes.Buffer
	for _, p := range wirePackets(t) {
		b, err := packetCodec{}.Append(nil, p.packet)
		if err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		fmt.Fprintf(&made, "%x %s\n", b, p.name)
	}
	list := make(map[string][]byte)
	for line := range bytes.Lines(golden(t, "packets-v1.txt", made.Bytes())) {
		digits, name, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		list[name] = b
	}
	return list
}

// TestGoldenPackets: each packet has the bytes that it always had, and they mean what they always meant.
func TestGoldenPackets(t *testing.T) {
	list := goldenPackets(t)
	for _, p := range wirePackets(t) {
		b, err := packetCodec{}.Append([]byte("before"), p.packet)
		if want := append([]byte("before"), list[p.name]...); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s: %x, %v, want %x", p.name, b, err, want)
		}
		got, err := packetCodec{}.Decode(bytes.Clone(list[p.name]), alpha, beta)
		if err != nil || !reflect.DeepEqual(got, p.packet) {
			t.Errorf("%s:\n%+v, %v, want\n%+v", p.name, got, err, p.packet)
		}
		delete(list, p.name)
	}
	if len(list) > 0 {
		t.Errorf("golden packets that nothing has made: %v", list)
	}
}

// openEnded reports whether a packet ends with a payload that may have any length, and where that begins at the latest.
func openEnded(p Packet) (payload int, open bool) {
	switch p := p.(type) {
	case *machineMessage:
		return len(p.data), true
	case *snapshotPart:
		return len(p.header) + len(p.data), !p.end && !p.failed && p.live == nil
	case *response:
		return len(p.answer.reply), p.answer.reply != nil
	case *request:
		switch c := p.call.(type) {
		case *opCommand:
			if c.kind == KindUser {
				k, err := DecodeCommand(c.kind, c.data)
				return len(k.Payload), err == nil
			}
		case *opQuery:
			return len(c.arg), true
		case *opAux:
			return len(c.command), true
		case *opUnknown:
			return len(c.rest), true
		}
	}
	return 0, false
}

// TestDamagedPackets: every prefix is refused that ends before the payload does, so is a byte behind the end, and an unknown kind
// is told apart.
func TestDamagedPackets(t *testing.T) {
	list := goldenPackets(t)
	for _, p := range wirePackets(t) {
		b := list[p.name]
		payload, open := openEnded(p.packet)
		for n := range len(b) - payload {
			q, err := packetCodec{}.Decode(bytes.Clone(b[:n]), alpha, beta)
			if !errors.Is(err, ErrMalformed) || q != nil {
				t.Errorf("%s cut to %d of %d bytes: %+v, %v", p.name, n, len(b), q, err)
			}
		}
		if _, err := (packetCodec{}).Decode(append(bytes.Clone(b), 0), alpha, beta); !open && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s with a byte more: %v", p.name, err)
		}
		unknown := append([]byte{200}, b[1:]...)
		if _, err := (packetCodec{}).Decode(unknown, alpha, beta); !errors.Is(err, ErrUnknownFormat) || errors.Is(err, ErrMalformed) {
			t.Errorf("%s of kind 200: %v", p.name, err)
		}
	}
	newer := bytes.Clone(list["message"])
	newer[1]++
	if _, err := (packetCodec{}).Decode(newer, alpha, beta); !errors.Is(err, ErrUnknownFormat) || errors.Is(err, ErrMalformed) {
		t.Errorf("a message of a newer format: %v", err)
	}
}

// TestForeignNodes: whatever ends a connection has, the nodes of a packet are those.
func TestForeignNodes(t *testing.T) {
	for name, b := range goldenPackets(t) {
		p, err := packetCodec{}.Decode(b, "from", "to")
		if err != nil {
			t.Fatal(name, err)
		}
		var from, to NodeID = "from", "to"
		switch p := p.(type) {
		case *raftPacket:
			from, to = p.Message.From.Node, p.Message.To.Node
		case *detector.Heartbeat:
			from, to = p.From, p.To
		case *beliefs:
			to = p.list[0].leader.Node
		case *request:
			to = p.to.Node
		case *snapshotPart:
			to = p.to.Node
		case *snapshotReply:
			to = p.to.Node
		case *snapshotHold:
			from, to = p.from.Node, p.to.Node
		case *machineMessage:
			from = p.from.Node
		case *response:
			if id, ok := p.answer.any.(core.Identity); ok {
				from = id.ID.Node
			}
		}
		if from != "from" || to != "to" {
			t.Errorf("%s from %q to %q", name, from, to)
		}
	}
}

// TestStayingPackets: what belongs to its process, or has no meaning elsewhere, gets no bytes.
func TestStayingPackets(t *testing.T) {
	to := ServerID{Name: "kv", Node: beta}
	for name, p := range map[string]Packet{
		"nothing":             nil,
		"a query's function":  &request{to: to, call: &opQuery{f: func(Machine) (any, error) { return nil, nil }}},
		"another operation":   &request{to: to, call: 7},
		"a start of another":  &request{to: to, call: &opStart{config: ServerConfig{Name: "other", inc: 1}}},
		"a missing checksum":  &snapshotPart{to: to, live: make([]engine.Entry, 2), sums: make([]uint32, 1)},
		"too many live ones":  &snapshotPart{to: to, live: make([]engine.Entry, 8193), sums: make([]uint32, 8193)},
		"a foreign interface": interface{ Packet }(nil),
	} {
		if b, err := (packetCodec{}).Append([]byte("before"), p); !errors.Is(err, ErrMalformed) || string(b) != "before" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}
