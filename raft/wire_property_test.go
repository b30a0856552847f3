package raft

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/detector"
)

// packetMaker draws packets from alpha to beta.
type packetMaker struct{ *rand.Rand }

// number draws one of any length on the wire.
func (r packetMaker) number() uint64 { return r.Uint64() >> r.IntN(64) }

func (r packetMaker) bool() bool { return r.IntN(2) == 0 }

func (r packetMaker) text() string {
	return strings.Repeat("näme", r.IntN(5)*r.IntN(5)) + fmt.Sprint(r.IntN(1000))
}

// payload draws bytes, nil for none.
func (r packetMaker) payload() []byte {
	n := r.IntN(4) * r.IntN(300)
	if n == 0 {
		return nil
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func (r packetMaker) id() EntryID { return EntryID{Term: Term(r.number()), Index: Index(r.number())} }

func (r packetMaker) server() ServerID { return ServerID{Name: r.text(), Node: r.text()} }
func (r packetMaker) here() ServerID   { return ServerID{Name: r.text(), Node: beta} }
func (r packetMaker) there() ServerID  { return ServerID{Name: r.text(), Node: alpha} }

func (r packetMaker) member() core.Member {
	return core.Member{Identity: core.Identity{ID: r.server(), UID: core.UID(fmt.Sprint("uid-", r.Uint32())), Incarnation: core.Incarnation(r.number() | 1)},
		Membership: core.Membership(1 + r.IntN(3)), Target: Index(r.number())}
}

func (r packetMaker) configuration() core.Configuration {
	c := core.Configuration{Epoch: r.number()}
	c.Cluster[r.IntN(16)] = byte(r.Uint32())
	for k := range r.IntN(6) {
		m := r.member()
		m.ID.Node = fmt.Sprintf("n%d", k)
		c.Members = append(c.Members, m)
	}
	return c
}

// makers draw each kind of packet.
var makers = map[string]func(packetMaker) Packet{
	"message": func(r packetMaker) Packet {
		a := core.Append{Prev: EntryID{Term: Term(r.number()), Index: Index(r.number() >> 1)}, Commit: Index(r.number()), Probe: r.bool()}
		for k := range r.IntN(5) {
			a.Entries = append(a.Entries, Entry{Index: a.Prev.Index + Index(k) + 1, Term: Term(r.number()), Type: byte(r.Uint32()),
				Data: append([]byte{}, r.payload()...)})
		}
		return newRaftPacket(core.Head{Cluster: core.ClusterID{byte(r.Uint32())}, Epoch: r.number(), From: r.there(), To: r.here(),
			FromInc: core.Incarnation(r.number()), ToInc: core.Incarnation(r.number()), Term: Term(r.number())}, a)
	},
	"heartbeat": func(r packetMaker) Packet {
		h := &detector.Heartbeat{From: alpha, To: beta, Incarnation: r.number(), Seq: r.number(), Stamp: int64(r.number()), Answer: r.bool(),
			PeerIncarnation: r.number(), Echo: r.number(), EchoStamp: int64(r.number()), EchoDelay: int64(r.number()),
			NoticeAck: r.number(), NoticeFirst: r.number()}
		for range r.IntN(4) {
			h.Notices = append(h.Notices, append([]byte{}, r.payload()...))
		}
		return h
	},
	"hold": func(r packetMaker) Packet {
		return &snapshotHold{to: r.here(), toInc: core.Incarnation(r.number()), from: r.there(), at: Index(r.number()),
			left: time.Duration(r.IntN(1<<31)) * time.Millisecond}
	},
	"beliefs": func(r packetMaker) Packet {
		p := &beliefs{list: []belief{}}
		for range r.IntN(beliefPage + 1) {
			p.list = append(p.list, belief{r.here(), Term(r.number())})
		}
		return p
	},
	"request": func(r packetMaker) Packet {
		p := &request{id: r.number(), to: r.here()}
		p.call = r.operation(p.to.Name)
		return p
	},
	"withdrawal": func(r packetMaker) Packet { return &withdrawal{id: r.number()} },
	"response":   func(r packetMaker) Packet { return &response{id: r.number(), answer: r.answer()} },
	"part": func(r packetMaker) Packet {
		p := &snapshotPart{to: r.here(), toInc: core.Incarnation(r.number()), transfer: r.number()}
		switch r.IntN(5) {
		case 0:
			p.header = append([]byte("h"), r.payload()...)
		case 1:
			for range 1 + r.IntN(5) {
				p.live = append(p.live, engine.Entry{Index: Index(r.number()), Term: Term(r.number()), Type: byte(r.Uint32()), Data: append([]byte{}, r.payload()...)})
				p.sums = append(p.sums, r.Uint32())
			}
		case 2:
			p.chunk, p.data, p.sum = r.IntN(1<<30), r.payload(), engine.ChunkSum{Seed: r.number(), Hash: r.number()}
		case 3:
			p.end = true
		case 4:
			p.failed = true
		}
		return p
	},
	"reply": func(r packetMaker) Packet {
		return &snapshotReply{to: r.here(), transfer: r.number(), busy: r.bool(), have: r.bool(), next: r.IntN(1 << 30),
			parts: r.IntN(1 << 30), done: r.bool(), failed: r.bool(), alive: r.bool()}
	},
	"machine message": func(r packetMaker) Packet {
		m := &machineMessage{from: r.there(), name: r.text(), event: r.bool(), index: Index(r.number()), data: r.payload()}
		if r.bool() {
			m.session = sessionKey{core.ClusterID{15: 1}, SessionID(r.number())}
		}
		return m
	},
}

func (r packetMaker) operation(name string) any {
	switch r.IntN(9) {
	case 0:
		c := Command{Kind: KindUser, Priority: Priority(r.IntN(2)), Reply: ReplyFromLeader, Payload: r.payload()}
		if c.Payload == nil {
			c.Payload = []byte{}
		}
		if r.bool() {
			c.Session = SessionHeader{ID: SessionID(r.number() | 1), Sequence: 9, LowestUnacked: 3}
			c.Reply, c.Origin = ReplyFromLocal, Origin{Node: "x", Request: r.number()}
		}
		data, _ := AppendCommand(nil, &c)
		return &opCommand{ticket{kind: c.Kind, data: data, session: c.Session, priority: c.Priority, elsewhere: c.Reply > ReplyFromLeader}}
	case 1:
		return &opQuery{name: r.text(), arg: r.payload(), level: queryLevel(r.IntN(3)), at: r.id()}
	case 2:
		return &opChange{core.ChangeMembership{Change: core.Change(r.Uint32()), Member: r.member(), Expected: Index(r.number())}}
	case 3:
		return &opTransfer{to: r.server()}
	case 4:
		return &opAux{command: r.payload(), cast: r.bool(), consistent: r.bool()}
	case 5:
		return &opStart{config: ServerConfig{Name: name, Cluster: r.text(), System: r.text(), UID: core.UID(r.text()), Machine: r.text(),
			InitialVersion: r.number(), initial: r.configuration(), inc: core.Incarnation(r.number() | 1),
			Options: ServerOptions{TickInterval: time.Duration(r.Uint32()) * time.Millisecond, WindowEntries: r.IntN(maxCount), RecoveryInterval: r.IntN(3) - 1}}}
	case 6:
		return &opShrink{epoch: r.number()}
	case 7:
		return &opReplace{replaces: core.Incarnation(r.number()),
			by: core.Identity{ID: r.there(), UID: core.UID(r.text()), Incarnation: core.Incarnation(r.number())}}
	}
	return &opTrigger{unlessLed: r.bool()}
}

func (r packetMaker) answer() answer {
	a := answer{reply: r.payload(), status: ReplyStatus(r.IntN(8)), index: Index(r.number()), term: Term(r.number()),
		session: SessionID(r.number()), leader: r.server()}
	if r.bool() {
		a.err = &ProposalError{Outcome: Outcome(r.IntN(2)), Retriable: r.bool(), Leader: r.server(), Err: &remoteError{text: r.text()}}
	}
	switch r.IntN(5) {
	case 0:
		a.any = r.configuration()
	case 1:
		var list []MemberInfo
		for range r.IntN(4) {
			list = append(list, MemberInfo{Member: r.member(), Leader: r.bool(), Next: Index(r.number()), Match: Index(r.number()),
				Commit: Index(r.number()), Mode: r.text()})
		}
		a.any = list
	case 2:
		a.any = core.Identity{ID: r.there(), UID: core.UID(r.text()), Incarnation: core.Incarnation(r.number())}
	case 3:
		a.any = r.object(3)
	}
	return a
}

func (r packetMaker) object(depth int) map[string]any {
	object := make(map[string]any)
	for range r.IntN(6) {
		object[r.text()] = r.value(depth)
	}
	return object
}

func (r packetMaker) value(depth int) any {
	if depth > 0 && r.IntN(3) == 0 {
		if r.bool() {
			return r.object(depth - 1)
		}
		list := []any{}
		for range r.IntN(4) {
			list = append(list, r.value(depth-1))
		}
		return list
	}
	return []any{nil, true, false, int(r.number()), -int(r.number() >> 1), r.number(), r.NormFloat64(), r.text(), r.id(),
		r.configuration().Members}[r.IntN(10)]
}

// TestPacketsRoundTrip: whatever a packet says, it says after its way.
func TestPacketsRoundTrip(t *testing.T) {
	for name, make := range makers {
		for seed := range uint64(2000) {
			want := make(packetMaker{rand.New(rand.NewPCG(seed, 0))})
			b, err := packetCodec{}.Append(nil, want)
			if err != nil {
				t.Fatalf("%s, seed %d: %v", name, seed, err)
			}
			got, err := packetCodec{}.Decode(bytes.Clone(b), alpha, beta)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%s, seed %d:\n%+v, %v, want\n%+v", name, seed, got, err, want)
			}
		}
	}
}
