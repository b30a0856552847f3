package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// open opens an engine without any bound on captures and compactions, and with nobody else in it.
func (c *snapshotCase) open(name string) (*engine.Engine, string, error) {
	o, err := c.row.options()
	if err != nil {
		return nil, "", err
	}
	o.SnapshotBytesPerSecond, o.CompactionBytesPerSecond, o.MinorsPerMajor = -1, -1, -1
	dir := filepath.Join(c.dir, name)
	e, err := engine.Open(dir, o)
	return e, dir, err
}

// states measures one state: written, verified and read.
func (c *snapshotCase) states(ctx context.Context) (err error) {
	e, dir, err := c.open("states")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close(context.WithoutCancel(ctx))) }()
	m, err := newMachine(e, "machine", c.size)
	if err != nil {
		return err
	}
	writes, began := streamBandwidth(c.dir, c.probe), time.Now()
	if _, err := m.capture(engine.KindSnapshot); err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	size := float64(c.size)
	if err := c.table.line(bandwidth("state of "+sizeName(int(c.size))+", written and synced", size, took, mid(writes, streamBandwidth(c.dir, c.probe)), "")); err != nil {
		return err
	}
	if _, err := forget(dir); err != nil {
		fmt.Println("the page cache could not be emptied:", err)
	}
	reads, began := scanBandwidth(c.dir, c.probe), time.Now()
	r, err := m.log.Restore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	took = time.Since(began).Seconds()
	if err := c.table.line(bandwidth("Restore, which verifies all of it, cold", size, took, reads, "")); err != nil {
		return err
	}
	if _, err := forget(dir); err != nil {
		fmt.Println("the page cache could not be emptied:", err)
	}
	began = time.Now()
	if err := drain(r, c.size); err != nil {
		return err
	}
	return c.table.line(bandwidth("State, read to its end, cold", size, time.Since(began).Seconds(), reads, ""))
}

// mid is the mean of a bandwidth before and after.
func mid(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	return ptr((*a + *b) / 2)
}

func drain(r *engine.SnapshotReader, size int64) error {
	from, err := r.State()
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{from}, make([]byte, 1<<20))
	if err == nil && n != size {
		err = fmt.Errorf("state of %d bytes, want %d", n, size)
	}
	return errors.Join(err, from.Close())
}

const (
	compactEntry = 4 << 10 // payload of an entry to be compacted, bytes
	compactKeep  = 5       // two of so many are live
)

// compactions measures copies of segments of which less than half is live.
func (c *snapshotCase) compactions(ctx context.Context) (err error) {
	e, dir, err := c.open("compactions")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close(context.WithoutCancel(ctx))) }()
	m, err := newMachine(e, "machine", 4<<10)
	if err != nil {
		return err
	}
	f := &filled{e: e, logs: []*engine.Log{m.log}, payload: randomPayload(compactEntry)}
	entries := int(c.size / compactEntry)
	if err := f.add(ctx, entries); err != nil {
		return err
	}
	if err := e.Flush(ctx); err != nil {
		return err
	}
	for i := 1; i <= entries; i++ {
		if i%compactKeep < 2 {
			m.live.Add(engine.Index(i))
		}
	}
	if _, err := m.capture(engine.KindSnapshot); err != nil {
		return err
	}
	if err := e.Flush(ctx); err != nil { // what it releases is settled
		return err
	}
	if _, err := forget(dir); err != nil {
		fmt.Println("the page cache could not be emptied:", err)
	}
	writes, before, began := streamBandwidth(c.dir, c.probe), e.Stats(), time.Now()
	if err := m.log.Compact(ctx); err != nil {
		return err
	}
	took, after := time.Since(began).Seconds(), e.Stats()
	copied := float64(after.CompactedBytes - before.CompactedBytes)
	if copied == 0 {
		return errors.New("nothing was compacted")
	}
	name := fmt.Sprintf("compaction into %d segments, cold", after.Compactions-before.Compactions)
	return c.table.line(bandwidth(name, copied, took, mid(writes, streamBandwidth(c.dir, c.probe)), "at least 0.50"))
}
