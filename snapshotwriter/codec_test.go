package snapshotwriter_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/snapshotwriter"
)

// deflate is a codec over the standard library.
type deflate struct{}

func (deflate) Name() string { return "flate" }

func (deflate) NewWriter(w io.Writer) (io.WriteCloser, error) {
	return flate.NewWriter(w, flate.BestSpeed)
}

func (deflate) NewReader(r io.Reader) (io.ReadCloser, error) { return flate.NewReader(r), nil }

func TestCodec(t *testing.T) {
	fs := newFS(t)
	w := writer(t, fs, func(o *snapshotwriter.Options) { o.Codec = deflate{} })
	for i, n := range []int{0, 1, chunk, 100 * chunk} {
		at := id(1, raftlog.Index(i+1))
		data := bytes.Repeat([]byte("rawl"), n)
		res := write(t, w, raftlog.KindSnapshot, at, data)
		if res.Err != nil || n > chunk && res.Snapshot.Bytes > int64(n) {
			t.Fatalf("%+v", res)
		}
		info, got, err := read(fs, pathOf(raftlog.KindSnapshot, at), deflate{})
		if err != nil || !bytes.Equal(got, data) || info.Codec != "flate" || info.StateBytes != int64(len(data)) {
			t.Fatalf("%d bytes of %d, %v", len(got), len(data), err)
		}
		if _, _, err := read(fs, pathOf(raftlog.KindSnapshot, at)); !errors.Is(err, snapshotwriter.ErrCodec) {
			t.Error(err)
		}
	}
}

// broken is a codec that fails where it is told to.
type broken struct {
	deflate
	at  string
	err error
}

func (b broken) NewWriter(w io.Writer) (io.WriteCloser, error) {
	if b.at == "new panics" {
		panic(b.err)
	}
	if b.at == "new" {
		return nil, b.err
	}
	return brokenWriter{b, w}, nil
}

type brokenWriter struct {
	broken
	w io.Writer
}

func (b brokenWriter) Write(p []byte) (int, error) {
	if b.at == "write" {
		return 0, b.err
	}
	if b.at == "write panics" {
		panic(b.err)
	}
	return b.w.Write(p)
}

func (b brokenWriter) Close() error {
	if b.at == "close panics" {
		panic(b.err)
	}
	if b.at == "close" {
		return b.err
	}
	return nil
}

func TestCodecFails(t *testing.T) {
	own := errors.New("own")
	for _, at := range []string{"new", "new panics", "write", "write panics", "close", "close panics"} {
		fs := newFS(t)
		w := writer(t, fs, func(o *snapshotwriter.Options) { o.Codec = broken{at: at, err: own} })
		res := fails(t, fs, w, job(meta(raftlog.KindSnapshot, id(1, 1)), state(1, 3*chunk), new(snapshotwriter.Result)), own)
		var state *snapshotwriter.StateError
		if errors.As(res.Err, &state) == errors.Is(res.Err, snapshotwriter.ErrCodec) {
			t.Errorf("%s: %v", at, res.Err)
		}
	}
}
