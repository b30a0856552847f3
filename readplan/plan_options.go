package readplan

import (
	"errors"
	"fmt"
)

// Order is the order in which an execution yields.
type Order uint8

const (
	// Sorted is by index, ascending. It reads with the fewest and longest reads.
	Sorted Order = iota
	// Requested is the order in which the indexes were given.
	Requested
)

// Advice says what the indexes are like.
type Advice uint8

const (
	// Random is for scattered entries: short reads, which join near neighbours only.
	Random Advice = iota
	// Sequential is for dense ranges: long reads, which also pass over wider gaps.
	Sequential
)

// maxDepth is the depth of a queue.
const maxDepth = 64

// Options says how a plan is executed. The zero value is good.
type Options struct {
	Order  Order
	Advice Advice
	// Depth is the most reads in flight. Default 32, 1 to 64.
	Depth int
	// OmitMissing leaves out indexes that the log did not have when the plan was made; else
	// each is yielded with the reason.
	OmitMissing bool
}

func (o Options) withDefaults() Options {
	if o.Depth == 0 {
		o.Depth = 32
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	if o.Order > Requested {
		errs = append(errs, fmt.Errorf("readplan: Order is %d, must be Sorted or Requested", o.Order))
	}
	if o.Advice > Sequential {
		errs = append(errs, fmt.Errorf("readplan: Advice is %d, must be Random or Sequential", o.Advice))
	}
	if o.Depth < 1 || o.Depth > maxDepth {
		errs = append(errs, fmt.Errorf("readplan: Depth is %d, must be 1 to %d", o.Depth, maxDepth))
	}
	return errors.Join(errs...)
}

// gap is how many bytes nobody asked for are read to join two entries into one piece.
func (o Options) gap() int64 {
	if o.Advice == Sequential {
		return 64 << 10
	}
	return 16 << 10
}
