package wal

import (
	"bytes"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// guard notes the failures of the committer's operations among those that succeeded.
type guard struct {
	vfs.Queue
	x *world
}

func (g *guard) Reap(least int, done []*vfs.Op) (int, error) {
	n, err := g.Queue.Reap(least, done)
	for _, op := range done[:n] {
		if op.Err != nil {
			g.x.ops = append(g.x.ops, "failed "+op.File.Name())
		}
	}
	return n, err
}

// guardAcks checks, whenever a batch is acknowledged, that a power cut which loses all that is
// unsynced leaves its frame whole and its file named.
func (x *world) guardAcks() {
	x.w.o.Queue = &guard{Queue: x.w.o.Queue, x: x}
	x.onWritten = func(b raftlog.Batch) {
		number := x.w.cur.number
		file, err := x.mem.Crash(memfs.CrashOptions{}).ReadFile(FileName("wal", number))
		must(x.t, err)
		for _, f := range frame.Scan(file, frame.NewIdentity(testStream, number)) {
			if f.Batch == uint64(b) && f.Intact() {
				return
			}
		}
		x.t.Errorf("batch %d was acknowledged and is not durable", b)
	}
}

func TestNoAcknowledgementBeforeSync(t *testing.T) {
	for s := StrategyDatasync; s < StrategyNone; s++ {
		x := newWorld(t, func(o *Options) { o.Strategy = s })
		x.guardAcks()
		must(t, x.w.pool.Fill())
		for range 20 {
			must(t, x.log("a").append(3, 100))
			must(t, x.log("b").append(1, 900))
			x.fill()
			x.steps()
		}
		if len(x.log("b").written) != 20 {
			t.Error(s, x.log("b").written)
		}
	}
}

// acked returns how many of each log's queued records were acknowledged.
func (x *world) acked() map[string]int {
	n := map[string]int{}
	for name, l := range x.logs {
		n[name] = int(l.controls)
		for _, s := range l.tables {
			if s.durable > 0 {
				n[name] += int(s.durable-s.first) + 1
			}
		}
	}
	return n
}

// recovered is what recovery finds in an image.
type recovered struct{ records map[raftlog.LogID][]string }

func (r *recovered) Record(rec *Record) error {
	r.records[rec.ID] = append(r.records[rec.ID], describe(rec.Kind, rec.Index, rec.Term, rec.Prev, rec.Payload))
	return nil
}
func (r *recovered) Lost(Loss) error                                     { return nil }
func (r *recovered) FileDone(uint64, raftlog.Batch, raftlog.Batch) error { return nil }

// checkImage recovers from an image: acknowledged ⊆ recovered ⊆ queued, in order.
func (x *world) checkImage(image *memfs.FS, registered []uint64, acked map[string]int, what string) Report {
	x.t.Helper()
	r := &recovered{records: map[raftlog.LogID][]string{}}
	rep, err := Recover(RecoverOptions{FS: image, Dir: "wal", Stream: testStream, Files: registered, Serial: true}, r)
	if err != nil {
		x.t.Fatalf("%s: %v", what, err)
	}
	for name, l := range x.logs {
		got := r.records[l.ID()]
		if len(got) < acked[name] || len(got) > len(l.queued) || !slices.Equal(got, l.queued[:len(got)]) {
			x.t.Errorf("%s: log %s: recovered %d of %d acknowledged and %d queued", what, name, len(got), acked[name], len(l.queued))
		}
	}
	return rep
}

// The stale frames of a recycled file's earlier life do not verify, in this life or after
// its header was lost.
func TestRecycledFile(t *testing.T) {
	x := newWorld(t, nil)
	x.fill()
	a := x.log("a")
	for x.w.Stats().Rolls < 8 {
		must(t, a.append(5, 700))
		x.steps()
		for len(x.sealed) > 0 {
			x.w.pool.Return(x.sealed[0].Number)
			x.registered = slices.DeleteFunc(x.registered, func(n uint64) bool { return n == x.sealed[0].Number })
			x.sealed = x.sealed[1:]
		}
		x.fill()
	}
	if s := x.w.Stats(); s.SparesMade != 3 || s.SparesRecycled < 5 || s.UnpreparedRolls != 0 {
		t.Errorf("made %d, recycled %d, unprepared %d", s.SparesMade, s.SparesRecycled, s.UnpreparedRolls)
	}
	number := x.w.cur.number
	b, err := x.mem.ReadFile(FileName("wal", number))
	must(t, err)
	if !bytes.Contains(b[x.w.cur.off:], []byte("RFHD")) {
		t.Fatal("the file has no stale frames")
	}
	for _, f := range frame.Scan(b, frame.NewIdentity(testStream, number)) {
		if int64(f.Block)*frame.BlockSize >= x.w.cur.off || f.Batch < uint64(x.w.cur.first) {
			t.Errorf("stale %v verifies", &f)
		}
	}
	names, err := x.mem.List("wal")
	must(t, err)
	if len(names) != 3 {
		t.Error(names)
	}
}
