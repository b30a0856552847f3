package segment_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
)

// damageable has chunks of one and of several blocks, an overwrite and a hole.
func damageable(t testing.TB) *image {
	return newImage().
		chunk(t, dense(1, 20, 1, 50)).
		chunk(t, dense(21, 40, 1, 400)).
		chunk(t, dense(35, 50, 2, 60)).
		chunk(t, append(dense(51, 53, 2, 60), dense(57, 60, 3, 60)...))
}

// chunkOf returns which chunk holds byte at, -1 for the header block.
func (m *image) chunkOf(at int) int {
	n := -1
	for c, start := range m.starts {
		if start <= at {
			n = c
		}
	}
	return n
}

func TestEveryByteFlipped(t *testing.T) {
	m := damageable(t)
	dead := 0
	step := 1
	if testing.Short() {
		step = 7
	}
	for at := 0; at < len(m.bytes); at += step {
		b := bytes.Clone(m.bytes)
		b[at] ^= 1 << (at % 8)
		c := m.chunkOf(at)
		hit := func(i raftlog.Index) bool { return c >= 0 && m.bounds[c].Contains(i) }
		r, err := segment.Open(holding(t, b), testName, testID, m.seg, segment.ReadOptions{})
		if err != nil {
			t.Fatalf("byte %d: %v", at, err)
		}
		if check(t, r, m.want, around(m.seg.Range), hit) == 0 {
			dead++
		}
		r.Close()
	}
	t.Logf("%d of %d flips hit nothing", dead, (len(m.bytes)+step-1)/step)
}

func TestEveryTruncation(t *testing.T) {
	m := damageable(t)
	for n := 0; n < len(m.bytes); n += 97 {
		r := open(t, m.bytes[:n], m.seg)
		if check(t, r, m.want, m.seg.Range, maybe) == 0 {
			t.Fatalf("%d of %d bytes are there and nothing is refused", n, len(m.bytes))
		}
	}
}

// A lost block costs its own chunk, also when it takes header and footer.
func TestBlockLost(t *testing.T) {
	m := newImage()
	for c := range raftlog.Index(6) {
		m.chunk(t, dense(1+c*10, 10+c*10, 1, 30))
	}
	for c, start := range m.starts {
		for name, fill := range map[string]byte{"zeros": 0, "ones": 0xff} {
			b := bytes.Clone(m.bytes)
			copy(b[start:], bytes.Repeat([]byte{fill}, segment.BlockSize))
			r := open(t, b, m.seg)
			if n := check(t, r, m.want, m.seg.Range, m.bounds[c].Contains); n != 10 {
				t.Fatalf("%s in chunk %d: %d indexes refused, want 10", name, c, n)
			}
			if d := r.Damage(); len(d) != 1 || d[0].Range != m.bounds[c] || d[0].Offset != int64(start) {
				t.Fatalf("%s in chunk %d: damage %v", name, c, d)
			}
		}
	}
}

// Where the lost chunk may have superseded others, those are refused, too.
func TestOverwriteLost(t *testing.T) {
	m := newImage().chunk(t, dense(1, 20, 1, 30)).chunk(t, dense(10, 25, 2, 30)).chunk(t, dense(26, 30, 2, 30))
	b := bytes.Clone(m.bytes)
	clear(b[m.starts[1]:m.starts[2]])
	r := open(t, b, m.seg)
	if n := check(t, r, m.want, m.seg.Range, raftlog.Range{First: 1, Last: 25}.Contains); n != 25 {
		t.Fatalf("%d indexes refused, want 25", n)
	}
	clear(b[m.starts[2]:])
	if n := check(t, open(t, b, m.seg), m.want, m.seg.Range, maybe); n != 30 {
		t.Fatalf("%d indexes refused, want 30", n)
	}
}

