package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/rawl-db/rawl/raft"
)

const (
	// commandHeader is what a command begins with: the client, and the client's number for it, from 1.
	commandHeader = 12
	// releaseEvery is after how many commands a machine without padding lets go of the log.
	releaseEvery = 32 << 10
	maxClients   = 1 << 20
	// releaseNow is a command of nobody, which has the machine let go of the log at once.
	releaseNow = "release"
)

// tallyMachine remembers which commands of which client it has applied. A client numbers its commands and sends one after
// the other, so that what is missing are few holes.
type tallyMachine struct {
	clients map[uint32]*tally
	applied uint64
	padding int64 // bytes of its state that are no tally
}

// tally is what one client's commands came to.
type tally struct {
	last  uint64   // the highest number applied
	holes []uint64 // numbers below it that were not
	twice uint64   // commands that were applied before
}

func newTallyMachine() raft.Machine { return &tallyMachine{clients: make(map[uint32]*tally)} }

// newTallies makes machines whose states have so many bytes more.
func newTallies(padding int64) func() raft.Machine {
	return func() raft.Machine { return &tallyMachine{clients: make(map[uint32]*tally), padding: padding} }
}

func encodeCommand(b []byte, client uint32, number uint64) {
	binary.LittleEndian.PutUint32(b, client)
	binary.LittleEndian.PutUint64(b[4:], number)
}

// Apply implements raft.Machine.
func (m *tallyMachine) Apply(ctx *raft.ApplyContext, command []byte) []byte {
	m.applied++
	if len(command) >= commandHeader {
		client := binary.LittleEndian.Uint32(command)
		t := m.clients[client]
		if t == nil {
			t = &tally{}
			m.clients[client] = t
		}
		t.add(binary.LittleEndian.Uint64(command[4:]))
	}
	// One with padding does so when it is told only: what is measured beside a transfer is not to be that of writing snapshots.
	if m.padding == 0 && m.applied%releaseEvery == 0 || len(command) == len(releaseNow) && string(command) == releaseNow {
		ctx.ReleaseCursor(raft.CursorConditions{NoSnapshotSends: true})
	}
	return nil
}

func (t *tally) add(n uint64) {
	if n > t.last {
		for k := t.last + 1; k < n; k++ {
			t.holes = append(t.holes, k)
		}
		t.last = n
		return
	}
	for i, h := range t.holes {
		if h == n {
			t.holes = append(t.holes[:i], t.holes[i+1:]...)
			return
		}
	}
	t.twice++
}

func (t *tally) clone() *tally {
	c := *t
	c.holes = append([]uint64(nil), t.holes...)
	return &c
}

// Snapshot implements raft.Machine. A state is some bytes per client.
func (m *tallyMachine) Snapshot() raft.View { return &tallyView{*m.clone()} }

func (m *tallyMachine) clone() *tallyMachine {
	c := &tallyMachine{clients: make(map[uint32]*tally, len(m.clients)), applied: m.applied, padding: m.padding}
	for id, t := range m.clients {
		c.clients[id] = t.clone()
	}
	return c
}

type tallyView struct{ state tallyMachine }

// WriteTo writes the bytes of the tally, their number before them (64 bits, little-endian), and padding.
func (v *tallyView) WriteTo(w io.Writer) (int64, error) {
	b := v.state.tallyBytes()
	head, err := w.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(b))), b...))
	if err != nil {
		return int64(head), err
	}
	n, err := io.Copy(w, newPadding(v.state.padding))
	return int64(head) + n, err
}

// newPadding yields so many bytes, always the same, which do not compress.
func newPadding(n int64) io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{}), n) }

// tallyBytes are, as 64-bit little-endian numbers, what was applied and how many clients there are, and for each
// in the order of their ids: id, last, twice, the number of holes, holes.
func (m *tallyMachine) tallyBytes() []byte {
	b := binary.LittleEndian.AppendUint64(nil, m.applied)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(m.clients)))
	for _, id := range sortedKeys(m.clients) {
		t := m.clients[id]
		for _, x := range append([]uint64{uint64(id), t.last, t.twice, uint64(len(t.holes))}, t.holes...) {
			b = binary.LittleEndian.AppendUint64(b, x)
		}
	}
	return b
}

var errTallyState = errors.New("malformed state of a tally")

// maxTallyBytes bounds the bytes of a tally.
const maxTallyBytes = 1 << 30

// Restore implements raft.Machine. Padding must be that of WriteTo, byte for byte.
func (m *tallyMachine) Restore(r io.Reader) error {
	var size [8]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint64(size[:])
	if n > maxTallyBytes {
		return errTallyState
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	if err := m.restoreTally(b); err != nil {
		return err
	}
	return samePadding(r, newPadding(m.padding))
}

// samePadding compares two streams to their ends.
func samePadding(got, want io.Reader) error {
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(got, a)
		k, errB := io.ReadFull(want, b)
		switch {
		case n != k || !bytes.Equal(a[:n], b[:k]):
			return errTallyState
		case errA != nil && !errors.Is(errA, io.EOF) && !errors.Is(errA, io.ErrUnexpectedEOF):
			return errA
		case errA != nil || errB != nil:
			return nil
		}
	}
}

func (m *tallyMachine) restoreTally(b []byte) (err error) {
	next := func() (x uint64) {
		if len(b) < 8 {
			err = errTallyState
			return 0
		}
		x, b = binary.LittleEndian.Uint64(b), b[8:]
		return x
	}
	m.applied = next()
	for range min(next(), maxClients) {
		id := uint32(next())
		t := &tally{last: next(), twice: next()}
		for n := next(); n > 0 && err == nil; n-- {
			t.holes = append(t.holes, next())
		}
		m.clients[id] = t
	}
	if err == nil && len(b) > 0 {
		err = errTallyState
	}
	return err
}

// outcome is what a client knows of its own commands.
type outcome struct {
	acked   uint64 // how many were acknowledged
	last    uint64 // the newest number that was
	unknown map[uint64]bool
}

// check reports an acknowledged command that the tally lacks, one that was applied although nobody sent it, or twice.
func (o *outcome) check(t *tally) error {
	if t == nil {
		t = &tally{}
	}
	switch {
	case t.twice > 0:
		return fmt.Errorf("%d commands were applied twice", t.twice)
	case t.last < o.last:
		return fmt.Errorf("command %d was acknowledged, the newest applied is %d", o.last, t.last)
	}
	for k := o.last + 1; k <= t.last; k++ {
		if !o.unknown[k] {
			return fmt.Errorf("command %d was applied, and never sent or refused", k)
		}
	}
	for _, h := range t.holes {
		if !o.unknown[h] {
			return fmt.Errorf("command %d was acknowledged and is not applied", h)
		}
	}
	return nil
}
