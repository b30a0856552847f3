package memtable

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// model is what a table must answer, kept as a plain map.
type model struct {
	held    map[raftlog.Index]raftlog.Entry
	sparse  map[raftlog.Index]raftlog.Entry
	first   raftlog.Index
	last    raftlog.Index
	start   raftlog.Index
	durable raftlog.Index
}

// entry is the only entry that these tests ever store at i: its content follows from its index.
func entry(i raftlog.Index, size int) raftlog.Entry {
	data := make([]byte, size)
	for k := range data {
		data[k] = byte(i>>(8*(k%8))) ^ byte(k/8)
	}
	return raftlog.Entry{Index: i, Term: raftlog.Term(i/7) + 1, Type: uint8(i * 3), Data: data}
}

func entries(first raftlog.Index, sizes ...int) []raftlog.Entry {
	out := make([]raftlog.Entry, len(sizes))
	for k, size := range sizes {
		out[k] = entry(first+raftlog.Index(k), size)
	}
	return out
}

func same(e raftlog.Entry, crc uint32, want raftlog.Entry) error {
	if e.ID() != want.ID() || e.Type != want.Type || !bytes.Equal(e.Data, want.Data) {
		return fmt.Errorf("got %v type %d with %d bytes, want %v type %d with %d bytes",
			e.ID(), e.Type, len(e.Data), want.ID(), want.Type, len(want.Data))
	}
	if want := crc32.Checksum(want.Data, crc32.MakeTable(crc32.Castagnoli)); crc != want {
		return fmt.Errorf("%v: crc %#x, want %#x", e.ID(), crc, want)
	}
	if cap(e.Data) != len(e.Data) {
		return fmt.Errorf("%v: data of %d bytes has room for %d", e.ID(), len(e.Data), cap(e.Data))
	}
	return nil
}

// must stops the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (m *model) verify(t *testing.T, tb *Table) {
	t.Helper()
	audit(t, tb)
	if tb.First() != m.first || tb.Last() != m.last || tb.Durable() != m.durable {
		t.Fatalf("first %d, last %d, durable %d, want %d, %d, %d",
			tb.First(), tb.Last(), tb.Durable(), m.first, m.last, m.durable)
	}
	want := raftlog.Range{First: m.first, Last: m.last}
	if want.Empty() {
		want = raftlog.Range{}
	}
	if got := tb.Range(); got != want {
		t.Fatalf("range %+v, want %+v", got, want)
	}
	for i := m.start - min(m.start, 2); i != m.last+3; i++ {
		m.verifyAt(t, tb, i)
	}
	seen := m.first
	if next := tb.Each(m.first, MaxIndex, func(e raftlog.Entry, crc uint32) bool {
		must(t, same(e, crc, m.held[seen]))
		seen++
		return true
	}); next != m.last+1 || seen != next {
		t.Fatalf("Each stopped at %d after %d, want %d", next, seen, m.last+1)
	}
	for i := range tb.Sparse().All() {
		if _, ok := m.sparse[i]; !ok {
			t.Fatalf("sparse index %d is not in the model", i)
		}
	}
	if n := tb.Sparse().Len(); n != uint64(len(m.sparse)) {
		t.Fatalf("%d sparse entries, want %d", n, len(m.sparse))
	}
}

func (m *model) verifyAt(t *testing.T, tb *Table, i raftlog.Index) {
	t.Helper()
	want, ok := m.held[i]
	if !ok {
		want, ok = m.sparse[i]
	}
	e, crc, got := tb.Get(i)
	term, gotTerm := tb.Term(i)
	if got != ok || gotTerm != ok || tb.Contains(i) != ok {
		t.Fatalf("index %d: Get %v, Term %v, Contains %v, want %v", i, got, gotTerm, tb.Contains(i), ok)
	}
	if ok {
		must(t, same(e, crc, want))
		if term != want.Term {
			t.Fatalf("index %d: term %d, want %d", i, term, want.Term)
		}
	}
}

func (m *model) step(t *testing.T, tb *Table, r *rand.Rand) {
	t.Helper()
	switch op := r.IntN(20); {
	case op < 9:
		batch := make([]raftlog.Entry, r.IntN(12))
		for k := range batch {
			batch[k] = entry(m.last+1+raftlog.Index(k), randomSize(r))
		}
		must(t, tb.Append(batch))
		m.add(batch)
	case op < 11:
		e := entry(m.last+1, randomSize(r))
		must(t, tb.AppendChecked(e, sum(e.Data)))
		m.add([]raftlog.Entry{e})
	case op < 12:
		e := entry(m.last+raftlog.Index(2+r.IntN(3)), 1)
		if err := tb.Append([]raftlog.Entry{entry(m.last+1, 5), e}); !errors.Is(err, ErrGap) && e.Index != m.last+2 {
			t.Fatalf("gap: %v", err)
		} else if err == nil {
			m.add([]raftlog.Entry{entry(m.last+1, 5), e})
		}
	case op < 15:
		upTo := m.first + raftlog.Index(r.IntN(40)) - min(m.first, 3)
		m.release(upTo)
		tb.Release(upTo)
	case op < 16:
		m.release(m.last)
		tb.Release(MaxIndex)
	case op < 17:
		tb.Trim()
	case op < 18:
		m.putSparse(t, tb, r)
	case op < 19:
		gone := func(i raftlog.Index) bool { return i%3 == 1 }
		tb.ReleaseSparse(gone)
		for i := range m.sparse {
			if gone(i) {
				delete(m.sparse, i)
			}
		}
	default:
		d := m.start + raftlog.Index(r.IntN(int(m.last-m.start+2)))
		tb.SetDurable(d)
		m.durable = max(m.durable, d)
	}
}

func (m *model) add(batch []raftlog.Entry) {
	for _, e := range batch {
		m.held[e.Index], m.last = e, e.Index
	}
}

func (m *model) release(upTo raftlog.Index) {
	for upTo = min(upTo, m.last); m.first <= upTo; m.first++ {
		delete(m.held, m.first)
	}
}

func (m *model) putSparse(t *testing.T, tb *Table, r *rand.Rand) {
	t.Helper()
	var batch []raftlog.Entry
	for i := max(m.start, 3) - 2; i <= m.last; i += 1 + raftlog.Index(r.IntN(60)) {
		e, ok := m.held[i]
		if !ok {
			if e, ok = m.sparse[i]; !ok {
				e = entry(i, 100)
			}
		}
		batch = append(batch, e)
		m.sparse[i] = e
	}
	must(t, tb.PutSparse(batch))
}

func randomSize(r *rand.Rand) int {
	switch r.IntN(100) {
	case 0:
		return ownChunk + r.IntN(5)
	case 1:
		return ownChunk - 1 - r.IntN(5)
	case 2, 3, 4:
		return r.IntN(20 << 10)
	case 5, 6, 7, 8, 9, 10, 11, 12:
		return 0
	default:
		return r.IntN(300)
	}
}

func TestAgreesWithModel(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 1))
		start := raftlog.Index(1)
		switch seed % 4 {
		case 1:
			start = raftlog.Index(r.Uint64N(1 << 40))
		case 2:
			start = MaxIndex - 20_000
		}
		start = max(start, 1)
		m := &model{
			held: map[raftlog.Index]raftlog.Entry{}, sparse: map[raftlog.Index]raftlog.Entry{},
			first: start, last: start - 1, start: start,
		}
		tb := New(start)
		m.verify(t, tb)
		for range 120 {
			m.step(t, tb, r)
			m.verify(t, tb)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}
