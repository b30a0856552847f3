package codec

import (
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/rawl-db/rawl/snapshotwriter"
)

var (
	_ snapshotwriter.Codec = S2{}
	_ snapshotwriter.Codec = Zstd{}
)

// S2 is fast and compresses little: for states on fast disks. The zero value is ready.
type S2 struct{}

// Name is "s2".
func (S2) Name() string { return "s2" }

// NewWriter encodes on the goroutine that writes.
func (S2) NewWriter(w io.Writer) (io.WriteCloser, error) {
	return s2.NewWriter(w, s2.WriterConcurrency(1)), nil
}

// NewReader decodes blocks of at most 4 MiB, the largest that the format has.
func (S2) NewReader(r io.Reader) (io.ReadCloser, error) {
	return io.NopCloser(s2.NewReader(r)), nil
}

// maxWindow bounds what a decoder allocates for a stream, in bytes. The encoder's windows are at most
// 8 MiB.
const maxWindow = 64 << 20

// Zstd compresses well at a few hundred megabytes per second. The zero value is ready and has the
// default level.
type Zstd struct {
	// Level is the encoder's: zstd.SpeedFastest to zstd.SpeedBestCompression; 0 is the default.
	Level zstd.EncoderLevel
}

// Name is "zstd", for every level.
func (Zstd) Name() string { return "zstd" }

// NewWriter encodes on the goroutine that writes.
func (z Zstd) NewWriter(w io.Writer) (io.WriteCloser, error) {
	level := z.Level
	if level == 0 {
		level = zstd.SpeedDefault
	}
	// rawl's own checksums cover the encoded bytes.
	return zstd.NewWriter(w, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
}

// NewReader decodes on the goroutine that reads.
func (Zstd) NewReader(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}
