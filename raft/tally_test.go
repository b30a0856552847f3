package raft_test

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/rawl-db/rawl/raft"
)

// tally is a counter that can be told to do what machines should not, by the command's text.
type tally struct {
	n    uint64
	live []raft.Index
	gate chan struct{} // what "block" waits for
	held chan struct{} // what Restore waits for, nil for nothing
	// broken panics at the next command, on this member alone.
	broken bool
}

// Commands of a tally beside numbers to add, of 8 bytes.
var (
	cmdRelease = []byte("release") // takes a snapshot
	cmdNever   = []byte("never")   // would take one if its conditions ever held
	cmdCheck   = []byte("check")   // takes a checkpoint
	cmdPromote = []byte("promote")
	cmdBlock   = []byte("block")
	cmdHuge    = []byte("huge")
	cmdKeep    = []byte("keep") // stays in the log
)

// Apply implements raft.Machine.
func (t *tally) Apply(ctx *raft.ApplyContext, command []byte) []byte {
	if t.broken {
		panic("broken")
	}
	switch string(command) {
	case "release":
		ctx.ReleaseCursor(raft.CursorConditions{})
	case "never":
		ctx.ReleaseCursor(raft.CursorConditions{Written: math.MaxUint64})
	case "check":
		ctx.Checkpoint()
	case "promote":
		ctx.PromoteCheckpoint(ctx.Index)
	case "panic":
		panic("told to")
	case "block":
		<-t.gate
	case "huge":
		return make([]byte, raft.MaxReply+1)
	case "keep":
		t.live = append(t.live, ctx.Index)
	default:
		t.n += binary.LittleEndian.Uint64(command)
	}
	return binary.LittleEndian.AppendUint64(nil, t.n)
}

// LiveIndexes implements raft.LiveIndexer.
func (t *tally) LiveIndexes() (s raft.Seq) {
	for _, i := range t.live {
		s.Add(i)
	}
	return s
}

// Snapshot implements raft.Machine.
func (t *tally) Snapshot() raft.View {
	b := binary.LittleEndian.AppendUint64(nil, t.n)
	for _, i := range t.live {
		b = binary.LittleEndian.AppendUint64(b, uint64(i))
	}
	return tallyView(b)
}

// Restore implements raft.Machine.
func (t *tally) Restore(r io.Reader) error {
	if t.held != nil {
		<-t.held
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	t.n = binary.LittleEndian.Uint64(b)
	for b = b[8:]; len(b) > 0; b = b[8:] {
		t.live = append(t.live, raft.Index(binary.LittleEndian.Uint64(b)))
	}
	return nil
}

// tallies are houses' options with tallies, which block until gate is closed, and a query of the state.
func tallies(gate chan struct{}) houseOptions {
	return houseOptions{
		machines: map[string]func() raft.Machine{"tally": func() raft.Machine { return &tally{gate: gate} }},
		queries: map[string]raft.Query{"n": func(m raft.Machine, _ []byte) ([]byte, error) {
			return binary.LittleEndian.AppendUint64(nil, m.(*tally).n), nil
		}},
	}
}

type tallyView []byte

// WriteTo implements raft.View.
func (v tallyView) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(v)
	return int64(n), err
}