// The same where the counts alone would not tell: a short overwrite, and one whose entries
// are made up for by the holes of a chunk that is lost with it.
func TestShortOverwriteLost(t *testing.T) {
	m := newImage().chunk(t, dense(1, 20, 1, 30)).chunk(t, dense(10, 12, 2, 30)).
		chunk(t, dense(30, 33, 2, 30)).chunk(t, dense(34, 35, 2, 30))
	for from := range m.starts {
		for to := from + 1; to < len(m.starts); to++ {
			b := bytes.Clone(m.bytes)
			clear(b[m.starts[from]:m.starts[to]])
			check(t, open(t, b, m.seg), m.want, m.seg.Range, maybe)
		}
	}
}

// The committed length ends within a chunk, which does not count then: nobody knows what it was.
func TestCommittedLengthWithinChunk(t *testing.T) {
	m := newImage().chunk(t, dense(1, 10, 1, 30)).chunk(t, dense(11, 20, 1, 1000))
	s := m.seg
	s.Bytes -= segment.BlockSize
	if n := check(t, open(t, m.bytes, s), m.want, s.Range, maybe); n != 20 {
		t.Fatalf("%d refused, want 20", n)
	}
}

// Damage of what does not count is not reported.
func TestDamageOutsideRange(t *testing.T) {
	m := newImage().chunk(t, dense(1, 10, 1, 30)).chunk(t, dense(11, 20, 1, 30))
	m.bytes[m.starts[1]+100] ^= 1
	s := m.seg
	s.Range.Last = 10
	if d := open(t, m.bytes, s).Damage(); len(d) != 0 {
		t.Fatalf("damage %v", d)
	}
	s.Range.Last = 15
	if d := open(t, m.bytes, s).Damage(); len(d) != 1 || d[0].Range != (raftlog.Range{First: 11, Last: 15}) {
		t.Fatalf("damage %v", d)
	}
}

func TestBlocksSwapped(t *testing.T) {
	m := damageable(t)
	blocks := len(m.bytes) / segment.BlockSize
	for a := range blocks {
		for c := range blocks {
			b := bytes.Clone(m.bytes)
			copy(b[c*segment.BlockSize:(c+1)*segment.BlockSize], m.bytes[a*segment.BlockSize:])
			check(t, open(t, b, m.seg), m.want, m.seg.Range, maybe)
		}
	}
}

// Bytes that verify in another file or another place are not believed.
func TestForeignChunk(t *testing.T) {
	m := newImage().chunk(t, dense(1, 10, 1, 30))
	b := append(bytes.Clone(m.bytes), m.bytes[segment.BlockSize:]...)
	s := m.seg
	s.Bytes, s.Entries, s.Range.Last = int64(len(b)), 20, 20
	if n := check(t, open(t, b, s), m.want, s.Range, raftlog.Range{First: 11, Last: 20}.Contains); n != 10 {
		t.Fatalf("%d refused", n)
	}
}

func TestDamagedPayload(t *testing.T) {
	m := newImage().chunk(t, dense(1, 40, 1, 4000))
	at := bytes.Index(m.bytes, m.want[17].Data)
	m.bytes[at+100] ^= 4
	r := open(t, m.bytes, m.seg)
	if len(r.Damage()) != 0 {
		t.Fatalf("damage %v", r.Damage())
	}
	only := func(i raftlog.Index) bool { return i == 17 }
	if n := check(t, r, m.want, m.seg.Range, only); n != 1 {
		t.Fatalf("%d refused", n)
	}
	rep, err := segment.Verify(holding(t, m.bytes), testName, testID, m.seg, segment.ReadOptions{})
	if err != nil || len(rep.Damage) != 1 || rep.Damage[0].Range != (raftlog.Range{First: 17, Last: 17}) {
		t.Fatalf("verify: %+v, %v", rep, err)
	}
	var damage *segment.CorruptError
	if _, _, err := r.Get(17, nil); !errors.As(err, &damage) || !errors.Is(err, frame.ErrCorrupt) {
		t.Fatalf("get: %v", err)
	}
}
