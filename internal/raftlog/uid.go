package raftlog

import (
	"errors"
	"fmt"
)

// UID is the name of a log: 1 to MaxUIDLen characters of the base64url alphabet
// (A-Z a-z 0-9 - _), without padding. It never becomes a path.
type UID string

// MaxUIDLen is the longest UID, in bytes.
const MaxUIDLen = 128

// ErrBadUID is wrapped by every error of Validate.
var ErrBadUID = errors.New("bad uid")

// Validate returns nil, or an error that wraps ErrBadUID and says what is wrong.
func (u UID) Validate() error {
	if u == "" {
		return fmt.Errorf("%w: empty", ErrBadUID)
	}
	if len(u) > MaxUIDLen {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrBadUID, len(u), MaxUIDLen)
	}
	for i := range len(u) {
		if !base64url(u[i]) {
			return fmt.Errorf("%w: byte %#02x at %d is not of the base64url alphabet", ErrBadUID, u[i], i)
		}
	}
	return nil
}

func base64url(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
