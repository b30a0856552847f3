package raft

import (
	"bytes"
	"testing"

	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/detector"
)

// benchPackets are what a busy cluster sends: a command of 256 bytes and what follows from it, and a heartbeat.
func benchPackets(b *testing.B) []namedPacket {
	from, to := ServerID{Name: "kv-0042", Node: alpha}, ServerID{Name: "kv-0042", Node: beta}
	data, err := AppendCommand(nil, &Command{Kind: KindUser, Reply: ReplyFromLeader, Payload: make([]byte, 256)})
	if err != nil {
		b.Fatal(err)
	}
	h := core.Head{Cluster: core.ClusterID{1, 15: 2}, Epoch: 1, From: from, To: to, FromInc: 1<<63 | 5, ToInc: 1<<63 | 7, Term: 12}
	at := EntryID{Term: 12, Index: 1 << 20}
	return []namedPacket{
		{"append", newRaftPacket(h, core.Append{Prev: at, Commit: at.Index, Entries: []Entry{{Index: at.Index + 1, Term: 12, Type: 16, Data: data}}})},
		{"append-reply", newRaftPacket(h, core.AppendReply{Durable: at, Next: at.Index + 1, Commit: at.Index})},
		{"request", &request{id: 200_000_000_000<<lifeShift | 1<<20, to: to, call: &opCommand{ticket{kind: KindUser, data: data}}}},
		{"response", &response{id: 200_000_000_000<<lifeShift | 1<<20, answer: answer{reply: make([]byte, 8), index: at.Index, term: 12, leader: from}}},
		{"refusal", &response{id: 200_000_000_000<<lifeShift | 1<<20, answer: failed(ErrNotLeader, NotApplied, true, to)}},
		{"heartbeat", &detector.Heartbeat{From: alpha, To: beta, Answer: true, Incarnation: 3, Seq: 1 << 16, Stamp: 1 << 42, PeerIncarnation: 4,
			Echo: 1 << 16, EchoStamp: 1 << 42, EchoDelay: 1 << 26, NoticeAck: 100}},
	}
}

func BenchmarkPacket(b *testing.B) {
	for _, p := range benchPackets(b) {
		encoded, err := packetCodec{}.Append(nil, p.packet)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(p.name+"/encode", func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				if buf, err = (packetCodec{}).Append(buf[:0], p.packet); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(encoded)), "B/packet")
		})
		b.Run(p.name+"/decode", func(b *testing.B) {
			b.ReportAllocs()
			own := bytes.Clone(encoded) // that of the packets, which only read it
			for b.Loop() {
				if _, err := (packetCodec{}).Decode(own, alpha, beta); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
