package raft

import (
	"errors"
	"fmt"
)

// Errors that say why a command was not applied, or why its reply is not there.
var (
	// ErrBusy means that the leader has no room for the command now. It was not appended; try again later.
	ErrBusy = errors.New("raft: busy")
	// ErrSessionExpired means that the session does not exist, or no longer. The command was not
	// applied by this attempt; whether an earlier attempt applied it, nobody knows any more.
	ErrSessionExpired = errors.New("raft: session expired")
	// ErrStale means that the client had given the command up: a command of its session said that it
	// wanted no answer to this number. This attempt did not apply it, and no later one will.
	ErrStale = errors.New("raft: command was given up before")
	// ErrWindow means that the number is too far above the lowest unacknowledged one. The command
	// was not applied.
	ErrWindow = errors.New("raft: command exceeds its session's window")
	// ErrOutOfOrder means that a lower number of an ordered session is not applied yet. The command
	// was not applied; send it again behind the others.
	ErrOutOfOrder = errors.New("raft: command ahead of its order")
	// ErrSessionsFull means that the cluster has no room for another session, or for another
	// command in one. Nothing was applied.
	ErrSessionsFull = errors.New("raft: session table full")
	// ErrReplyTooLarge means that the command was applied but its reply exceeds MaxReply.
	ErrReplyTooLarge = errors.New("raft: reply too large")
	// ErrReplyGone means that the command was applied by an earlier attempt whose reply was not kept, for
	// lack of room.
	ErrReplyGone = errors.New("raft: reply no longer kept")
)

// ReplyStatus is what became of a command when its entry was applied. The numbers are frozen: they
// travel between nodes.
type ReplyStatus uint8

// The statuses. What Applied reports of them tells whether the command has taken effect.
const (
	// StatusApplied comes with the machine's reply, new or recalled.
	StatusApplied ReplyStatus = 0
	// StatusReplyTooLarge is ErrReplyTooLarge.
	StatusReplyTooLarge ReplyStatus = 1
	// StatusReplyGone is ErrReplyGone.
	StatusReplyGone ReplyStatus = 2
	// StatusSessionExpired is ErrSessionExpired.
	StatusSessionExpired ReplyStatus = 3
	// StatusStale is ErrStale.
	StatusStale ReplyStatus = 4
	// StatusWindow is ErrWindow.
	StatusWindow ReplyStatus = 5
	// StatusOutOfOrder is ErrOutOfOrder.
	StatusOutOfOrder ReplyStatus = 6
	// StatusSessionsFull is ErrSessionsFull.
	StatusSessionsFull ReplyStatus = 7

	// statusDuplicate never leaves the session table: the answer is the one that recall gives.
	statusDuplicate ReplyStatus = 255
)

// Applied reports whether the command has taken effect, by this entry or an earlier one. A command of which it
// does not hold was not applied by this entry; with StatusSessionExpired and StatusStale an earlier one
// may have.
func (s ReplyStatus) Applied() bool { return s <= StatusReplyGone }

// Err is nil for StatusApplied, the error named beside the status for the others, and an error of
// its own for a number that this code does not know.
func (s ReplyStatus) Err() error {
	switch s {
	case StatusApplied:
		return nil
	case StatusReplyTooLarge:
		return ErrReplyTooLarge
	case StatusReplyGone:
		return ErrReplyGone
	case StatusSessionExpired:
		return ErrSessionExpired
	case StatusStale:
		return ErrStale
	case StatusWindow:
		return ErrWindow
	case StatusOutOfOrder:
		return ErrOutOfOrder
	case StatusSessionsFull:
		return ErrSessionsFull
	}
	return fmt.Errorf("raft: unknown reply status %d", uint8(s))
}
