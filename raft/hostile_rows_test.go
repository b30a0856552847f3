package raft_test

import (
	"crypto/tls"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/transport/tcp"
)

// hostileRow is a kind of bad input from the network.
type hostileRow struct {
	name string
	// count is what counts it, log what the line in the log says; "" when it is none of the transport's business.
	count func(*hostileHouse) uint64
	log   string
	do    func(*hostileHouse, *hostile)
	// slow ones go on until the handshake's time is over, all at once.
	slow bool
	// only says where it is tried: with TLS, without, or "" for both.
	only string
}

func tallied(of func(tcp.Stats) uint64) func(*hostileHouse) uint64 {
	return func(h *hostileHouse) uint64 { return of(h.stats(0)) }
}

// What a transport counts.
var (
	cut       = tallied(func(s tcp.Stats) uint64 { return s.Cut })
	damaged   = tallied(func(s tcp.Stats) uint64 { return s.Damaged })
	tooLong   = tallied(func(s tcp.Stats) uint64 { return s.TooLong })
	outOfTurn = tallied(func(s tcp.Stats) uint64 { return s.OutOfTurn })
	undecoded = tallied(func(s tcp.Stats) uint64 { return s.Undecoded })
	malformed = tallied(func(s tcp.Stats) uint64 { return s.Malformed })
	identity  = tallied(func(s tcp.Stats) uint64 { return s.Identity })
	timedOut  = tallied(func(s tcp.Stats) uint64 { return s.TimedOut })
)

// Classes of frames, as the wire has them.
const (
	classControl = iota
	classLog
	classSnapshot
)

const (
	onlyTLS   = "tls"
	onlyPlain = "plain"
)

// hostileRows are all kinds. What frames carry would change the state if it were believed: see forged.
var hostileRows = []hostileRow{
	{name: "frames cut", count: cut, log: "unexpected EOF", do: func(h *hostileHouse, p *hostile) {
		j := p.join()
		b := j.frame(classLog, h.forged)
		j.leave(b[:1+rand.IntN(len(b)-1)])
	}},
	{name: "frames flipped", count: damaged, log: "bad checksum", do: func(h *hostileHouse, p *hostile) {
		j := p.join()
		b := j.frame(classLog, h.forged)
		bit := 32 + rand.IntN(8*len(b)-32) // of all but the length
		b[bit/8] ^= 1 << (bit % 8)
		j.end(b)
	}},
	{name: "frames oversized", count: tooLong, log: "frame longer than allowed", do: func(h *hostileHouse, p *hostile) {
		j := p.join()
		b := j.frame(classLog, h.forged)
		binary.LittleEndian.PutUint32(b, 32<<20+1+rand.Uint32N(1<<31))
		j.end(b)
	}},
	{name: "frames replayed", count: outOfTurn, log: "frame out of its turn", do: func(h *hostileHouse, p *hostile) {
		j := p.join()
		b := j.frame(classLog, h.harmless)
		j.end(b, b)
	}},
	{name: "a connection replayed", count: malformed, log: "malformed handshake", do: func(h *hostileHouse, p *hostile) {
		j := p.join()
		b := append(j.goOn, j.frame(classLog, h.forged)...)
		_ = j.bulk.Close()
		p.gone(j.main)
		p.send(p.greeted(), b)
	}},
	{name: "frames of another connection", count: damaged, log: "bad checksum", do: func(h *hostileHouse, p *hostile) {
		old := p.join()
		b := old.frame(classLog, h.forged)
		old.leave()
		p.join().end(b)
	}},
	{name: "frames out of order", count: outOfTurn, log: "frame out of its turn", do: func(h *hostileHouse, p *hostile) {
		j := p.join()
		first := j.frame(classLog, h.harmless)
		j.end(j.frame(classLog, h.forged), first)
	}},
	{name: "frames of a class that travels elsewhere", count: tallied(func(s tcp.Stats) uint64 { return s.WrongClass }), log: "frame of a class",
		do: func(h *hostileHouse, p *hostile) {
			j := p.join()
			j.end(j.frame([]byte{classSnapshot, 3, 8, 255}[rand.IntN(4)], h.forged))
		}},
	{name: "frames without a packet", count: undecoded, log: "frame without a message", do: func(h *hostileHouse, p *hostile) {
		j := p.join()
		j.end(j.frame(classControl, h.bad[rand.IntN(len(h.bad))]))
	}},

	{name: "from another cluster", count: tallied(func(s tcp.Stats) uint64 { return s.Cookie }), log: "peer of another service",
		do: greets(func(g *greeting) { g.cookie += "x" })},
	{name: "a message from another cluster", count: refusedMessages, do: func(h *hostileHouse, p *hostile) {
		j := p.join()
		j.leave(j.frame(classLog, h.message(0)))
	}},
	{name: "to another node id", count: tallied(func(s tcp.Stats) uint64 { return s.Receiver }), log: "peer wants another node",
		do: greets(func(g *greeting) { g.to = "n1" })},
	{name: "from this node's id", count: identity, log: "peer is not who it says", do: greets(func(g *greeting) { g.from = "n0" })},
	{name: "from another node's id", only: onlyTLS, count: identity, log: "peer is not who it says",
		do: greets(func(g *greeting) { g.from = "n1" })},
	{name: "from an endless id", count: malformed, log: "malformed handshake",
		do: greets(func(g *greeting) { g.from = string(make([]byte, tcp.MaxName+1)) })},
	{name: "an old incarnation", count: tallied(func(s tcp.Stats) uint64 { return s.Outdated }), log: "an earlier life of its node",
		do: greets(func(g *greeting) { g.incarnation-- })},
	{name: "a message to an old incarnation", count: refusedMessages, do: func(h *hostileHouse, p *hostile) {
		j := p.join()
		j.leave(j.frame(classLog, h.message(-1)))
	}},
	{name: "another version", count: tallied(func(s tcp.Stats) uint64 { return s.Version }), log: "peer speaks another version",
		do: greets(func(g *greeting) { g.version++ })},
	{name: "another protocol", count: malformed, log: "malformed handshake", do: func(_ *hostileHouse, p *hostile) {
		p.send(p.reach(), []byte("GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n"))
	}},
	{name: "a bulk connection alone", count: malformed, log: "malformed handshake", do: greets(func(g *greeting) { g.part = 1 })},
	{name: "a handshake cut", count: cut, log: "unexpected EOF", do: func(_ *hostileHouse, p *hostile) {
		g, c := p.greeting(), p.reach()
		_, _ = c.Write(g.bytes()[:rand.IntN(50)])
		_ = c.Close()
	}},

	{name: "without TLS to a TLS port", only: onlyTLS, count: identity, log: "peer is not who it says",
		do: func(_ *hostileHouse, p *hostile) {
			g := p.greeting()
			p.send(p.raw(), g.bytes())
		}},
	{name: "with TLS to a port without", only: onlyPlain, count: malformed, log: "malformed handshake", do: func(_ *hostileHouse, p *hostile) {
		c := p.raw()
		_ = tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake()
		p.gone(c)
	}},
	{name: "a certificate with the wrong name", only: onlyTLS, count: identity, log: "peer is not who it says", do: presents("wrong")},
	{name: "a certificate that has expired", only: onlyTLS, count: identity, log: "peer is not who it says", do: presents("expired")},
	{name: "a certificate of another authority", only: onlyTLS, count: identity, log: "peer is not who it says", do: presents("other")},
	{name: "no certificate", only: onlyTLS, count: identity, log: "peer is not who it says", do: presents("none")},

	{name: "a slow loris", slow: true, count: timedOut, log: "i/o timeout", do: func(_ *hostileHouse, p *hostile) {
		if g, c := p.greeting(), p.raw(); p.cert == nil {
			p.drip(c, g.bytes())
		} else {
			p.drip(c, []byte{22, 3, 1, 1, 0, 1, 0, 0, 252})
		}
	}},
	{name: "silence", slow: true, count: timedOut, log: "i/o timeout", do: func(_ *hostileHouse, p *hostile) { p.gone(p.raw()) }},
	{name: "a welcome that is not taken", slow: true, count: timedOut, log: "i/o timeout", do: func(_ *hostileHouse, p *hostile) {
		g, c := p.greeting(), p.reach()
		if _, _, err := p.welcome(c, g); err != nil {
			_ = c.Close() // one of another connection is under way
			p.gone(p.raw())
			return
		}
		p.gone(c)
	}},
}

