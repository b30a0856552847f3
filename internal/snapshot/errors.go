package snapshot

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/frame"
)

var (
	// ErrCorrupt is what every *CorruptError is.
	ErrCorrupt = frame.ErrCorrupt
	// ErrVersion means: sound, but of a version this program does not know.
	ErrVersion = frame.ErrVersion
	// ErrUnfinished means that the file has no sound trailer: its writer did not come to the end, or its
	// end is damaged.
	ErrUnfinished = errors.New("snapshot: unfinished")
	// ErrOtherSnapshot means a chunk that is none of this snapshot.
	ErrOtherSnapshot = errors.New("snapshot: chunk of another snapshot")
	// ErrCodec means that the state is encoded by a codec that was not given, or that the codec
	// failed on bytes that verified.
	ErrCodec = errors.New("snapshot: codec")
	// ErrMeta means a Meta that cannot be written.
	ErrMeta = errors.New("snapshot: bad meta")
)

// NoChunk is CorruptError.Chunk of damage outside the chunks.
const NoChunk = -1

// CorruptError says which bytes did not verify. errors.Is(err, ErrCorrupt) holds.
type CorruptError struct {
	// Path is empty for bytes that came from no file.
	Path string
	// Offset is where the damage was seen, in bytes from the start of the file.
	Offset int64
	// Chunk is the chunk's number, or NoChunk.
	Chunk  int
	Reason string
}

func (e *CorruptError) Error() string {
	where := "snapshot"
	if e.Path != "" {
		where = e.Path
	}
	if e.Chunk != NoChunk {
		return fmt.Sprintf("%s: %v at byte %d: chunk %d: %s", where, ErrCorrupt, e.Offset, e.Chunk, e.Reason)
	}
	return fmt.Sprintf("%s: %v at byte %d: %s", where, ErrCorrupt, e.Offset, e.Reason)
}

// Unwrap returns ErrCorrupt.
func (e *CorruptError) Unwrap() error { return ErrCorrupt }

// corrupt is damage outside the chunks.
func corrupt(off int64, format string, args ...any) *CorruptError {
	return &CorruptError{Offset: off, Chunk: NoChunk, Reason: fmt.Sprintf(format, args...)}
}

// at names the file in an error of a decoder.
func at(path string, err error) error {
	var c *CorruptError
	if errors.As(err, &c) {
		c.Path = path
		return c
	}
	return fmt.Errorf("%s: %w", path, err)
}
