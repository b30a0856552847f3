package sim

import (
	"encoding/binary"
	"io"

	"github.com/rawl-db/rawl/raft"
)

// The kinds of operations, as commands of the machine.
const (
	opWrite  byte = iota + 1 // sets a register, answers with what it was
	opAppend                 // appends to a list, answers with it
	opAdd                    // adds to a counter, answers with the sum
	opRead                   // answers with one of them, and changes nothing
)

// The kinds of things that are operated on.
const (
	register byte = iota
	list
	counter
	kinds
)

// keys is how many there are of each kind.
const keys = 2

// command encodes an operation. Every one has another number, but for repetitions.
func command(op, kind, key byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{op, kind, key}, number)
}

// state is what a machine keeps. The chain is a hash of all commands that made it.
type state struct {
	Registers [keys]uint64
	Lists     [keys][]uint64
	Counters  [keys]uint64
	Chain     uint64
	Last      raft.Index
	InForce   uint64 // version
}

// machine is that of all clusters, with an ear of the world at it.
type machine struct {
	state
	heard   *cluster
	on      *node
	version uint64 // of its code
	behind  int    // commands since the last capture
}

// Apply implements raft.Machine.
func (m *machine) Apply(ctx *raft.ApplyContext, c []byte) []byte {
	m.Chain = hashOf(m.Chain^uint64(ctx.Index)<<32, c)
	m.Last = ctx.Index
	op, kind, key, number := c[0], c[1], c[2], binary.BigEndian.Uint64(c[3:])
	var reply []byte
	switch op {
	case opWrite:
		reply = m.read(kind, key)
		m.Registers[key] = number
	case opAppend:
		m.Lists[key] = append(m.Lists[key], number)
		reply = m.read(kind, key)
	case opAdd:
		m.Counters[key]++
		reply = m.read(kind, key)
	case opRead:
		reply = m.read(kind, key)
	}
	m.heard.applied(m.on, number, m.Last, appliedEntry{ctx.Term, m.Chain, ctx.Version})
	if m.behind++; m.behind >= m.heard.captureEvery {
		m.behind = 0
		ctx.ReleaseCursor(raft.CursorConditions{NoSnapshotSends: ctx.Index%2 == 0})
	}
	return reply
}

func (m *machine) read(kind, key byte) []byte {
	switch kind {
	case register:
		return binary.BigEndian.AppendUint64(nil, m.Registers[key])
	case counter:
		return binary.BigEndian.AppendUint64(nil, m.Counters[key])
	}
	var b []byte
	for _, x := range m.Lists[key] {
		b = binary.BigEndian.AppendUint64(b, x)
	}
	return b
}

// hashOf goes on with a hash (FNV-1a).
func hashOf(h uint64, b []byte) uint64 {
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// query is a registered read. Before what is read it says which command was applied last.
func query(x raft.Machine, arg []byte) ([]byte, error) {
	m := x.(*machine)
	return append(binary.BigEndian.AppendUint64(nil, uint64(m.Last)), m.read(arg[1], arg[2])...), nil
}

// Version implements raft.Versioned.
func (m *machine) Version() uint64 { return m.version }

// WhichMachine implements raft.Versioned: the state is the same in all versions.
func (m *machine) WhichMachine(uint64) raft.Machine { return m }

// ApplyEvent implements raft.EventApplier.
func (m *machine) ApplyEvent(_ *raft.ApplyContext, e raft.Event) {
	if v, ok := e.(raft.VersionChanged); ok {
		m.InForce = v.To
		m.heard.upgraded(m.on, v.To)
	}
}

// StateEnter implements raft.StateEnterer.
func (m *machine) StateEnter(s raft.ServerState, _ *raft.Effects) { m.heard.entered(m.on, s) }

// SnapshotInstalled implements raft.SnapshotInstalled.
func (m *machine) SnapshotInstalled(at raft.EntryID, _ raft.Machine, before raft.EntryID, _ *raft.Effects) {
	m.heard.installed(m.on, at, before)
}

// Snapshot implements raft.Machine.
func (m *machine) Snapshot() raft.View {
	v := m.state
	for k := range v.Lists {
		v.Lists[k] = append([]uint64(nil), v.Lists[k]...)
	}
	return view{v}
}

// Restore implements raft.Machine.
func (m *machine) Restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	take := func() (x uint64) {
		if len(b) < 8 {
			err = io.ErrUnexpectedEOF
			return 0
		}
		x, b = binary.BigEndian.Uint64(b), b[8:]
		return x
	}
	m.Chain, m.Last, m.InForce = take(), raft.Index(take()), take()
	for k := range keys {
		m.Registers[k], m.Counters[k] = take(), take()
		for n := take(); n > 0 && err == nil; n-- {
			m.Lists[k] = append(m.Lists[k], take())
		}
	}
	m.heard.restored(m.on, m.Last, m.Chain)
	return err
}

type view struct{ state }

// WriteTo implements raft.View: numbers of eight bytes, lists behind their lengths.
func (v view) WriteTo(w io.Writer) (int64, error) {
	put := binary.BigEndian.AppendUint64
	b := put(put(put(nil, v.Chain), uint64(v.Last)), v.InForce)
	for k := range keys {
		b = put(put(put(b, v.Registers[k]), v.Counters[k]), uint64(len(v.Lists[k])))
		for _, x := range v.Lists[k] {
			b = put(b, x)
		}
	}
	n, err := w.Write(b)
	return int64(n), err
}
