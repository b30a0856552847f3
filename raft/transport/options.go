package transport

import (
	"errors"
	"fmt"
)

// Options are those of a Network. Now must be set; the zero value of any other field stands for its default.
type Options struct {
	// Seed is what everything random is drawn from. Any value is as good as another.
	Seed uint64
	// Now returns the time in nanoseconds. It never goes back. In production mode it must go as fast as time does.
	Now func() int64
	// Stepped chooses the stepped mode.
	Stepped bool
	// Outbox bounds the bytes that wait in an outbox, by class. Defaults: Control 4 MiB, Log 64 MiB,
	// Snapshot 16 MiB; each at least 1 KiB, at most 4 GiB.
	Outbox [Classes]int
}

func (o Options) withDefaults() Options {
	for c, bytes := range [Classes]int{Control: 4 << 20, Log: 64 << 20, Snapshot: 16 << 20} {
		if o.Outbox[c] == 0 {
			o.Outbox[c] = bytes
		}
	}
	return o
}

func (o Options) validate() error {
	var found []error
	if o.Now == nil {
		found = append(found, errors.New("transport: Now is nil"))
	}
	for c, bytes := range o.Outbox {
		if bytes < 1<<10 || bytes > 1<<32 {
			found = append(found, fmt.Errorf("transport: Outbox of %v %d is not within 1 KiB and 4 GiB", Class(c), bytes))
		}
	}
	return errors.Join(found...)
}
