package detector

import "errors"

// ErrOutboxFull is returned by Notify when OutboxBytes of notices wait for the peer already. The notice is
// not taken; beliefs must be exchanged in another way.
var ErrOutboxFull = errors.New("detector: the outbox of notices is full")

// ErrNoticeSize is returned by Notify for a notice that no heartbeat may carry.
var ErrNoticeSize = errors.New("detector: notice larger than a heartbeat may carry")

// ErrSelf is returned by Notify for a notice from this node to itself.
var ErrSelf = errors.New("detector: notice to the own node")
