package engine

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/memtable"
)

// Cursor is a place in one life of a log: behind an entry. Its text is one line of printable
// ASCII that needs no quoting in a URL or a shell:
//
//	rawl1.<uid>.<incarnation>.<term>.<index>.<checksum>
//
// The 1 is the version. Numbers are decimal without leading zeros; the checksum is the CRC-32C
// of everything before its dot, as eight lower-case hexadecimal digits. A cursor has exactly one
// text. It protects against accidents, not against forgery.
type Cursor struct {
	UID UID
	// Incarnation is the id of the log's life.
	Incarnation LogID
	// At is the entry behind which to go on. Index 0 is the log's begin. Term 0 with an index
	// means that the entry is not known, and divergence is not looked for.
	At EntryID
}

const (
	cursorMagic   = "rawl"
	cursorVersion = "1"
	// maxCursorText is above the longest text: a UID, three numbers, punctuation.
	maxCursorText = 256
)

// String returns the text.
func (c Cursor) String() string {
	b := make([]byte, 0, 96)
	b = append(b, cursorMagic+cursorVersion+"."...)
	b = append(b, c.UID...)
	for _, n := range [...]uint64{uint64(c.Incarnation), uint64(c.At.Term), uint64(c.At.Index)} {
		b = strconv.AppendUint(append(b, '.'), n, 10)
	}
	return string(fmt.Appendf(b, ".%08x", frame.Checksum(b)))
}

// MarshalText returns the text of a cursor.
func (c Cursor) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is ParseCursor into c.
func (c *Cursor) UnmarshalText(text []byte) error {
	if len(text) > maxCursorText {
		return tooLongCursor(len(text))
	}
	parsed, err := ParseCursor(string(text))
	if err == nil {
		*c = parsed
	}
	return err
}

func tooLongCursor(n int) error {
	return fmt.Errorf("%w: %d bytes, at most %d", ErrBadCursor, n, maxCursorText)
}

// ParseCursor reads the text of a cursor. Errors: ErrBadCursor, ErrVersion.
func ParseCursor(text string) (Cursor, error) {
	if len(text) > maxCursorText {
		return Cursor{}, tooLongCursor(len(text))
	}
	head, _, dotted := strings.Cut(text, ".")
	version, found := strings.CutPrefix(head, cursorMagic)
	if !found || !dotted {
		return Cursor{}, fmt.Errorf("%w: it does not begin with %q", ErrBadCursor, cursorMagic)
	}
	if _, ok := decimal(version); !ok {
		return Cursor{}, fmt.Errorf("%w: version %q", ErrBadCursor, version)
	}
	if version != cursorVersion {
		return Cursor{}, fmt.Errorf("%w: cursor of version %s", ErrVersion, version)
	}
	at := strings.LastIndexByte(text, '.')
	if want := fmt.Sprintf("%08x", frame.Checksum([]byte(text[:at]))); text[at+1:] != want {
		return Cursor{}, fmt.Errorf("%w: checksum", ErrBadCursor)
	}
	return parseCursorFields(strings.Split(text[:at], "."))
}

// parseCursorFields reads what the checksum covers; the first field was read already.
func parseCursorFields(fields []string) (Cursor, error) {
	if len(fields) != 5 {
		return Cursor{}, fmt.Errorf("%w: %d fields", ErrBadCursor, len(fields)+1)
	}
	c := Cursor{UID: UID(fields[1])}
	if err := c.UID.Validate(); err != nil {
		return Cursor{}, fmt.Errorf("%w: %w", ErrBadCursor, err)
	}
	var numbers [3]uint64
	for i, name := range [...]string{"incarnation", "term", "index"} {
		n, ok := decimal(fields[2+i])
		if !ok {
			return Cursor{}, fmt.Errorf("%w: %s", ErrBadCursor, name)
		}
		numbers[i] = n
	}
	c.Incarnation, c.At = LogID(numbers[0]), EntryID{Term: Term(numbers[1]), Index: Index(numbers[2])}
	if err := c.validate(); err != nil {
		return Cursor{}, err
	}
	return c, nil
}

// validate refuses what no log can have.
func (c Cursor) validate() error {
	switch {
	case c.Incarnation == 0:
		return fmt.Errorf("%w: incarnation 0", ErrBadCursor)
	case c.At.Index == 0 && c.At.Term != 0:
		return fmt.Errorf("%w: a term without an index", ErrBadCursor)
	case c.At.Index > memtable.MaxIndex:
		return fmt.Errorf("%w: index %d", ErrBadCursor, c.At.Index)
	}
	return nil
}

// decimal reads a number that is written in the one way there is.
func decimal(s string) (n uint64, ok bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && s == strconv.FormatUint(n, 10)
}
