package engine_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/snapshotwriter"
)

// donate makes a shipment of the log's state at an entry.
func (w *world) donate(h *history, r rec) *shipment {
	w.t.Helper()
	fs := memfs.New(1)
	sw, err := snapshotwriter.New(snapshotwriter.Options{FS: fs, Dir: "/donor", ChunkBytes: snapshot.MinChunkBytes,
		DirName: snapshotDir, Now: func() int64 { return int64(r.id.Term) }})
	if err == nil {
		err = fs.MkdirAll("/donor")
	}
	if err == nil {
		err = sw.Enqueue(snapshotwriter.Job{
			Meta:  snapshot.Meta{Kind: engine.KindSnapshot, UID: h.uid, Log: 1, ID: r.id, Context: []byte(r.id.String()), Live: r.live},
			State: func(to io.Writer) error { _, err := io.WriteString(to, stateAt(h.uid, r.id)); return err },
			Done:  func(res snapshotwriter.Result) { err = res.Err },
		})
	}
	if err != nil {
		w.fatalf("donor: %v", err)
	}
	sw.Step()
	if err != nil {
		w.fatalf("donor: %v", err)
	}
	from, err := snapshot.Open(fs, sw.Path(1, engine.KindSnapshot, r.id), 1)
	if err != nil {
		w.fatalf("donor: %v", err)
	}
	defer from.Close()
	s := &shipment{id: r.id, header: bytes.Clone(from.Header())}
	for n := range from.Chunks() {
		data, sum, err := from.Chunk(n, nil)
		if err != nil {
			w.fatalf("donor: %v", err)
		}
		s.chunks, s.sums = append(s.chunks, data), append(s.sums, sum)
	}
	for i := range r.live.All() {
		e := makeEntry(h.uid, h.now.life, engine.EntryID{Term: r.terms[i], Index: i}, w.largest())
		s.live, s.crcs = append(s.live, e), append(s.crcs, engine.PayloadChecksum(e.Data))
	}
	return s
}

func snapshotDir(engine.LogID) string { return "log" }

// choose decides what is installed: at an entry of the log, or at one that it does not have.
func (w *world) choose(l *engine.Log, h *history) (rec, bool) {
	s := &h.now
	low := max(s.snapshot.Index, s.released.Index, s.applied, l.Committed(), s.acked())
	at := low + 1 + engine.Index(w.rng.IntN(len(s.terms)+8))
	r := rec{kind: recInstall, terms: map[engine.Index]engine.Term{}}
	if at <= s.last().Index && w.rng.IntN(2) == 0 {
		r.kind, r.id = recSnapshot, s.at(at)
	} else {
		h.term++
		r.id = engine.EntryID{Term: h.term, Index: at}
	}
	trusted := min(s.last().Index, low)
	if r.kind == recSnapshot {
		trusted = at
	}
	for _, i := range slices.Sorted(maps.Keys(s.live)) {
		if w.rng.IntN(2) == 0 {
			r.live.Add(i)
			r.terms[i] = s.live[i]
		}
	}
	for i := s.released.Index + 1; i <= at; i++ {
		if w.rng.IntN(5) > 0 {
			continue
		}
		r.live.Add(i)
		r.terms[i] = r.id.Term
		if i <= trusted {
			r.terms[i] = s.at(i).Term
		}
	}
	return r, at <= s.last().Index+8
}

// install brings another member's snapshot to the log.
func (w *world) install(l *engine.Log, h *history) {
	w.t.Helper()
	if w.logs[l].pending.id.Index != 0 || h.installing(l) {
		return
	}
	r, ok := w.choose(l, h)
	if !ok {
		return
	}
	w.receive(l, h, r, w.donate(h, r), w.rng.IntN(5) == 0)
}

// receive brings a shipment to the log, r being what it makes of it, or all but the end of it.
func (w *world) receive(l *engine.Log, h *history, r rec, s *shipment, interrupted bool) {
	w.t.Helper()
	before := h.parts
	h.parts = append(slices.Clip(before), r.id)
	in, err := l.Install(s.header)
	if errors.Is(err, engine.ErrSnapshotRunning) || errors.Is(err, engine.ErrSnapshotOld) || !w.did(err) {
		h.parts = before
		return // one of an earlier opening, or one whose record is not durable
	}
	defer func() { w.did(in.Close()) }()
	if err := s.send(in); !w.did(err) || interrupted {
		return
	}
	queued, _ := l.Controls()
	_, err = in.Finish(&ending{Context: canceled()})
	if n, _ := l.Controls(); n == queued {
		if err == nil || !w.did(err) {
			return
		}
		w.fatalf("log %s: install at %v: %v", h.uid, r.id, err)
	}
	w.control(l, h, r)
	h.parts = before
}

// installing reports whether an installed snapshot is not durable yet.
func (h *history) installing(l *engine.Log) bool {
	_, durable := l.Controls()
	for _, r := range h.recs {
		if r.kind == recInstall && r.life == h.now.life && r.seq > durable {
			return true
		}
	}
	return false
}
