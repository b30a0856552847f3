package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/rawl-db/rawl/engine"
)

// demo is the owner of the source's logs, as Raft would be: it alone appends, and knows what is
// committed. With one member in the cluster that is what is durable.
type demo struct {
	e       *engine.Engine
	logs    int
	entries uint64 // in each log at the end, 0 for no end
	// snapshot is after how many entries of a log a snapshot is taken, 0 for never.
	snapshot uint64
}

// commitRecovered says that all of what Open has found is committed: it is durable. Without an owner to say
// so a reader would see nothing.
func commitRecovered(e *engine.Engine) error {
	for l := range e.Logs() {
		if err := l.SetCommitted(l.LastWritten().Index); err != nil && !errors.Is(err, engine.ErrQuarantined) {
			return err
		}
	}
	return nil
}

// open returns the logs, which it makes where they are missing.
func (d *demo) open(ctx context.Context) (logs []*engine.Log, err error) {
	for i := range d.logs {
		uid := engine.UID(fmt.Sprintf("demo-%d", i))
		l, err := d.e.Log(uid)
		if errors.Is(err, engine.ErrNotFound) {
			l, err = d.e.CreateSync(ctx, uid)
		}
		if err != nil {
			return nil, err
		}
		logs = append(logs, l)
	}
	return logs, nil
}

// write appends to all logs until each is as long as it should be, or ctx ends.
func (d *demo) write(ctx context.Context, logs []*engine.Log) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make([]error, len(logs))
	var writers sync.WaitGroup
	for i, l := range logs {
		writers.Go(func() {
			if failed[i] = d.fill(ctx, l); failed[i] != nil {
				cancel()
			}
		})
	}
	writers.Wait()
	return errors.Join(failed...)
}

// fill writes one log, each time in a new term, in calls of several entries.
func (d *demo) fill(ctx context.Context, l *engine.Log) error {
	last := l.Last()
	term := last.Term + 1
	for d.entries == 0 || uint64(last.Index) < d.entries {
		if ctx.Err() != nil {
			return nil
		}
		n := 1 + uint64(last.Index)%8
		if d.entries != 0 {
			n = min(n, d.entries-uint64(last.Index))
		}
		var entries []engine.Entry
		for i := range engine.Index(n) {
			entries = append(entries, demoEntry(l.UID(), last.Index+1+i, term))
		}
		if err := l.AppendSync(ctx, last, entries); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		last = entries[n-1].ID()
		if err := l.SetCommitted(last.Index); err != nil {
			return err
		}
		if err := d.capture(l, last); err != nil {
			return err
		}
	}
	return nil
}

// capture has a snapshot taken at the last entry when it is time: the engine writes it beside what comes next,
// and releases the log below. The state of a machine that only counts is the number of its entries.
func (d *demo) capture(l *engine.Log, last engine.EntryID) error {
	if d.snapshot == 0 || uint64(last.Index-l.First()) < d.snapshot {
		return nil
	}
	err := l.Capture(engine.Capture{Kind: engine.KindSnapshot, At: last, State: func(w io.Writer) error {
		_, err := fmt.Fprintln(w, last.Index)
		return err
	}})
	if errors.Is(err, engine.ErrSnapshotRunning) || errors.Is(err, engine.ErrBusy) {
		return nil // next time
	}
	return err
}

// demoEntry is an entry that no other index, term or log has.
func demoEntry(uid engine.UID, i engine.Index, term engine.Term) engine.Entry {
	seed := crc32.Checksum(fmt.Appendf(nil, "%s %d %d", uid, i, term), castagnoli)
	data := make([]byte, 4+seed%1000)
	for at := 0; at+4 <= len(data); at += 4 {
		binary.LittleEndian.PutUint32(data[at:], seed*uint32(at+1))
	}
	return engine.Entry{Index: i, Term: term, Type: uint8(seed >> 24), Data: data}
}
