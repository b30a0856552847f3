package engine

import (
	"errors"
	"fmt"
)

// ReaderOptions configures an external reader. The zero value is a good setting.
type ReaderOptions struct {
	// Name is shown by Engine.Readers. At most 128 bytes.
	Name string
	// Uncommitted makes the reader deliver entries as soon as they are durable in this log,
	// committed or not. They may be truncated later: the reader then ends with a TruncatedError.
	Uncommitted bool
	// Range bounds what is delivered; a reader that has passed Last ends without an error. Last
	// 0 is no end; the zero Range bounds nothing.
	Range Range
	// Types, when it is not nil, has the only types of entries that are delivered.
	Types []uint8
	// Filter, when it is not nil, decides what is delivered. It is asked on the goroutine of the
	// consumer before the payload is read, in order, maybe more than once for an entry; it must
	// not call the reader. When it panics the reader ends with a FilterError.
	Filter func(i Index, term Term, typ uint8) bool
	// MaxBatchEntries bounds the entries taken in one step, which is the length of a Batch.
	// Default 256, 1 to 65,536.
	MaxBatchEntries int
	// MaxBatchBytes bounds their payloads, in bytes; a larger entry is taken alone. Entries that
	// lie in memory are not copied, those in segments are, into a buffer of that size. Default
	// 1 MiB, 1 to 64 MiB.
	MaxBatchBytes int
	// Checksums makes every Batch carry the running checksum. It costs about as much as the rest of
	// a batch of entries that are in memory.
	Checksums bool
	// Checksum is the running checksum to continue, that of the last Batch before. Default 0,
	// that of nothing. Only with Checksums.
	Checksum uint64
}

const (
	maxReaderName         = 128
	maxReaderBatchEntries = 1 << 16
	maxReaderBatchBytes   = 64 << 20
)

func (o ReaderOptions) withDefaults() ReaderOptions {
	set(&o.MaxBatchEntries, 256)
	set(&o.MaxBatchBytes, 1<<20)
	if o.Range.Last == 0 {
		o.Range.Last = ^Index(0)
	}
	return o
}

// validate returns every violation, joined, each wrapping ErrOptions.
func (o ReaderOptions) validate() error {
	var errs []error
	check := func(ok bool, field string, value any, bounds string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%w: reader's %s is %v, must be %s", ErrOptions, field, value, bounds))
		}
	}
	check(len(o.Name) <= maxReaderName, "Name", len(o.Name), "at most 128 bytes long")
	check(o.Range.First <= o.Range.Last, "Range", o.Range, "ascending")
	check(o.Checksums || o.Checksum == 0, "Checksum", o.Checksum, "0 without Checksums")
	check(o.MaxBatchEntries >= 1 && o.MaxBatchEntries <= maxReaderBatchEntries, "MaxBatchEntries", o.MaxBatchEntries, "1 to 65536")
	check(o.MaxBatchBytes >= 1 && o.MaxBatchBytes <= maxReaderBatchBytes, "MaxBatchBytes", o.MaxBatchBytes, "1 to 64 MiB")
	return errors.Join(errs...)
}

// sieve is what ReaderOptions leaves through.
type sieve struct {
	uid    UID
	types  *[256]bool // nil for all
	filter func(i Index, term Term, typ uint8) bool
}

func newSieve(uid UID, o ReaderOptions) sieve {
	s := sieve{uid: uid, filter: o.Filter}
	if o.Types != nil {
		s.types = new([256]bool)
		for _, t := range o.Types {
			s.types[t] = true
		}
	}
	return s
}

// open reports whether everything passes.
func (s *sieve) open() bool { return s.types == nil && s.filter == nil }

// passes decides on an entry. Errors: FilterError.
func (s *sieve) passes(id EntryID, typ uint8) (bool, error) {
	if s.types != nil && !s.types[typ] {
		return false, nil
	}
	if s.filter == nil {
		return true, nil
	}
	return s.ask(id, typ)
}

func (s *sieve) ask(id EntryID, typ uint8) (ok bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &FilterError{UID: s.uid, At: id, Panic: p}
		}
	}()
	return s.filter(id.Index, id.Term, typ), nil
}
