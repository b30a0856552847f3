package snapshot

import (
	"fmt"
	"io"
)

// NewStateReader returns a reader of the state, decoded by the codec that the file names, which
// must be among those given. Only bytes that verified come out of it, and io.EOF only when all of
// them did. Close it before the Reader. One goroutine owns it. Errors of the constructor: ErrCodec;
// of Read: *CorruptError, ErrCodec, those of reading the file.
func (r *Reader) NewStateReader(codecs ...Codec) (io.ReadCloser, error) {
	data := &dataReader{r: r, total: r.info.NewTotal()}
	s := &stateReader{r: r, data: data, src: io.NopCloser(data), left: r.info.StateBytes}
	if r.info.Codec == "" {
		return s, nil
	}
	c, err := find(r.info.Codec, codecs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	if s.src, err = c.NewReader(data); err != nil {
		return nil, s.codecError(err)
	}
	return s, nil
}

// dataReader yields the stored state, chunk by chunk.
type dataReader struct {
	r     *Reader
	next  int
	buf   []byte
	rest  []byte // of the chunk read last
	total Total
	err   error // sticky; io.EOF once everything was checked
}

func (d *dataReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(d.rest) == 0 {
		if d.err == nil {
			d.err = d.advance()
		}
		if d.err != nil {
			return 0, d.err
		}
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// advance reads the next chunk; at the end it checks the whole.
func (d *dataReader) advance() error {
	if d.next == d.r.Chunks() {
		if err := d.r.checkTotal(&d.total); err != nil {
			return err
		}
		return io.EOF
	}
	if d.buf == nil {
		d.buf = make([]byte, d.r.window())
	}
	data, _, err := d.r.Chunk(d.next, d.buf)
	if err != nil {
		return err
	}
	d.total.Add(data)
	d.rest, d.next = data, d.next+1
	return nil
}

// failed reports whether the file could not be read or did not verify.
func (d *dataReader) failed() bool { return d.err != nil && d.err != io.EOF }

// stateReader bounds what the codec yields by what the trailer promises.
type stateReader struct {
	r    *Reader
	data *dataReader
	src  io.ReadCloser
	left int64
	err  error // sticky
}

func (s *stateReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if s.err == nil && s.left == 0 {
		s.err = s.end()
	}
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.src.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	switch {
	case err == nil || err == io.EOF && s.left == 0:
	case err == io.EOF && !s.data.failed():
		s.err = s.mismatch("the state ends %d bytes early", s.left)
	default:
		s.err = s.codecError(err)
	}
	if n > 0 {
		return n, nil
	}
	return 0, s.err
}

// end returns io.EOF when codec and file agree that nothing follows.
func (s *stateReader) end() error {
	n, err := io.ReadFull(s.src, make([]byte, 1))
	if n > 0 {
		return s.mismatch("more state than %d bytes", s.r.info.StateBytes)
	}
	if err != io.EOF {
		return s.codecError(err)
	}
	if _, err := io.Copy(io.Discard, s.data); err != nil {
		return err
	}
	return io.EOF
}

func (s *stateReader) mismatch(format string, args ...any) error {
	return at(s.r.name, corrupt(s.r.info.Offset(s.r.Chunks()), format, args...))
}

// codecError tells a failure to read the file, which the codec may have wrapped, from one of the codec.
func (s *stateReader) codecError(err error) error {
	if s.data.failed() {
		return s.data.err
	}
	if s.r.info.Codec == "" {
		return err
	}
	return fmt.Errorf("%s: %w %q: %w", s.r.name, ErrCodec, s.r.info.Codec, err)
}

func (s *stateReader) Close() error { return s.src.Close() }
