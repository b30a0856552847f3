package raft_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

var payload = []byte("<the payload>")

// marked is a command that adds one and is found on disk.
func marked() []byte { return append(one(), bytes.Repeat(payload, 200)...) }

// places are where in a node's files of some kind bytes stand, by file.
func places(t testing.TB, dir, kind string, what []byte) map[string][]int64 {
	t.Helper()
	found := make(map[string][]int64)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the engine renames and removes
		}
		if err != nil || d.IsDir() || !strings.Contains(d.Name(), kind) {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for at := 0; err == nil; {
			k := bytes.Index(b[at:], what)
			if k < 0 {
				break
			}
			found[path] = append(found[path], int64(at+k))
			at += k + len(what)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// flip changes a byte in each place in a node's files of some kind where bytes stand.
func flip(t testing.TB, dir, kind string, what []byte) {
	t.Helper()
	found := places(t, dir, kind, what)
	if len(found) == 0 {
		t.Fatal("there is nothing to damage")
	}
	for path, list := range found {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range list {
			if _, err := f.WriteAt([]byte{what[0] ^ 0x10}, at); err != nil {
				t.Error(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// damageCase is what of a member's disk is damaged.
type damageCase struct {
	name, kind string
	// commands are appended, and a snapshot taken then if release is set; entries as many are in one file of the WAL otherwise.
	commands int
	release  bool
}

// TestC9DamagedMemberRejoins: acknowledged bytes of a member do not verify. While it is alone it says so, keeps what it has and
// serves nothing; its node serves the others of its clusters. When it hears the leader it rejoins by itself, as another life that has
// promised nothing, gets what it lost from the others, and is a voter again (figure 16).
func TestC9DamagedMemberRejoins(t *testing.T) {
	cases := []damageCase{
		{name: "log", kind: ".wal", commands: 10}, {name: "segment", kind: ".seg", commands: 150},
		{name: "snapshot", kind: "snapshot-", commands: 10, release: true},
	}
	times := 9
	if testing.Short() {
		times = 3
	}
	for k := range times {
		c := cases[k%3]
		lost, other, lead := (2+k/3)%3, (1+k/3)%3, k/3 // each of the nodes in turn
		t.Run(fmt.Sprint(c.name, " of ", ids(lost)[0]), func(t *testing.T) {
			var asked atomic.Int32
			o := tallies(nil)
			o.change = func(n *raft.NodeOptions) {
				n.Engine.WALFileBytes = 64 << 10
				n.Authorize = func(r raft.RemoteCall) error {
					if r.Kind == raft.CallRejoin && r.From == ids(lost)[0] && r.To.Name == "c" {
						asked.Add(1)
					}
					return nil
				}
			}
			h := newHouseWith(t, 3, o)
			ctx := ctxFor(t)
			h.start(ctx, "c", "tally", 0, 1, 2)
			h.start(ctx, "free", "tally", 0, 1, 2)
			h.lead(ctx, lead, "c")
			sum := h.fill(ctx, lead, c)
			for _, name := range []string{"c", "free"} {
				until(t, ctx, "everything to be durable", func() bool {
					m, at := h.metrics(lost, name), h.metrics(lead, name)
					return m.Applied == at.Last && m.Written == at.Last
				})
			}
			uid := h.uid(ctx, lost, "c")
			what := payload
			if c.release {
				what = binary.LittleEndian.AppendUint64(nil, sum)
			}
			if c.kind == ".seg" {
				h.flushed(ctx, lost, uid)
			}
			until(t, ctx, "files", func() bool { return len(places(t, h.dirs[lost], c.kind, what)) > 0 })
			h.closeAll()
			flip(t, h.dirs[lost], c.kind, what)
			h.open(lost)
			h.servesNothing(ctx, lost, uid)
			h.open(other)
			h.open(lead)
			h.rejoined(ctx, lost, other, uid, sum)
			if asked.Load() == 0 {
				t.Error("it was not asked whether it may")
			}
		})
	}
}

// fill has a cluster apply commands, and returns what they came to.
func (h *house) fill(ctx context.Context, i int, c damageCase) (sum uint64) {
	h.t.Helper()
	for range c.commands {
		r, err := h.nodes[i].Process(ctx, h.id(i, "c"), marked(), raft.ProcessOptions{})
		if err != nil {
			h.t.Fatal(err)
		}
		sum = binary.LittleEndian.Uint64(r.Data)
	}
	if c.release {
		until(h.t, ctx, "snapshots", func() bool {
			h.tell(ctx, i, "c", cmdRelease)
			return h.metrics(0, "c").Snapshot > 0 && h.metrics(1, "c").Snapshot > 0 && h.metrics(2, "c").Snapshot > 0
		})
	}
	return sum
}

// flushed waits until a log reads from segments. A file may be there before: the next start would not use it then.
func (h *house) flushed(ctx context.Context, i int, uid core.UID) {
	h.t.Helper()
	l, err := h.nodes[i].Engine().Log(uid)
	if err != nil {
		h.t.Fatal(err)
	}
	until(h.t, ctx, "segments", func() bool { return l.Stats().Segments > 0 })
}

// servesNothing checks what a node says of a member with a damaged log that hears of nobody.
func (h *house) servesNothing(ctx context.Context, i int, uid core.UID) {
	t, n := h.t, h.nodes[i]
	t.Helper()
	until(t, ctx, "the damage to be found", func() bool {
		return slices.ContainsFunc(n.Servers(), func(s raft.ServerInfo) bool { return s.ID.Name == "c" && s.Err != nil })
	})
	for _, s := range n.Servers() {
		damaged := errors.Is(s.Err, engine.ErrQuarantined) || errors.Is(s.Err, engine.ErrCorrupt)
		if s.ID.Name == "c" && (!damaged || !errors.Is(s.Err, raft.ErrStopped) || s.UID != uid) {
			t.Errorf("the damaged one has log %s: %v", s.UID, s.Err)
		}
		if s.ID.Name == "free" && s.Err != nil {
			t.Errorf("the other one: %v", s.Err)
		}
	}
	if _, err := n.LocalQuery(ctx, "c", stateOf, raft.QueryOptions{}); err == nil {
		t.Error("it answers")
	}
	if err := n.RestartServer(ctx, "c", raft.RestartOptions{}); err == nil {
		t.Error("it runs")
	}
	if _, err := n.Engine().Log(uid); err != nil {
		t.Errorf("its log is not kept: %v", err)
	}
}

// rejoined waits until a member is a voter again, and checks that it is another life that has everything and counts.
func (h *house) rejoined(ctx context.Context, lost, other int, uid core.UID, sum uint64) {
	t, id := h.t, h.id(lost, "c")
	t.Helper()
	until(t, ctx, "another life", func() bool {
		return slices.ContainsFunc(h.nodes[lost].Servers(), func(s raft.ServerInfo) bool { return s.ID == id && s.Err == nil && s.UID != uid })
	})
	until(t, ctx, "the promotion", func() bool { return h.membership(ctx, lost, id) == core.Voter })
	until(t, ctx, "the state", func() bool { return h.total(ctx, lost, "c") == int64(sum) })
	until(t, ctx, "the end of the damaged log", func() bool {
		_, err := h.nodes[lost].Engine().Log(uid)
		return errors.Is(err, engine.ErrNotFound)
	})
	h.lead(ctx, lost, "c")
	h.close(other) // it is needed now
	if got := h.add(ctx, lost, "c"); got != sum+1 {
		t.Errorf("the sum is %d, was %d", got, sum)
	}
	h.close(lost)
	h.open(lost)
	until(t, ctx, "the state after another start", func() bool { return h.total(ctx, lost, "c") == int64(sum)+1 })
}

// TestC9DamageMetWhileServing: a leader finds damage when a member that was away needs old entries. It stops at once, another
// leads, and it rejoins as a member that its node found damaged at its start does.
func TestC9DamageMetWhileServing(t *testing.T) {
	o := tallies(nil)
	o.change = func(n *raft.NodeOptions) { n.Engine.WALFileBytes = 64 << 10 }
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	const lost, other, away = 0, 1, 2
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.lead(ctx, lost, "c")
	h.close(away)
	sum := h.fill(ctx, lost, damageCase{commands: 150})
	until(t, ctx, "the other to have everything", func() bool { return h.metrics(other, "c").Written == h.metrics(lost, "c").Last })
	uid := h.uid(ctx, lost, "c")
	h.flushed(ctx, lost, uid)
	h.close(lost) // what it reads from now on is not in memory
	h.open(lost)
	h.lead(ctx, lost, "c")
	flip(t, h.dirs[lost], ".seg", payload)
	h.open(away)
	h.rejoined(ctx, lost, away, uid, sum)
}

// TestC9DamagedMemberBehindTheLog: the others' logs begin above what a leader knows of a damaged member that comes back, so that it is
// offered a snapshot and never sent an entry. It rejoins all the same.
func TestC9DamagedMemberBehindTheLog(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	const lead, other, lost = 0, 1, 2
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.lead(ctx, lead, "c")
	sum := h.fill(ctx, lead, damageCase{commands: 10, release: true})
	uid := h.uid(ctx, lost, "c")
	h.closeAll()
	flip(t, h.dirs[lost], "snapshot-", binary.LittleEndian.AppendUint64(nil, sum))
	h.open(other)
	h.open(lead)
	h.lead(ctx, lead, "c")
	sum = h.add(ctx, lead, "c") // what was sent to the lost one was sent to nobody
	h.open(lost)
	h.rejoined(ctx, lost, other, uid, sum)
}

// TestC9DamagedVote: a log has lost a vote, and nothing that is to be read. Its member does not run all the same, for it does not know
// what it promised, and rejoins.
func TestC9DamagedVote(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const lead, other, lost = 0, 1, 2
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.lead(ctx, lead, "c")
	sum := h.fill(ctx, lead, damageCase{commands: 10, release: true})
	h.tell(ctx, lead, "c", cmdRelease)
	until(t, ctx, "a snapshot of everything", func() bool {
		m := h.metrics(lost, "c")
		return m.Snapshot == m.Last && m.Last == h.metrics(lead, "c").Last
	})
	uid := h.uid(ctx, lost, "c")
	l, err := h.nodes[lost].Engine().Log(uid)
	if err == nil {
		err = h.nodes[lost].Engine().Flush(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	flushed := l.HardState().Term
	for k := 0; l.DurableHardState().Term == flushed || l.DurableHardState().Vote == ""; k++ {
		h.lead(ctx, []int{other, lead}[k%2], "c")
	}
	vote := []byte(l.DurableHardState().Vote)
	h.closeAll()
	flip(t, h.dirs[lost], ".wal", vote)
	h.open(lost)
	h.servesNothing(ctx, lost, uid)
	h.open(other)
	h.open(lead)
	h.rejoined(ctx, lost, other, uid, sum)
}

// TestE13DamageOnAMajority: while more members are damaged than the others can do without, none of them rejoins and nothing is
// deleted, also when the last sound one goes on alone by force.
func TestE13DamageOnAMajority(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.lead(ctx, 0, "c")
	sum := h.fill(ctx, 0, damageCase{commands: 10})
	var uids [3]core.UID
	for i := range 3 {
		until(t, ctx, "everything to be durable", func() bool { return h.metrics(i, "c").Written == h.metrics(0, "c").Last })
		uids[i] = h.uid(ctx, i, "c")
	}
	h.closeAll()
	for i := 1; i < 3; i++ {
		flip(t, h.dirs[i], ".wal", payload)
		h.open(i)
	}
	h.open(0)
	until(t, ctx, "an election that cannot be won", func() bool { return h.metrics(0, "c").Counters[raft.CounterPreVotes] > 0 })
	if err := h.nodes[0].ForceShrink(ctx, h.id(0, "c")); err != nil {
		t.Fatal(err)
	}
	if got := h.add(ctx, 0, "c"); got != sum+1 {
		t.Errorf("the sum is %d, was %d", got, sum)
	}
	for i := 1; i < 3; i++ {
		if _, err := h.nodes[i].Engine().Log(uids[i]); err != nil {
			t.Errorf("node %d has not kept its log: %v", i, err)
		}
		if s := h.nodes[i].Servers()[0]; s.UID != uids[i] || s.Err == nil {
			t.Errorf("node %d: log %s, %v", i, s.UID, s.Err)
		}
	}
}
