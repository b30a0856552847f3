package detector

import (
	"errors"
	"fmt"
	"time"
)

// NodeID names a node for all its lives.
type NodeID = string

// Options say who the node is, how it reaches others and whom it tells. Node, Incarnation, Send, Changed
// and Notice must be set; the zero value of any other field stands for its default.
type Options struct {
	// Node is the name of this node.
	Node NodeID
	// Incarnation numbers this life of the node. It is higher than that of every earlier life.
	Incarnation uint64

	// Interval is the time between two heartbeats to a peer. Default 100 ms; 1 ms to 10 s.
	Interval time.Duration
	// Bound is the longest age of an arrival or an echo before a peer is suspected.
	// Default 1 s; at least Missed intervals, at most 10 min.
	Bound time.Duration
	// Missed is how many intervals an age must reach at least before a peer is suspected. Default 5; at least
	// 3, as an echo that nothing delays is up to two intervals and a round trip old.
	Missed int

	// NoticeBytes bounds the notices in one heartbeat, and each notice, with 4 bytes for each.
	// Default 16 KiB; 64 bytes to 1 MiB.
	NoticeBytes int
	// OutboxBytes bounds the notices that wait for one peer, with 4 bytes for each. Default 4 MiB; at least
	// NoticeBytes, at most 1 GiB.
	OutboxBytes int

	// Send hands a heartbeat to the network. It must not block and may drop. The heartbeat is never changed
	// afterwards by either side.
	Send func(*Heartbeat)
	// Changed reports a change of a peer that was watched when it changed. It must not block.
	Changed func(Change)
	// Notice hands over a notice of the given life of a peer. It must not block. The slice belongs to the callee,
	// who must not change it.
	Notice func(from NodeID, incarnation uint64, notice []byte)
}

func (o Options) withDefaults() Options {
	if o.Interval == 0 {
		o.Interval = 100 * time.Millisecond
	}
	if o.Bound == 0 {
		o.Bound = time.Second
	}
	if o.Missed == 0 {
		o.Missed = 5
	}
	if o.NoticeBytes == 0 {
		o.NoticeBytes = 16 << 10
	}
	if o.OutboxBytes == 0 {
		o.OutboxBytes = 4 << 20
	}
	return o
}

func (o Options) validate() error {
	var found []error
	demand := func(holds bool, format string, args ...any) {
		if !holds {
			found = append(found, fmt.Errorf("detector: "+format, args...))
		}
	}
	demand(o.Node != "", "Node is empty")
	demand(o.Incarnation != 0, "Incarnation is 0")
	demand(o.Interval >= time.Millisecond && o.Interval <= 10*time.Second, "Interval %v is not within 1 ms and 10 s", o.Interval)
	demand(o.Missed >= 3, "Missed %d is below 3", o.Missed)
	demand(o.Bound > 0 && o.Bound <= 10*time.Minute, "Bound %v is not within 0 and 10 min", o.Bound)
	demand(o.Interval <= 0 || int64(o.Missed) <= int64(o.Bound/o.Interval), "Bound %v is below Missed %d × Interval %v", o.Bound, o.Missed, o.Interval)
	demand(o.NoticeBytes >= 64 && o.NoticeBytes <= 1<<20, "NoticeBytes %d is not within 64 and 1 MiB", o.NoticeBytes)
	demand(o.OutboxBytes >= o.NoticeBytes && o.OutboxBytes <= 1<<30, "OutboxBytes %d is not within NoticeBytes %d and 1 GiB", o.OutboxBytes, o.NoticeBytes)
	demand(o.Send != nil, "Send is nil")
	demand(o.Changed != nil, "Changed is nil")
	demand(o.Notice != nil, "Notice is nil")
	return errors.Join(found...)
}
