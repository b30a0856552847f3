package raft_test

import (
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/rawl-db/rawl/raft"
)

// ledger is a machine that knows which numbers of which client it has applied. A client's numbers ascend from 1, and it
// sends one after the other.
type ledger struct {
	node    raft.NodeID
	clients map[uint32]*page
	applied uint64
}

// page is one client's.
type page struct {
	last  uint64   // the highest number
	holes []uint64 // below it, and not applied
	twice uint64   // commands that came again
}

// ledgerRelease is after how many commands a ledger lets go of the log.
const ledgerRelease = 50

// newLedger makes the ledger of a node's member.
func newLedger(node raft.NodeID) *ledger { return &ledger{node: node, clients: make(map[uint32]*page)} }

func ledgerCommand(client uint32, number uint64) []byte {
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, 200), client)
	return binary.LittleEndian.AppendUint64(b, number)[:200]
}

// Apply implements raft.Machine. The reply is the entry's term, and the node: that of the leader that appended it, when
// the reply is no recalled one.
func (l *ledger) Apply(ctx *raft.ApplyContext, command []byte) []byte {
	client, number := binary.LittleEndian.Uint32(command), binary.LittleEndian.Uint64(command[4:])
	p := l.clients[client]
	if p == nil {
		p = &page{}
		l.clients[client] = p
	}
	p.add(number)
	if l.applied++; l.applied%ledgerRelease == 0 {
		ctx.ReleaseCursor(raft.CursorConditions{})
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(ctx.Term)), l.node...)
}

func (p *page) add(n uint64) {
	if n > p.last {
		for k := p.last + 1; k < n; k++ {
			p.holes = append(p.holes, k)
		}
		p.last = n
		return
	}
	if k := slices.Index(p.holes, n); k >= 0 {
		p.holes = slices.Delete(p.holes, k, k+1)
		return
	}
	p.twice++
}

// has reports whether a number was applied.
func (p *page) has(n uint64) bool { return p != nil && n <= p.last && !slices.Contains(p.holes, n) }

func (l *ledger) encode() []byte {
	b := binary.LittleEndian.AppendUint64(nil, l.applied)
	for _, c := range slices.Sorted(maps.Keys(l.clients)) {
		p := l.clients[c]
		for _, x := range append([]uint64{uint64(c), p.last, p.twice, uint64(len(p.holes))}, p.holes...) {
			b = binary.LittleEndian.AppendUint64(b, x)
		}
	}
	return b
}

// Snapshot implements raft.Machine.
func (l *ledger) Snapshot() raft.View { return tallyView(l.encode()) }

// Restore implements raft.Machine.
func (l *ledger) Restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if len(b)%8 != 0 || len(b) == 0 {
		return errors.New("malformed state of a ledger")
	}
	next := func() (x uint64) {
		x, b = binary.LittleEndian.Uint64(b), b[8:]
		return x
	}
	for l.applied = next(); len(b) > 0; {
		c := uint32(next())
		p := &page{last: next(), twice: next()}
		for n := next(); n > 0; n-- {
			p.holes = append(p.holes, next())
		}
		l.clients[c] = p
	}
	return nil
}
