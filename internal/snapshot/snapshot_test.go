package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
)

var sizes = []int{0, 1, chunk - 1, chunk, chunk + 1, 2*chunk - 1, 2 * chunk, 33*chunk + 17}

func TestRoundTrip(t *testing.T) {
	for _, n := range sizes {
		m, want := testMeta(), pattern(n)
		b := plain(t, m, want)
		r := open(t, b)
		if !sameMeta(r.Meta(), m) || r.StateBytes() != int64(n) || r.DataBytes() != int64(n) || r.FileBytes() != int64(len(b)) {
			t.Fatalf("%d bytes: %+v", n, r.Info())
		}
		s := raftlog.Snapshot{Kind: m.Kind, ID: m.ID, Bytes: int64(len(b)), Live: 39}
		if r.Snapshot() != s || r.Chunks() != (n+chunk-1)/chunk {
			t.Fatalf("%d bytes: %+v, %d chunks", n, r.Snapshot(), r.Chunks())
		}
		if err := r.Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
		s1, err := r.NewStateReader()
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(s1, want); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		checkChunks(t, r, want)
	}
}

// checkChunks reads every chunk into a buffer and into none, last first.
func checkChunks(t *testing.T, r *snapshot.Reader, want []byte) {
	t.Helper()
	info := r.Info()
	buf := make([]byte, snapshot.ChunkHeaderBytes+chunk)
	for n := r.Chunks() - 1; n >= 0; n-- {
		part := want[n*chunk : min(len(want), (n+1)*chunk)]
		data, sum, err := r.Chunk(n, buf)
		if err != nil || !bytes.Equal(data, part) || &data[0] != &buf[snapshot.ChunkHeaderBytes] {
			t.Fatalf("chunk %d: %v", n, err)
		}
		again, sum2, err := r.Chunk(n, nil)
		if err != nil || !bytes.Equal(again, part) || sum != sum2 {
			t.Fatalf("chunk %d: %v", n, err)
		}
		if err := info.CheckChunk(n, data, sum); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{-1, r.Chunks()} {
		if _, _, err := r.Chunk(n, buf); err == nil {
			t.Errorf("chunk %d exists", n)
		}
	}
}

func TestTransferHeader(t *testing.T) {
	b := plain(t, testMeta(), pattern(2*chunk+9))
	r := open(t, b)
	h := r.Header()
	info, err := snapshot.ParseHeader(h)
	if err != nil || !sameMeta(info.Meta, testMeta()) || info.FileBytes() != int64(len(b)) || info.Total != r.Info().Total {
		t.Fatalf("%+v, %v", info, err)
	}
	if !bytes.Equal(info.AppendTrailer(info.AppendHeader(nil)), h) {
		t.Error("encoding what was decoded gives other bytes")
	}
	for i := range h {
		bad := bytes.Clone(h)
		bad[i] ^= 1 << (i % 8)
		if _, err := snapshot.ParseHeader(bad); !typed(err) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
		if _, err := snapshot.ParseHeader(h[:i]); !typed(err) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	if _, err := snapshot.ParseHeader(append(bytes.Clone(h), 0)); !errors.Is(err, snapshot.ErrCorrupt) {
		t.Errorf("one byte more: %v", err)
	}
}

func TestCheckChunk(t *testing.T) {
	r := open(t, plain(t, testMeta(), pattern(3*chunk)))
	info := r.Info()
	data, sum, err := r.Chunk(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	own := sum
	flipped := bytes.Clone(data)
	flipped[5]++
	var c *snapshot.CorruptError
	for name, err := range map[string]error{
		"other number": info.CheckChunk(2, data, sum),
		"flipped":      info.CheckChunk(1, flipped, sum),
		"short":        info.CheckChunk(1, data[1:], sum),
		"other sum":    info.CheckChunk(1, data, snapshot.Sum{Seed: sum.Seed, Hash: sum.Hash + 1}),
	} {
		if !errors.As(err, &c) || c.Chunk < 1 || errors.Is(err, snapshot.ErrOtherSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The same state at another position, or written at another time, is another snapshot.
	for _, change := range []func(*snapshot.Meta){
		func(m *snapshot.Meta) { m.ID.Index++ },
		func(m *snapshot.Meta) { m.ID.Term++ },
		func(m *snapshot.Meta) { m.Salt++ },
	} {
		m := testMeta()
		change(&m)
		o := open(t, plain(t, m, pattern(3*chunk)))
		data, sum, err := o.Chunk(1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := info.CheckChunk(1, data, sum); !errors.Is(err, snapshot.ErrOtherSnapshot) {
			t.Errorf("%+v: %v", m, err)
		}
		sum.Seed = own.Seed
		if err := info.CheckChunk(1, data, sum); !errors.Is(err, snapshot.ErrCorrupt) {
			t.Errorf("with this snapshot's seed: %v", err)
		}
	}
}

func TestSalt(t *testing.T) {
	m := testMeta()
	seen := map[uint64]bool{m.NewSalt(1): true, m.NewSalt(2): true}
	m.Log++
	seen[m.NewSalt(1)] = true
	m.UID += "x"
	seen[m.NewSalt(1)] = true
	m.ID.Index++
	seen[m.NewSalt(1)] = true
	m.Kind = raftlog.KindCheckpoint
	seen[m.NewSalt(1)] = true
	if len(seen) != 6 {
		t.Errorf("%d salts of 6 files", len(seen))
	}
}

func TestBadMeta(t *testing.T) {
	for name, change := range map[string]func(*snapshot.Meta){
		"kind 0":        func(m *snapshot.Meta) { m.Kind = 0 },
		"kind 4":        func(m *snapshot.Meta) { m.Kind = 4 },
		"no uid":        func(m *snapshot.Meta) { m.UID = "" },
		"bad uid":       func(m *snapshot.Meta) { m.UID = "../x" },
		"no log":        func(m *snapshot.Meta) { m.Log = 0 },
		"no index":      func(m *snapshot.Meta) { m.ID.Index = 0 },
		"context":       func(m *snapshot.Meta) { m.Context = make([]byte, snapshot.MaxContextBytes+1) },
		"live above":    func(m *snapshot.Meta) { m.Live.Add(m.ID.Index + 1) },
		"codec name":    func(m *snapshot.Meta) { m.Codec = "a\n" },
		"long codec":    func(m *snapshot.Meta) { m.Codec = string(make([]byte, 65)) },
		"small chunks":  func(m *snapshot.Meta) { m.ChunkBytes = snapshot.MinChunkBytes - 1 },
		"large chunks":  func(m *snapshot.Meta) { m.ChunkBytes = snapshot.MaxChunkBytes + 1 },
		"negative size": func(m *snapshot.Meta) { m.ChunkBytes = -1 },
	} {
		m := testMeta()
		change(&m)
		if _, err := snapshot.NewEncoder(m); !errors.Is(err, snapshot.ErrMeta) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := testMeta()
	m.Context = make([]byte, snapshot.MaxContextBytes)
	m.Codec = string(bytes.Repeat([]byte{'c'}, snapshot.MaxCodecName))
	r := open(t, encode(t, m, pattern(5), 9))
	if !sameMeta(r.Meta(), m) {
		t.Error("the largest context does not come back")
	}
}

func TestEncoderRefuses(t *testing.T) {
	e, err := snapshot.NewEncoder(testMeta())
	if err != nil {
		t.Fatal(err)
	}
	room := func(n int) []byte { return make([]byte, snapshot.ChunkHeaderBytes+n) }
	for _, b := range [][]byte{nil, room(0), room(chunk + 1)} {
		if e.SealChunk(b) == nil {
			t.Errorf("a chunk of %d bytes is sealed", len(b))
		}
	}
	if err := errors.Join(e.SealChunk(room(chunk)), e.SealChunk(room(1))); err != nil {
		t.Fatal(err)
	}
	if e.SealChunk(room(1)) == nil {
		t.Error("a chunk follows a short one")
	}
}

func TestVerifyEnds(t *testing.T) {
	r := open(t, plain(t, testMeta(), pattern(3*chunk)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	stop, asked := errors.New("stop"), 0
	err := r.VerifyPaced(t.Context(), func(n int) error {
		if asked += n; asked > chunk {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || asked != 2*chunk {
		t.Error(err, asked)
	}
}

func TestPlace(t *testing.T) {
	name := func(k raftlog.SnapshotKind, at raftlog.EntryID) string { return "/" + snapshot.FileName(k, at) }
	other := raftlog.EntryID{Term: 3, Index: 901}
	for _, c := range []struct {
		written raftlog.SnapshotKind
		name    string
		want    raftlog.LogID
		kind    raftlog.SnapshotKind // 0 for refused
	}{
		{raftlog.KindSnapshot, name(raftlog.KindSnapshot, testAt), testLog, raftlog.KindSnapshot},
		{raftlog.KindSnapshot, name(raftlog.KindSnapshot, testAt), 0, raftlog.KindSnapshot},
		{raftlog.KindSnapshot, name(raftlog.KindSnapshot, testAt), testLog + 1, 0},
		{raftlog.KindSnapshot, name(raftlog.KindSnapshot, other), testLog, 0},
		{raftlog.KindSnapshot, name(raftlog.KindCheckpoint, testAt), testLog, 0},
		{raftlog.KindSnapshot, name(raftlog.KindSnapshot, testAt) + ".part", testLog, raftlog.KindSnapshot},
		{raftlog.KindSnapshot, name(raftlog.KindSnapshot, other) + ".bad", testLog, 0},
		{raftlog.KindCheckpoint, name(raftlog.KindCheckpoint, testAt), testLog, raftlog.KindCheckpoint},
		{raftlog.KindCheckpoint, name(raftlog.KindSnapshot, testAt), testLog, raftlog.KindSnapshot},
		{raftlog.KindRecovery, name(raftlog.KindRecovery, testAt), testLog, raftlog.KindRecovery},
		{raftlog.KindRecovery, name(raftlog.KindSnapshot, testAt), testLog, 0},
		{raftlog.KindRecovery, "/elsewhere", testLog, raftlog.KindRecovery},
	} {
		m := testMeta()
		m.Kind = c.written
		r, err := snapshot.Open(holding(t, c.name, plain(t, m, pattern(10))), c.name, c.want)
		if c.kind == 0 {
			if !errors.Is(err, snapshot.ErrCorrupt) {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		info, err := snapshot.ParseHeader(r.Header())
		if err != nil || r.Meta().Kind != c.kind || info.Kind != c.kind || r.Snapshot().Kind != c.kind {
			t.Errorf("%+v: %v, %v", c, r.Meta().Kind, err)
		}
		r.Close()
	}
	if _, err := snapshot.Open(holding(t, "/a", nil), "/b", 0); err == nil {
		t.Error("a missing file opens")
	}
}

func TestStateReaderKeepsItsError(t *testing.T) {
	b := plain(t, testMeta(), pattern(2*chunk))
	info := open(t, b).Info()
	b[info.Offset(1)+100]++
	r := open(t, b)
	s, err := r.NewStateReader()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(s)
	if !bytes.Equal(got, pattern(2 * chunk)[:chunk]) || !errors.Is(err, snapshot.ErrCorrupt) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if n, again := s.Read(make([]byte, 1)); n != 0 || again != err {
		t.Errorf("%d bytes, %v", n, again)
	}
}
