package machinetest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/rawl-db/rawl/raft"
)

// checkAgain applies the log by another machine.
func checkAgain(c *Config, h *history) error {
	m, err := start(h, c.New, raft.StateLeader)
	if err != nil {
		return err
	}
	return m.follow(ErrNondeterministic, len(h.entries), true, nil)
}

// checkMemory overwrites each command when it is applied. The machine replays, so that effects are dropped,
// and must come to the same state.
func checkMemory(c *Config, h *history) error {
	m, err := start(h, c.New, raft.StateRecover)
	if err != nil {
		return err
	}
	return m.follow(ErrCommandKept, len(h.entries), false, func(e *raft.Entry) func() {
		data := e.Data
		return func() {
			for i := range data {
				data[i] ^= 0xa5
			}
		}
	})
}

// checkLocal does between entries what happens on one member and not on others.
func checkLocal(c *Config, h *history) error {
	m, err := start(h, c.New, raft.StateRecover)
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(h.seed, 1))
	var failed error
	err = m.follow(ErrLocalChange, len(h.entries), false, func(*raft.Entry) func() {
		if failed == nil && r.IntN(3) == 0 {
			failed = m.disturb(r)
		}
		return nil
	})
	return errors.Join(failed, err)
}

// disturb does something that must not change the state.
func (m *member) disturb(r *rand.Rand) error {
	state := raft.ServerState(r.IntN(int(raft.StateReceiveSnapshot) + 1))
	if err := m.enter(state); err != nil {
		return err
	}
	if _, err := m.a.Tick(r.Int64()); err != nil {
		return m.failed(err)
	}
	if _, err := m.a.Overview(); err != nil {
		return m.failed(err)
	}
	for _, kind := range []raft.AuxKind{raft.AuxEval, raft.AuxTick} {
		var failed *raft.MachineError
		if _, _, err := m.a.Aux(raft.AuxEvent{Kind: kind}); errors.As(err, &failed) {
			return m.failed(err)
		}
	}
	c, err := m.capture() // its view is never written
	if err != nil {
		return err
	}
	closeView(c.View)
	return nil
}

// handedOver are the slices that the machine has given away, with copies of what they held.
type handedOver struct {
	entry  []int
	slices [][]byte
	copies [][]byte
}

func (o *handedOver) add(n int, effects []raft.Effect) {
	for _, e := range effects {
		if len(e.Data) > 0 {
			o.entry = append(o.entry, n)
			o.slices = append(o.slices, e.Data)
			o.copies = append(o.copies, bytes.Clone(e.Data))
		}
	}
}

// check finds one that was changed since.
func (o *handedOver) check(h *history) error {
	for i := range o.slices {
		if !bytes.Equal(o.slices[i], o.copies[i]) {
			return h.violation(ErrReplyChanged, o.entry[i], fmt.Sprintf("now %s, was %s", shorten(o.slices[i]), shorten(o.copies[i])), nil)
		}
	}
	return nil
}

// checkRestore goes on from snapshots, on machines that applied nothing before.
func checkRestore(c *Config, h *history) error {
	r := rand.New(rand.NewPCG(h.seed, 2))
	for n := 1; n <= len(h.entries); n++ {
		if !h.marked(n) {
			continue
		}
		m, err := restored(c.New, h, n)
		if err != nil {
			return err
		}
		got, err := m.mark()
		if err != nil {
			return err
		}
		if d := m.compare(got); d != "" {
			return h.violation(ErrRestore, n, d, nil)
		}
		until := n
		if r.IntN(4) == 0 {
			until = len(h.entries)
		}
		if err := m.follow(ErrRestore, until, true, nil); err != nil {
			return err
		}
	}
	return nil
}

// restored makes a machine of the history's snapshot after n entries, read byte by byte.
func restored(create func() raft.Machine, h *history, n int) (*member, error) {
	a, err := raft.NewApplier(raft.ApplierOptions{New: create, InitialVersion: h.version, Place: raft.Place{Node: "node-a"}})
	if err != nil {
		return nil, h.violation(ErrFailed, n, "", err)
	}
	w := h.marks[n]
	if err := a.Restore(w.at, w.context, &slowReader{b: w.state}); err != nil {
		return nil, h.violation(ErrRestore, n, "", err)
	}
	m := &member{h: h, a: a}
	return m, m.enter(raft.StateLeader)
}

// checkOld compares with the code of an older release, as long as its version is in force, and goes on from its
// snapshots.
func checkOld(c *Config, h *history) error {
	if c.Old == nil {
		return nil
	}
	known, err := versionOf(c.Old)
	if err != nil {
		return h.violation(ErrFailed, 0, "", err)
	}
	if known < h.version {
		return nil // this log begins with rules that the old code does not know
	}
	m, err := start(h, c.Old, raft.StateLeader)
	if err != nil {
		return err
	}
	return m.follow(ErrVersions, h.until(known), true, nil)
}

// until is the number of entries before the first that raises the machine version above the given one.
func (h *history) until(version uint64) int {
	for i, e := range h.entries {
		if raft.CommandKind(e.Type) != raft.KindMachineVersion {
			continue
		}
		if c, err := raft.DecodeCommand(raft.KindMachineVersion, e.Data); err == nil && c.Version > version {
			return i
		}
	}
	return len(h.entries)
}