// greets says a hello that is not as it should be.
func greets(change func(*greeting)) func(*hostileHouse, *hostile) {
	return func(_ *hostileHouse, p *hostile) {
		g := p.greeting()
		change(&g)
		p.send(p.reach(), g.bytes())
	}
}

// presents says a good hello over a connection with a certificate that is not as it should be.
func presents(which string) func(*hostileHouse, *hostile) {
	return func(h *hostileHouse, p *hostile) {
		bad, g := *p, p.greeting()
		bad.cert = h.certs[which]
		bad.send(bad.reach(), g.bytes())
	}
}

func refusedMessages(h *hostileHouse) uint64 {
	return h.metrics(0, "kv").Counters[raft.CounterRefusedMessages]
}

// message asks for a vote in a term far ahead: with the incarnation of n0's member it comes from another cluster, with another one from an
// earlier life of it.
func (h *hostileHouse) message(older int) []byte {
	m := core.Message{Head: core.Head{From: raft.ServerID{Name: "kv", Node: "h"}, To: h.id(0, "kv"), FromInc: 1,
		ToInc: h.incarnation + core.Incarnation(older), Term: farTerm}, Body: core.Vote{Last: core.EntryID{Term: farTerm, Index: 1 << 40}, Transfer: true}}
	return m.AppendTo([]byte{1})
}

// farTerm is what hostile peers want the cluster's term to be, farSum what they want to add.
const (
	farTerm = 1 << 40
	farSum  = 1 << 40
)

// forge makes a request that n0 would perform: it adds farSum to the counter.
func forge(h *hostileHouse) []byte {
	c := raft.Command{Kind: raft.KindUser, Reply: raft.ReplyFromLeader, Payload: binary.LittleEndian.AppendUint64(nil, farSum)}
	data, err := raft.AppendCommand(nil, &c)
	if err != nil {
		h.t.Fatal(err)
	}
	return append([]byte{4, 1, 2, 'k', 'v', 1, byte(raft.KindUser)}, data...)
}

// withdrawal is a packet that does nothing.
var withdrawal = []byte{5, 1}

// handshakeTimeout is how long strangers may take to say who they are.
const handshakeTimeout = time.Second
