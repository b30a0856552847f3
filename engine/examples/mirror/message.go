package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/rawl-db/rawl/engine"
)

const (
	protocolMagic   = "RMIR"
	protocolVersion = 1
)

// ErrVersion means that the other side speaks a version of the protocol that this one does not.
var ErrVersion = errors.New("mirror: unknown version")

// appendHello appends magic and version, which the two requests begin with.
func appendHello(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(append(b, protocolMagic...), protocolVersion)
}

// cutHello returns what follows magic and version. Errors: ErrFrame, ErrVersion.
func cutHello(body []byte) ([]byte, error) {
	if len(body) < 8 || string(body[:4]) != protocolMagic {
		return nil, fmt.Errorf("%w: no magic", ErrFrame)
	}
	if v := binary.LittleEndian.Uint32(body[4:]); v != protocolVersion {
		return nil, fmt.Errorf("%w: %d", ErrVersion, v)
	}
	return body[8:], nil
}

// request asks for the entries of a log.
type request struct {
	UID engine.UID
	// Cursor is the place behind which to go on, nil for the log's begin.
	Cursor *engine.Cursor `json:",omitempty"`
	// Checksum is the running checksum up to there.
	Checksum uint64
	// Restart asks for the newest snapshot before the entries behind it; Cursor and Checksum are not set then.
	Restart bool `json:",omitempty"`
	// Once asks for what is committed now, and an end.
	Once bool `json:",omitempty"`
}

// RefusedError says why the source does not serve a log. Gap and Diverged are set for these
// two; errors.As finds them, and errors.Is what they stand for.
type RefusedError struct {
	Text     string
	Gap      *engine.GapError      `json:",omitempty"`
	Diverged *engine.DivergedError `json:",omitempty"`
}

func refusal(err error) *RefusedError {
	r := &RefusedError{Text: err.Error()}
	// What does not match stays nil.
	_ = errors.As(err, &r.Gap)
	_ = errors.As(err, &r.Diverged)
	return r
}

func (e *RefusedError) Error() string { return "mirror: refused by the source: " + e.Text }

// Unwrap returns what is known beside the text.
func (e *RefusedError) Unwrap() []error {
	var list []error
	if e.Gap != nil {
		list = append(list, e.Gap)
	}
	if e.Diverged != nil {
		list = append(list, e.Diverged)
	}
	return list
}

// appendJSON appends a frame whose body is prefix and the JSON of v, which can not fail to have one.
func appendJSON(b []byte, k kind, prefix []byte, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // a message that has no JSON is a mistake in this program
	}
	return appendFrame(b, k, func(b []byte) []byte { return append(append(b, prefix...), text...) })
}

// parseJSON reads what appendJSON wrote, without its prefix. The error wraps ErrFrame.
func parseJSON(body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return nil
}

// parseLogs reads the names in a frame of kindLogs.
func parseLogs(body []byte) (uids []engine.UID, err error) {
	if err := parseJSON(body, &uids); err != nil {
		return nil, err
	}
	for _, uid := range uids {
		if err := uid.Validate(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFrame, err)
		}
	}
	return uids, nil
}

// parseCursor reads the cursor in a frame of kindPlace.
func parseCursor(body []byte) (engine.Cursor, error) {
	var c engine.Cursor
	if err := c.UnmarshalText(body); err != nil {
		return c, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return c, nil
}

const (
	batchHeaderBytes = 8 + 8 + 4
	entryHeaderBytes = 8 + 1 + 4
)

// appendBatch appends a frame of kindBatch or kindLive with a batch, which has all entries from its first on.
func appendBatch(b []byte, k kind, batch *engine.Batch) []byte {
	return appendFrame(b, k, func(b []byte) []byte {
		b = binary.LittleEndian.AppendUint64(b, uint64(batch.First.Index))
		b = binary.LittleEndian.AppendUint64(b, batch.Checksum)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(batch.Entries)))
		for i := range batch.Entries {
			e := &batch.Entries[i]
			b = append(binary.LittleEndian.AppendUint64(b, uint64(e.Term)), e.Type)
			b = append(binary.LittleEndian.AppendUint32(b, uint32(len(e.Data))), e.Data...)
		}
		return b
	})
}

// parseBatch appends the entries of a batch to into, whose data aliases body. The error wraps
// ErrFrame.
func parseBatch(body []byte, into []engine.Entry) (entries []engine.Entry, checksum uint64, err error) {
	if len(body) < batchHeaderBytes {
		return nil, 0, fmt.Errorf("%w: batch of %d bytes", ErrFrame, len(body))
	}
	index := engine.Index(binary.LittleEndian.Uint64(body))
	checksum = binary.LittleEndian.Uint64(body[8:])
	count := binary.LittleEndian.Uint32(body[16:])
	body = body[batchHeaderBytes:]
	if count == 0 || uint64(count) > uint64(len(body)/entryHeaderBytes) {
		return nil, 0, fmt.Errorf("%w: %d entries in %d bytes", ErrFrame, count, len(body))
	}
	for range count {
		if len(body) < entryHeaderBytes {
			return nil, 0, fmt.Errorf("%w: entry %d is cut", ErrFrame, index)
		}
		e := engine.Entry{Index: index, Term: engine.Term(binary.LittleEndian.Uint64(body)), Type: body[8]}
		n := uint64(binary.LittleEndian.Uint32(body[9:]))
		if body = body[entryHeaderBytes:]; n > uint64(len(body)) {
			return nil, 0, fmt.Errorf("%w: entry %d is cut", ErrFrame, index)
		}
		e.Data, body = body[:n:n], body[n:]
		into = append(into, e)
		index++
	}
	if len(body) != 0 {
		return nil, 0, fmt.Errorf("%w: %d bytes behind the batch", ErrFrame, len(body))
	}
	return into, checksum, nil
}

// splitAddress returns network and address of what -listen and -connect take.
func splitAddress(s string) (network, address string) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		return "unix", path
	}
	return "tcp", s
}
