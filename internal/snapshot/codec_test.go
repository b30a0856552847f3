package snapshot_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/rawl-db/rawl/internal/snapshot"
)

// doubling stores every byte twice.
type doubling struct{}

func (doubling) Name() string                                  { return "doubling" }
func (doubling) NewWriter(w io.Writer) (io.WriteCloser, error) { return nil, errors.ErrUnsupported }
func (doubling) NewReader(r io.Reader) (io.ReadCloser, error) {
	return io.NopCloser(halving{r}), nil
}

type halving struct{ r io.Reader }

func (h halving) Read(p []byte) (int, error) {
	b := make([]byte, 2*len(p))
	n, err := io.ReadFull(h.r, b)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	for i := range n / 2 {
		p[i] = b[2*i]
	}
	return n / 2, err
}

// fixed decodes everything to the same.
type fixed struct {
	doubling
	r   io.Reader
	err error
}

func (f fixed) NewReader(io.Reader) (io.ReadCloser, error) { return io.NopCloser(f.r), f.err }

func doubled(b []byte) []byte {
	var out []byte
	for _, c := range b {
		out = append(out, c, c)
	}
	return out
}

func TestCodec(t *testing.T) {
	m := testMeta()
	m.Codec = "doubling"
	for _, n := range sizes {
		want := pattern(n)
		fs := holding(t, testName, encode(t, m, doubled(want), n))
		if got, err := state(fs, testName, nil, doubling{}); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: %d, %v", n, len(got), err)
		}
		if _, err := state(fs, testName); !errors.Is(err, snapshot.ErrCodec) {
			t.Errorf("without the codec: %v", err)
		}
	}
}

// What a codec makes of bytes that verified is held against the trailer.
func TestCodecFails(t *testing.T) {
	m, want, own := testMeta(), pattern(chunk), errors.New("own")
	m.Codec = "doubling"
	fs := holding(t, testName, encode(t, m, doubled(want), len(want)))
	endless := io.MultiReader(bytes.NewReader(want), bytes.NewReader(want))
	for name, c := range map[string]struct {
		codec snapshot.Codec
		err   error
		n     int
	}{
		"refuses":  {fixed{err: own}, own, 0},
		"fails":    {fixed{r: io.MultiReader(bytes.NewReader(want[:9]), failing{own})}, own, 9},
		"too much": {fixed{r: endless}, snapshot.ErrCorrupt, len(want)},
		"too few":  {fixed{r: bytes.NewReader(want[:70])}, snapshot.ErrCorrupt, 70},
		"nothing":  {fixed{r: bytes.NewReader(nil)}, snapshot.ErrCorrupt, 0},
	} {
		got, err := state(fs, testName, c.codec)
		if !errors.Is(err, c.err) || len(got) != c.n {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if errors.Is(c.err, own) != errors.Is(err, snapshot.ErrCodec) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A codec that hides the damage of the file, or leaves a part of it unread, hides nothing.
func TestCodecHidesDamage(t *testing.T) {
	m, want := testMeta(), pattern(chunk)
	m.Codec = "doubling"
	b := encode(t, m, doubled(want), len(want))
	info := open(t, b).Info()
	b[info.Offset(1)+99]++
	for name, c := range map[string]snapshot.Codec{
		"passes on": doubling{},
		"wraps":     wrapping{func(err error) error { return fmt.Errorf("mine: %v", err) }},
		"swallows":  wrapping{func(error) error { return io.EOF }},
		"unread":    fixed{r: bytes.NewReader(want)},
	} {
		if _, err := state(holding(t, testName, b), testName, c); !errors.Is(err, snapshot.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// wrapping changes what ends the stream below it.
type wrapping struct{ wrap func(error) error }

func (wrapping) Name() string                                  { return "doubling" }
func (wrapping) NewWriter(w io.Writer) (io.WriteCloser, error) { return nil, errors.ErrUnsupported }
func (w wrapping) NewReader(r io.Reader) (io.ReadCloser, error) {
	return io.NopCloser(wrapped{halving{r}, w.wrap}), nil
}

type wrapped struct {
	r    io.Reader
	wrap func(error) error
}

func (w wrapped) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		err = w.wrap(err)
	}
	return n, err
}
