package main

import (
	"bytes"

	"github.com/rawl-db/rawl/raft"
)

// How often every member writes its state: after so many commands, or so many bytes of them. Half-way to the next one it becomes the
// snapshot, so that the log keeps what came since: members and watchers that are a little behind find it there.
const (
	checkpointCommands = 4096
	checkpointBytes    = 64 << 20
)

// store is the machine: the replicated map. Its parts are replaced, not changed, so that a view of them costs nothing.
type store struct {
	keys    *tree
	history history
	nodes   *tree // Key is the node's name, Value its address and URL as a command has them
	applied raft.Index
	// What was applied since the newest checkpoint, and where that is, as long as it is no snapshot.
	commands, bytes uint64
	checkpoint      raft.Index
}

func newStore() raft.Machine { return &store{} }

// Apply implements raft.Machine.
func (s *store) Apply(ctx *raft.ApplyContext, data []byte) []byte {
	s.applied = ctx.Index
	c, err := decodeCommand(data)
	if err != nil { // from a client of newer code: every member leaves it alone
		return result{Outcome: outcomeRefused}.encode()
	}
	var r result
	switch c.Op {
	case opPut, opDelete:
		r = s.change(&c)
	case opSnapshot:
		s.commands, s.bytes, s.checkpoint = 0, 0, 0
		ctx.ReleaseCursor(raft.CursorConditions{})
	case opAnnounce:
		at := appendText(appendText(nil, c.Node.Raft), c.Node.URL)
		s.nodes = s.nodes.put(item{Key: c.Node.Node, Value: at, Version: ctx.Index})
	case opForget:
		if s.nodes.get(c.Node.Node) != nil {
			s.nodes = s.nodes.remove(c.Node.Node)
		}
	}
	s.keep(ctx, len(data))
	return r.encode()
}

// change applies a put or delete at s.applied.
func (s *store) change(c *command) (r result) {
	old := s.keys.get(c.Key)
	r = result{Outcome: outcomeMismatch, Existed: old != nil}
	if old != nil {
		r.Version = old.Version
	}
	if c.If == ifVersion && c.Version != r.Version || c.If == ifValue && (old == nil || !bytes.Equal(old.Value, c.Old)) {
		return r
	}
	r.Outcome = outcomeDone
	switch {
	case c.Op == opPut:
		r.Version = s.applied
		s.keys = s.keys.put(item{c.Key, bytes.Clone(c.Value), s.applied})
	case old != nil:
		r.Version = 0
		s.keys = s.keys.remove(c.Key)
	default:
		return r // nothing to delete
	}
	s.history.add(s.applied)
	return r
}

// keep has the state written when it is time.
func (s *store) keep(ctx *raft.ApplyContext, size int) {
	s.commands++
	s.bytes += uint64(size)
	if s.checkpoint > 0 && (s.commands >= checkpointCommands/2 || s.bytes >= checkpointBytes/2) {
		ctx.PromoteCheckpoint(s.checkpoint)
		s.checkpoint = 0
	}
	if s.commands >= checkpointCommands || s.bytes >= checkpointBytes {
		s.commands, s.bytes, s.checkpoint = 0, 0, ctx.Index
		ctx.Checkpoint()
	}
}

// addresses returns where nodes are, as they have announced.
func (s *store) addresses() (list []nodeAddress) {
	s.nodes.ascend("", func(i *item) bool {
		d := decoder{rest: i.Value}
		list = append(list, nodeAddress{i.Key, string(d.text(maxAddr)), string(d.text(maxAddr))})
		return true
	})
	return list
}

// Overview implements raft.Overviewer.
func (s *store) Overview() map[string]any {
	keys, size := s.keys.size()
	floor, changes := s.history.known()
	return map[string]any{"keys": keys, "bytes": size, "changes_known": len(changes), "changes_above": uint64(floor)}
}
