package wal

import (
	"encoding/binary"

	"github.com/rawl-db/rawl/internal/frame"
)

// maxChainBytes bounds an entry that travels in fragments, in bytes.
const maxChainBytes = 1 << 30

// recChain is an entry that is being put together. It grows with what has arrived, so that no
// length in a fragment makes it allocate.
type recChain struct {
	index, term uint64
	sum, total  uint32
	got         []byte
	broken      bool // a part is missing
}

// chainStep is what a fragment did to its log's chain.
type chainStep uint8

const (
	chainGrows chainStep = iota
	chainDone            // the entry is whole, in got
	chainLost            // it ended, but a durable part of it is missing
)

// add takes the next fragment. bad says that its payload did not verify. dropped is
// true when it begins a new chain while another one was unfinished.
func (c *recChain) add(r *frame.Record, bad, active bool) (step chainStep, dropped bool) {
	var sum, total, off uint32
	var part []byte
	if !bad && len(r.Payload) >= fragmentPrefix {
		sum = binary.LittleEndian.Uint32(r.Payload[0:])
		total = binary.LittleEndian.Uint32(r.Payload[4:])
		off = binary.LittleEndian.Uint32(r.Payload[8:])
		part = r.Payload[fragmentPrefix:]
	} else {
		bad = true
	}
	switch {
	case r.Flags&FlagFirst != 0:
		dropped = active
		*c = recChain{index: r.Index, term: r.Term, sum: sum, total: total, got: c.got[:0]}
	case !active:
		*c = recChain{index: r.Index, term: r.Term, got: c.got[:0], broken: true}
	}
	if bad || total > maxChainBytes || r.Index != c.index || r.Term != c.term || sum != c.sum || total != c.total ||
		int(off) != len(c.got) || len(part) > int(total)-len(c.got) {
		c.broken = true
	}
	if !c.broken {
		c.got = append(c.got, part...)
	}
	if r.Flags&FlagLast == 0 {
		return chainGrows, dropped
	}
	if c.broken || len(c.got) != int(c.total) || frame.Checksum(c.got) != c.sum {
		return chainLost, dropped
	}
	return chainDone, dropped
}
