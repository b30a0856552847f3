package codec_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/snapshotwriter"
	"github.com/rawl-db/rawl/snapshotwriter/codec"
)

var codecs = []snapshotwriter.Codec{codec.S2{}, codec.Zstd{}, codec.Zstd{Level: zstd.SpeedFastest}}

// states are empty, small, compressible, and not compressible.
func states() [][]byte {
	random := make([]byte, 3<<20+5)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	return [][]byte{nil, {7}, bytes.Repeat([]byte("key=value\n"), 400_000), random}
}

func newWriter(t *testing.T, fs *memfs.FS, c snapshotwriter.Codec) *snapshotwriter.Writer {
	t.Helper()
	w, err := snapshotwriter.New(snapshotwriter.Options{FS: fs, Dir: "/logs", Codec: c, ChunkBytes: 64 << 10,
		DirName: func(id raftlog.LogID) string { return fmt.Sprint(id) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func TestRoundTrip(t *testing.T) {
	fs := memfs.New(1)
	if err := fs.MkdirAll("/logs"); err != nil {
		t.Fatal(err)
	}
	at := raftlog.EntryID{Term: 1}
	for _, c := range codecs {
		w := newWriter(t, fs, c)
		for _, want := range states() {
			at.Index++
			var res snapshotwriter.Result
			err := w.Enqueue(snapshotwriter.Job{
				Meta: snapshotwriter.Meta{Kind: raftlog.KindSnapshot, UID: "u", Log: 1, ID: at},
				State: func(out io.Writer) error {
					_, err := io.Copy(out, bytes.NewReader(want))
					return err
				},
				Done: func(r snapshotwriter.Result) { res = r },
			})
			if err != nil {
				t.Fatal(err)
			}
			if w.Step(); res.Err != nil {
				t.Fatal(res.Err)
			}
			r, err := snapshot.Open(fs, w.Path(1, raftlog.KindSnapshot, at), 1)
			if err != nil {
				t.Fatal(err)
			}
			s, err := r.NewStateReader(codecs...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(s)
			if err := errors.Join(err, s.Close(), r.Close()); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes of %d, %v", c.Name(), len(got), len(want), err)
			}
			if r.Meta().Codec != c.Name() || len(want) == 4_000_000 && res.Snapshot.Bytes > 100_000 {
				t.Errorf("%s: %q, %d bytes in %d", c.Name(), r.Meta().Codec, len(want), res.Snapshot.Bytes)
			}
		}
	}
}
