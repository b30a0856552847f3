package raft

import (
	"encoding/binary"
	"testing"
)

// BenchmarkApply applies commands to a machine that replies with its command: what the Applier itself costs.
func BenchmarkApply(b *testing.B) {
	plain := Command{Kind: KindUser, Payload: make([]byte, 256)}
	answered := plain
	answered.Reply, answered.Origin = ReplyFromLeader, Origin{Node: "node-a", Request: 1 << 30}
	for _, tc := range []struct {
		name    string
		command Command
		session bool
		sends   int
	}{
		{"plain", plain, false, 0},
		{"answered", answered, false, 0},
		{"answered-4-effects", answered, false, 4},
		{"session", answered, true, 0},
	} {
		b.Run(tc.name, func(b *testing.B) {
			m := &silent{apply: func(ctx *ApplyContext, c []byte) []byte {
				for range tc.sends {
					ctx.SendMsg(ToMailbox("node-a", "box"), c, SendOptions{})
				}
				return c[:8]
			}}
			r := newReplica(b, m)
			r.enter(StateLeader)
			o := open("node-a", 1)
			o.Window = DefaultSessionWindow
			id := r.ask(o).Session
			e := Entry{Term: 1, Type: uint8(KindUser)}
			c := tc.command
			var n uint64
			b.ReportAllocs()
			for b.Loop() {
				if n++; tc.session {
					c.Session = SessionHeader{ID: id, Sequence: n, LowestUnacked: max(n, 64) - 63}
				}
				binary.LittleEndian.PutUint64(c.Payload, n)
				e.Data, _ = AppendCommand(e.Data[:0], &c)
				e.Index = r.At().Index + 1
				if _, err := r.Apply(e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
