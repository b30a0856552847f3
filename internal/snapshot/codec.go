package snapshot

import (
	"fmt"
	"io"
)

// Codec encodes and decodes the state of a file. Files name the codec that they need. Its
// methods may be called by any goroutine.
type Codec interface {
	// Name is 1 to MaxCodecName printable characters of ASCII; it stands in files and never changes.
	Name() string
	// NewWriter returns a writer that encodes to w; Close ends the encoding and leaves w open.
	// Nothing is written to w after Close has returned.
	NewWriter(w io.Writer) (io.WriteCloser, error)
	// NewReader returns a reader of what NewWriter's writer wrote to r.
	NewReader(r io.Reader) (io.ReadCloser, error)
}

// find returns the codec of that name. Error: ErrCodec.
func find(name string, codecs []Codec) (Codec, error) {
	for _, c := range codecs {
		if c != nil && c.Name() == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%w: %q is not among those given", ErrCodec, name)
}
