package wal

import "github.com/rawl-db/rawl/internal/raftlog"

// acknowledge makes the committed batch count, and tells sources and sinks.
func (w *WAL) acknowledge() {
	f, batch := w.cur, w.next
	f.off += int64(len(w.frame))
	f.zeroed = max(f.zeroed, f.off)
	f.frames++
	f.entries += int64(w.enc.entries)
	f.declared = len(f.logs)
	for i := range w.items {
		it := &w.items[i]
		s := &f.logs[it.log.slot]
		switch {
		case it.op.src == nil:
			switch it.op.kind {
			case KindTruncate:
				s.cut(it.op.first, raftlog.Term(it.op.last))
			case KindInstall:
				s.reset()
			}
		case it.to == 0 || it.done:
			if s.Spans == nil {
				s.Spans = f.noSpans()
			}
			s.put(&it.op)
		}
	}
	w.next++
	w.uncovered = len(w.items) > 0
	w.staged = false
	w.recordBatch()
	for i := range w.enc.superseded {
		s := &w.enc.superseded[i]
		s.src.SetDurable(s.last)
	}
	for i := range w.enc.touches {
		if t := &w.enc.touches[i]; t.src != nil {
			t.src.SetDurable(t.last)
		}
	}
	for i := range w.enc.touches {
		t := &w.enc.touches[i]
		t.log.controls += uint64(t.controls)
		t.log.sink.Written(batch, t.log.controls)
	}
	clear(w.items)
	w.items = w.items[:0]
	w.releaseLarge()
	if w.Health() == ReadOnly && !w.starving {
		w.setHealth(OK, nil)
	}
}

func (w *WAL) recordBatch() {
	c := &w.count
	c.durable.Store(uint64(w.next) - 1)
	c.fileBytes.Store(w.cur.off)
	c.batches.Add(1)
	if w.o.Strategy != StrategyNone {
		c.syncs.Add(1)
	}
	if len(w.items) == 0 {
		c.idle.Add(1)
		return
	}
	c.entries.Add(uint64(w.enc.entries))
	c.controls.Add(uint64(w.enc.controls))
	c.payload.Add(uint64(w.enc.payload))
	c.batchEntries.Record(uint64(w.enc.entries + w.enc.controls))
	c.batchBytes.Record(uint64(len(w.frame)))
}
