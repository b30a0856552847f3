package raft

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// wireErrors are the errors that callers look for, by their codes on the wire, which are frozen. An error that is none of
// them, and wraps none, is its text alone on another node.
var wireErrors = [...]error{
	1: ErrClosed, 2: ErrUnknownServer, 3: ErrStopped, 4: ErrRunning, 5: ErrExists, 6: ErrUnknownMachine, 7: ErrUnknownQuery,
	8: ErrTooLarge, 9: ErrNoLeader, 10: ErrUnreachable, 11: ErrLost, 12: ErrNoAnswer, 13: ErrClusterNotFormed, 14: ErrMustJoin,
	15: ErrRemoved, 16: ErrDeleted, 17: ErrUnknownSystem, 18: ErrEffect, 19: ErrNoAux, 20: ErrMalformed, 21: ErrUnknownFormat,
	22: ErrMachine, 23: ErrMachineVersion, 24: ErrApplyOrder, 25: ErrBusy, 26: ErrSessionExpired, 27: ErrStale, 28: ErrWindow,
	29: ErrOutOfOrder, 30: ErrSessionsFull, 31: ErrReplyTooLarge, 32: ErrReplyGone, 33: ErrIncomplete, 34: ErrNotUnderstood,
	35: ErrReplyEncoding, 36: ErrForbidden,

	64: core.ErrNotLeader, 65: core.ErrTransferring, 66: core.ErrDeleting, 67: core.ErrChangeInProgress, 68: core.ErrNotReady,
	69: core.ErrConfigurationMoved, 70: core.ErrAlreadyMember, 71: core.ErrNotMember, 72: core.ErrNotVoter, 73: core.ErrBadMember,
	74: core.ErrTransferTimeout, 75: core.ErrAlreadyLeader, 76: core.ErrRefused, 77: core.ErrEnded, 78: core.ErrProtocol,
	79: core.ErrBadEntry, 80: core.ErrVersion, 81: core.ErrBadID, 82: core.ErrBadMessage,

	128: engine.ErrClosed, 129: engine.ErrInUse, 130: engine.ErrVersion, 131: engine.ErrCorrupt, 132: engine.ErrUnsupported,
	133: engine.ErrMissingWAL, 134: engine.ErrOptions, 135: engine.ErrBadUID, 136: engine.ErrNotFound, 137: engine.ErrExists,
	138: engine.ErrDeleted, 139: engine.ErrGap, 140: engine.ErrTooLarge, 141: engine.ErrHardState, 142: engine.ErrCompacted,
	143: engine.ErrOutOfRange, 144: engine.ErrTruncated, 145: engine.ErrNotDurable, 146: engine.ErrSnapshotRunning,
	147: engine.ErrSnapshotOld, 148: engine.ErrSnapshotState, 149: engine.ErrSnapshotCodec, 150: engine.ErrSnapshotKind,
	151: engine.ErrOtherSnapshot, 152: engine.ErrChunkOrder, 153: engine.ErrChunkMissing, 154: engine.ErrLiveMissing,
	155: engine.ErrInstallEnded, 156: engine.ErrNoSnapshot, 157: engine.ErrBusy, 158: engine.ErrReadOnly, 159: engine.ErrFailed,
	160: engine.ErrStalled, 161: engine.ErrQuarantined, 162: engine.ErrPlanClosed,

	224: context.Canceled, 225: context.DeadlineExceeded,
}

const (
	// maxErrorCodes bounds the codes of one error.
	maxErrorCodes = 32
	// maxErrorText bounds the text of one, in bytes.
	maxErrorText = 1024
)

// remoteError is an error that another node answered with. It is what that was to errors.Is, as far as wireErrors go, and says
// the same.
type remoteError struct {
	text  string
	codes []uint64 // ascending; such as this code does not know among them
}

// Error implements error.
func (e *remoteError) Error() string { return e.text }

// Is makes it the errors of its codes.
func (e *remoteError) Is(target error) bool {
	return slices.ContainsFunc(e.codes, func(c uint64) bool { return c < uint64(len(wireErrors)) && wireErrors[c] == target })
}

// appendError encodes an error:
//
//	uvarint  number of codes, at most maxErrorCodes; then the codes, ascending
//	string   text, at most maxErrorText
//
// No codes and no text are no error.
func appendError(b []byte, err error) []byte {
	e := remoteErrorOf(err)
	b = binary.AppendUvarint(b, uint64(len(e.codes)))
	for _, c := range e.codes {
		b = binary.AppendUvarint(b, c)
	}
	return appendName(b, e.text)
}

// remoteErrorOf is what another node gets to know of an error. What a user's error does here, a panic included, ends here.
func remoteErrorOf(err error) *remoteError {
	if e, ok := err.(*remoteError); ok || err == nil {
		if e == nil {
			e = &remoteError{}
		}
		return e
	}
	if c := slices.Index(wireErrors[:], err); c > 0 { // nearly always, as when a server does not lead
		return &remoteError{text: err.Error(), codes: []uint64{uint64(c)}}
	}
	e := &remoteError{}
	if failed := guard("Error", 0, func() {
		for c, target := range wireErrors {
			if target != nil && len(e.codes) < maxErrorCodes && errors.Is(err, target) {
				e.codes = append(e.codes, uint64(c))
			}
		}
		e.text = err.Error()
	}); failed != nil {
		e = &remoteError{text: failed.Error()}
	}
	if e.text == "" {
		e.text = "raft: an error without a text"
	}
	if len(e.text) > maxErrorText {
		e.text = strings.ToValidUTF8(e.text[:maxErrorText], "")
	}
	return e
}

// remoteError reads an error, nil for none.
func (d *packetDecoder) remoteError() error {
	e := &remoteError{}
	for range d.count(maxErrorCodes, 1) {
		c := d.uvarint()
		if k := len(e.codes); c == 0 || k > 0 && c <= e.codes[k-1] {
			d.refuse()
		}
		e.codes = append(e.codes, c)
	}
	text := d.take(d.uvarint())
	switch {
	case len(text) > maxErrorText:
		d.refuse()
		return nil
	case len(text) == 0 && len(e.codes) > 0:
		d.refuse()
	case len(text) == 0:
		return nil
	}
	e.text = string(text)
	return e
}
