package snapshot_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

const (
	chunk    = snapshot.MinChunkBytes
	testLog  = raftlog.LogID(7)
	testName = "/f" // no name of the format: nothing is compared with it
)

var testAt = raftlog.EntryID{Term: 3, Index: 900}

func testMeta() snapshot.Meta {
	m := snapshot.Meta{Kind: raftlog.KindSnapshot, UID: "orders-7", Log: testLog, ID: testAt,
		Context: []byte("configuration"), ChunkBytes: chunk, Salt: 0x5a17}
	m.Live.AddRange(raftlog.Range{First: 3, Last: 40})
	m.Live.Add(899)
	return m
}

// pattern is n bytes of state.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// encode makes the bytes of a file that stores data; stateBytes is what the codec made it of.
func encode(t testing.TB, m snapshot.Meta, data []byte, stateBytes int) []byte {
	t.Helper()
	e, err := snapshot.NewEncoder(m)
	if err != nil {
		t.Fatal(err)
	}
	b := e.AppendHeader(nil)
	for len(data) > 0 {
		n := min(len(data), m.ChunkBytes)
		c := append(make([]byte, snapshot.ChunkHeaderBytes), data[:n]...)
		if err := e.SealChunk(c); err != nil {
			t.Fatal(err)
		}
		b, data = append(b, c...), data[n:]
	}
	return e.AppendTrailer(b, int64(stateBytes))
}

// plain is encode without a codec.
func plain(t testing.TB, m snapshot.Meta, data []byte) []byte { return encode(t, m, data, len(data)) }

// holding returns a file system with one file.
func holding(t testing.TB, name string, b []byte) *memfs.FS {
	t.Helper()
	fs := memfs.New(1)
	if err := fs.WriteFile(name, b); err != nil {
		t.Fatal(err)
	}
	return fs
}

func open(t testing.TB, b []byte) *snapshot.Reader {
	t.Helper()
	r, err := snapshot.Open(holding(t, testName, b), testName, testLog)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// state reads a file's state to the end or to the first error.
func state(fs *memfs.FS, name string, codecs ...snapshot.Codec) ([]byte, error) {
	r, err := snapshot.Open(fs, name, testLog)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	s, err := r.NewStateReader(codecs...)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(s)
	return b, errors.Join(err, s.Close())
}

// typed reports whether an error is one that damage may cause.
func typed(err error) bool {
	return errors.Is(err, snapshot.ErrCorrupt) || errors.Is(err, snapshot.ErrUnfinished) ||
		errors.Is(err, snapshot.ErrVersion) || errors.Is(err, frame.ErrMagic)
}

func sameMeta(a, b snapshot.Meta) bool {
	return a.Kind == b.Kind && a.UID == b.UID && a.Log == b.Log && a.ID == b.ID && bytes.Equal(a.Context, b.Context) &&
		a.Live.Equal(b.Live) && a.Codec == b.Codec && a.ChunkBytes == b.ChunkBytes && a.Salt == b.Salt
}
