package raft

import (
	"encoding/binary"
	"math"
	"time"
)

// ServerOptions are what of its node's options a server has for itself. They are kept on disk with it. Zero is the node's
// option in each field.
type ServerOptions struct {
	// TickInterval, SnapshotTimeout, WindowEntries, WindowBytes and RecoveryInterval are those of NodeOptions.
	TickInterval, SnapshotTimeout time.Duration
	WindowEntries, WindowBytes    int
	RecoveryInterval              int
	// AwaitTimeout is after how long a follower asks again for an entry that it misses. Default 30 s.
	AwaitTimeout time.Duration
}

// maxCount bounds the options that count something.
const maxCount = 1 << 30

func (o *ServerOptions) validate() error {
	for _, d := range []time.Duration{o.TickInterval, o.SnapshotTimeout, o.AwaitTimeout} {
		if d < 0 || d%time.Millisecond != 0 || d.Milliseconds() > math.MaxUint32 {
			return malformed("server option of %v, want whole milliseconds, at most %d", d, uint32(math.MaxUint32))
		}
	}
	for _, count := range []int{o.WindowEntries, o.WindowBytes, max(o.RecoveryInterval, 0)} {
		if count < 0 || count > maxCount {
			return malformed("server option of %d, want 0 to %d", count, maxCount)
		}
	}
	if o.RecoveryInterval < -1 {
		return malformed("recovery interval %d, want -1 or more", o.RecoveryInterval)
	}
	return nil
}

// kept is what a record holds of options: nothing when all are the node's.
func (o ServerOptions) kept() *ServerOptions {
	if o == (ServerOptions{}) {
		return nil
	}
	return &o
}

// optionsOf are the options of a record, those of the node where it has none.
func (n *Node) optionsOf(r *serverRecord) ServerOptions {
	var o ServerOptions
	if r.Options != nil {
		o = *r.Options
	}
	orElse(&o.TickInterval, n.opts.TickInterval)
	orElse(&o.SnapshotTimeout, n.opts.SnapshotTimeout)
	orElse(&o.WindowEntries, n.opts.WindowEntries)
	orElse(&o.WindowBytes, n.opts.WindowBytes)
	orElse(&o.RecoveryInterval, n.opts.RecoveryInterval)
	return o
}

func orElse[T comparable](field *T, otherwise T) {
	var zero T
	if *field == zero {
		*field = otherwise
	}
}

// appendTo encodes options: tick, snapshot and await in milliseconds, the window's entries and bytes (uvarints), the
// recovery interval (varint).
func (o *ServerOptions) appendTo(b []byte) []byte {
	for _, d := range []time.Duration{o.TickInterval, o.SnapshotTimeout, o.AwaitTimeout} {
		b = binary.AppendUvarint(b, uint64(d.Milliseconds()))
	}
	b = binary.AppendUvarint(b, uint64(o.WindowEntries))
	b = binary.AppendUvarint(b, uint64(o.WindowBytes))
	return binary.AppendVarint(b, int64(o.RecoveryInterval))
}

// serverOptions decodes appendTo's bytes. Error: ErrMalformed.
func (d *commandDecoder) serverOptions() (*ServerOptions, error) {
	var o ServerOptions
	var most uint64
	next := func() uint64 {
		v := d.uvarint()
		most = max(most, v)
		return v
	}
	for _, field := range []*time.Duration{&o.TickInterval, &o.SnapshotTimeout, &o.AwaitTimeout} {
		*field = time.Duration(next()) * time.Millisecond
	}
	o.WindowEntries, o.WindowBytes = int(next()), int(next())
	zigzag := next()
	o.RecoveryInterval = int(zigzag>>1) ^ -int(zigzag&1)
	if d.bad || most > math.MaxUint32 {
		return nil, malformed("options of a server record")
	}
	return &o, o.validate()
}
