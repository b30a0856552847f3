package memtable

import "errors"

var (
	// ErrGap says that an entry's index is not the next one of the table.
	ErrGap = errors.New("memtable: index out of sequence")
	// ErrTooLarge says that a payload exceeds MaxPayload.
	ErrTooLarge = errors.New("memtable: payload too large")
	// ErrConflict says that another entry is already stored at the index.
	ErrConflict = errors.New("memtable: index holds another entry")
)
