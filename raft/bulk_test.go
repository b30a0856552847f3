package raft_test

import (
	"io"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// bulkBytes is more than a snapshot's sender may have on its way.
const bulkBytes = 8 << 20

// bulk is a machine with a big state.
type bulk struct{ b []byte }

// Apply implements raft.Machine.
func (m *bulk) Apply(ctx *raft.ApplyContext, command []byte) []byte {
	switch string(command) {
	case "fill":
		b := make([]byte, bulkBytes)
		for i := range b {
			b[i] = byte(i * i >> 7)
		}
		m.b = b
	case "release":
		ctx.ReleaseCursor(raft.CursorConditions{})
	}
	return nil
}

// Snapshot implements raft.Machine.
func (m *bulk) Snapshot() raft.View { return tallyView(m.b) }

// Restore implements raft.Machine.
func (m *bulk) Restore(r io.Reader) (err error) {
	m.b, err = io.ReadAll(r)
	return err
}

// bulky are houses' options with bulks, whose snapshots are on their way no longer than that without progress.
func bulky(timeout time.Duration) houseOptions {
	return houseOptions{
		machines: map[string]func() raft.Machine{"bulk": func() raft.Machine { return new(bulk) }},
		change:   func(o *raft.NodeOptions) { o.SnapshotTimeout = timeout },
	}
}
