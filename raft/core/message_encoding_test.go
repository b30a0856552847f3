package core_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

// bodies are one of each kind, in the order of their numbers on the wire, with values that take several bytes.
func bodies() []core.Body {
	id := func(term core.Term, index core.Index) core.EntryID { return core.EntryID{Term: term, Index: index} }
	return []core.Body{
		core.PreVote{Token: 1 << 40, Next: 9, Last: id(8, 1<<33), Protocol: 1, Machine: 300},
		core.PreVoteReply{Token: 7, Granted: true},
		core.Vote{Last: id(8, 200), Transfer: true},
		core.VoteReply{},
		core.Append{Prev: id(8, 299), Commit: 298, Probe: true, Entries: []core.Entry{
			{Index: 300, Term: 8, Type: 16, Data: []byte("one")}, {Index: 301, Term: 9, Type: core.KindNoop, Data: []byte{1, 0}},
		}},
		core.AppendReply{Durable: id(8, 250), Next: 301, Commit: 249, Rejected: id(9, 400), Hint: id(7, 200)},
		core.Round{Number: 1 << 20}, core.RoundReply{Number: 3},
		core.ReadIndex{Ref: 5}, core.ReadIndexReply{Ref: 5, Index: 1 << 21, OK: true},
		core.TimeoutNow{Last: id(9, 301)},
		core.Offer{Transfer: 11, Snapshot: core.SnapshotMeta{ID: id(6, 1000), Configuration: goldenConfiguration(),
			ConfigurationIndex: 900, Machine: 2}},
		core.OfferReply{Transfer: 11}, core.Info{}, core.InfoReply{Machine: 4}, core.Gone{}, core.Removed{Index: 222},
	}
}

// message is a message with a body, between alpha and beta.
func message(b core.Body) core.Message {
	return core.Message{Body: b, Head: core.Head{Cluster: goldenConfiguration().Cluster, Epoch: 1 << 40,
		From: core.ServerID{Name: "kv", Node: "alpha"}, To: core.ServerID{Name: "kv-2", Node: "beta"}, FromInc: 7, ToInc: 1 << 63, Term: 9}}
}

// goldenMessages are the bytes of each kind, in the order of bodies, which were written once and are never written again.
func goldenMessages(t testing.TB) (list [][]byte) {
	t.Helper()
	for line := range bytes.Lines(golden(t, "messages-v1.txt")) {
		_, digits, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	if len(list) != len(bodies()) {
		t.Fatalf("%d golden messages, want %d", len(list), len(bodies()))
	}
	return list
}

// TestGoldenMessages: each kind has the bytes that it always had, and they mean what they always meant.
func TestGoldenMessages(t *testing.T) {
	list := goldenMessages(t)
	for i, b := range bodies() {
		want := message(b)
		if got := want.AppendTo(nil); !bytes.Equal(got, list[i]) {
			t.Errorf("%T %x", b, got)
		}
		if m, err := core.UnmarshalMessage(bytes.Clone(list[i]), "alpha", "beta"); err != nil || !reflect.DeepEqual(m, want) {
			t.Errorf("%T: %+v, %v", b, m, err)
		}
	}
}

// TestDamagedMessages: every prefix is refused, so is a byte behind the end, a newer format is told apart, and names keep their
// bounds.
func TestDamagedMessages(t *testing.T) {
	for i, b := range goldenMessages(t) {
		for n := range b {
			if _, err := core.UnmarshalMessage(b[:n], "alpha", "beta"); !errors.Is(err, core.ErrBadMessage) {
				t.Errorf("message %d cut to %d bytes: %v", i, n, err)
			}
		}
		if _, err := core.UnmarshalMessage(append(bytes.Clone(b), 0), "alpha", "beta"); !errors.Is(err, core.ErrBadMessage) {
			t.Errorf("message %d with a byte more: %v", i, err)
		}
		newer := bytes.Clone(b)
		newer[0]++
		if _, err := core.UnmarshalMessage(newer, "alpha", "beta"); !errors.Is(err, core.ErrVersion) || errors.Is(err, core.ErrBadMessage) {
			t.Errorf("message %d of a newer format: %v", i, err)
		}
		unknown := bytes.Clone(b)
		unknown[1] = 200
		if _, err := core.UnmarshalMessage(unknown, "alpha", "beta"); !errors.Is(err, core.ErrBadMessage) {
			t.Errorf("message %d of kind 200: %v", i, err)
		}
		if _, err := core.UnmarshalMessage(b, "alpha", strings.Repeat("n", core.MaxNodeLen+1)); !errors.Is(err, core.ErrBadID) {
			t.Errorf("message %d to a long name: %v", i, err)
		}
	}
}

// TestHostileAppend: a message that claims more entries, longer ones, or indexes beyond the last there is, costs nothing and is
// refused.
func TestHostileAppend(t *testing.T) {
	claim := func(prev core.Index, entries uint64, tail ...byte) []byte {
		m := message(core.Append{Prev: core.EntryID{Term: 1, Index: prev}, Commit: 1})
		b := m.AppendTo(nil)
		return append(binary.AppendUvarint(b[:len(b)-1], entries), tail...)
	}
	full := bytes.Repeat([]byte{1, 16, 0}, 1<<17)
	for name, b := range map[string][]byte{
		"entries that are not there": claim(1, 1<<50),
		"too many entries":           claim(1, 1<<17, full...),
		"a longer payload":           claim(1, 1, append([]byte{1, 16}, binary.AppendUvarint(nil, 1<<62)...)...),
		"an index beyond the last":   claim(1<<64-2, 2, full[:6]...),
	} {
		var err error
		n := testing.AllocsPerRun(1, func() { _, err = core.UnmarshalMessage(b, "alpha", "beta") })
		if !errors.Is(err, core.ErrBadMessage) || n > 10 {
			t.Errorf("%s: %v, %v allocations", name, err, n)
		}
	}
}

// TestMessageOwnership: a payload cannot grow into its neighbour.
func TestMessageOwnership(t *testing.T) {
	m, err := core.UnmarshalMessage(goldenMessages(t)[4], "alpha", "beta")
	if err != nil {
		t.Fatal(err)
	}
	entries := m.Body.(core.Append).Entries
	_ = append(entries[0].Data, "overwritten"...)
	if !bytes.Equal(entries[1].Data, []byte{1, 0}) {
		t.Fatalf("% x", entries[1].Data)
	}
}

func FuzzUnmarshalMessage(f *testing.F) {
	for _, b := range goldenMessages(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := core.UnmarshalMessage(bytes.Clone(b), "alpha", "beta")
		if err == nil && !bytes.Equal(m.AppendTo(nil), b) {
			t.Fatal("decoding then encoding changed the bytes")
		}
	})
}

func BenchmarkMessage(b *testing.B) {
	m := message(core.Append{Prev: core.EntryID{Term: 3, Index: 1 << 20}, Commit: 1 << 20, Entries: []core.Entry{
		{Index: 1<<20 + 1, Term: 3, Type: 16, Data: make([]byte, 290)},
	}})
	bytes := m.AppendTo(nil)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			bytes = m.AppendTo(bytes[:0])
		}
		b.ReportMetric(float64(len(bytes)), "B/msg")
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := core.UnmarshalMessage(bytes, "alpha", "beta"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
