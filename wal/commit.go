package wal

import "github.com/rawl-db/rawl/internal/vfs"

// Step does at most one batch: it takes what is queued, gathers, encodes, commits and
// acknowledges. It waits only for its own I/O. It returns false when there is nothing to do, or
// nothing that can be done before the pool has a file ready or Retry is called; Wake
// follows then.
func (w *WAL) Step() bool {
	if w.ended() {
		return false
	}
	if w.staged {
		return w.recommit()
	}
	w.collect()
	w.heal()
	w.rollAsIsAsked()
	if w.run.len() == 0 {
		return false
	}
	if !w.starving {
		w.gather()
	}
	if !w.prepare() {
		return false
	}
	done := w.commit()
	w.o.Yield()
	return done
}

// heal ends the state of being read only for lack of files once there is one.
func (w *WAL) heal() {
	if w.Health() != ReadOnly || !w.pool.hasReady() {
		return
	}
	w.wantRoll = true
	if w.ensureFile() && w.cur.frames == 0 {
		w.setHealth(OK, nil)
	}
}

// prepare encodes the next batch.
func (w *WAL) prepare() bool {
	for {
		if !w.ensureFile() {
			w.starve()
			return false
		}
		file := w.cur
		w.enc.begin(w.buf, file)
		if err := w.fill(); err != nil {
			w.setHealth(Failed, err)
			return false
		}
		if len(w.items) > 0 {
			w.frame = w.enc.finish(w.next)
			return true
		}
		if w.run.len() == 0 {
			return false
		}
		if w.ensureFile(); w.cur == file {
			w.starve()
			return false
		}
	}
}

// starve notes that work waits for a file.
func (w *WAL) starve() {
	if !w.starving {
		w.starving = true
		w.count.starved.Add(1)
		w.pool.demand()
	}
	if err := w.pool.broken(); err != nil {
		w.degrade(err)
	}
}

// commit writes the encoded batch and acknowledges it. When that fails, the batch is tried
// once more in a fresh file.
func (w *WAL) commit() bool {
	err := w.write()
	if err == nil {
		w.acknowledge()
		return true
	}
	w.abandonFile()
	w.staged = true
	w.retry.Store(true) // the second attempt needs no permission
	if isQueueError(err) {
		w.degrade(err)
		return false
	}
	return w.recommit()
}

// recommit tries the staged batch in a fresh file. While the WAL is read only, each
// attempt needs a Retry, because it costs a file.
func (w *WAL) recommit() bool {
	if !w.retry.Load() {
		return false
	}
	err := w.attempt()
	if err == ErrNoSpare {
		w.starve()
		return false
	}
	w.retry.Store(false)
	if err != nil {
		w.degrade(err)
		return false
	}
	w.o.Yield()
	return true
}

// attempt encodes the staged batch for the current file or a fresh one, commits and
// acknowledges it. After an error the file is abandoned and the batch still staged.
func (w *WAL) attempt() error {
	if w.cur == nil {
		s, ok := w.pool.take()
		if !ok {
			return ErrNoSpare
		}
		w.open(s)
	}
	err := w.encodeItems()
	if err == nil {
		err = w.write()
	}
	if err != nil {
		w.abandonFile()
		return err
	}
	w.acknowledge()
	return nil
}

// abandonFile ends the current file's life after a failed write or sync.
func (w *WAL) abandonFile() {
	w.count.failure.Add(1)
	w.releaseLarge()
	w.seal(true)
	w.restartChains()
}

// write makes the encoded frame durable as the strategy says.
func (w *WAL) write() error {
	if err := w.zeroFor(int64(len(w.frame))); err != nil {
		return err
	}
	start := w.o.Now()
	err := w.writeAt(w.frame, w.cur.off, w.o.Strategy == StrategyDatasync)
	if err == nil && w.o.Strategy == StrategySync {
		err = w.submit(vfs.Op{Kind: vfs.OpSync, File: w.cur.file})
	}
	if err != nil {
		return err
	}
	took := max(w.count.lastDone.Load()-start, 0)
	w.count.syncNanos.Record(uint64(took))
	if t := w.count.ewma.Load(); t == 0 {
		w.count.ewma.Store(took)
	} else {
		w.count.ewma.Store(t + (took-t)/16)
	}
	return nil
}

// commitsRunning reports whether a commit runs or just ran; any goroutine.
func (w *WAL) commitsRunning() bool {
	const recently = 5e6 // nanoseconds
	return w.count.inFlight.Load() != 0 || w.o.Now()-w.count.lastDone.Load() < recently
}
