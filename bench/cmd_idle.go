package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// idleLogs creates many logs, weighs them, and opens them again.
func (c *recoverCase) idleLogs(ctx context.Context) error {
	if c.idle == 0 {
		return nil
	}
	dir := filepath.Join(c.dir, "idle")
	o, err := c.row.options()
	if err != nil {
		return err
	}
	e, err := engine.Open(dir, o)
	if err != nil {
		return err
	}
	before := heapInUse()
	took, err := c.create(ctx, e)
	if err != nil {
		return err
	}
	per := (heapInUse() - before) / float64(c.idle)
	fmt.Printf("\n%d idle logs\n  created    %8s  %s logs/s, durable; %.0f bytes of memory each\n", c.idle,
		took.Round(time.Millisecond), count(float64(c.idle)/took.Seconds()), per)
	runtime.KeepAlive(e)
	if err := e.Close(ctx); err != nil {
		return err
	}
	for _, what := range []string{"from the WAL", "from the manifest"} {
		if err := c.reopenIdle(ctx, dir, o, what); err != nil {
			return err
		}
	}
	return c.usedLogs(ctx, dir, o)
}

// create makes the logs; waiting for the last one's record waits for all.
func (c *recoverCase) create(ctx context.Context, e *engine.Engine) (time.Duration, error) {
	began := time.Now()
	for i := range c.idle {
		uid := engine.UID(fmt.Sprintf("idle-%06d", i))
		var err error
		if i == c.idle-1 {
			_, err = e.CreateSync(ctx, uid)
		} else {
			_, err = e.Create(uid)
		}
		if err != nil {
			return 0, err
		}
	}
	for l := range e.Logs() {
		if s := l.Stats(); s.Quarantine != nil {
			return 0, s.Quarantine
		}
	}
	return time.Since(began), nil
}

// reopenIdle opens the logs, and flushes so that the next open finds them in the manifest.
func (c *recoverCase) reopenIdle(ctx context.Context, dir string, o engine.Options, what string) error {
	before := heapInUse()
	began := time.Now()
	e, err := engine.Open(dir, o)
	if err != nil {
		return err
	}
	took := time.Since(began)
	per := (heapInUse() - before) / float64(c.idle)
	fmt.Printf("  reopened   %8s  %s (replay %s); %.0f bytes of memory each\n", took.Round(time.Millisecond),
		what, e.Stats().Recovery.Took.Round(time.Millisecond), per)
	if n := e.Stats().Logs; n != c.idle {
		return fmt.Errorf("%d logs of %d came back", n, c.idle)
	}
	if err := e.Flush(ctx); err != nil {
		return err
	}
	fmt.Printf("             after a flush: %.0f bytes of memory each\n", (heapInUse()-before)/float64(c.idle))
	return e.Close(ctx)
}

// usedLogs weighs logs that have had entries, and are idle again.
func (c *recoverCase) usedLogs(ctx context.Context, dir string, o engine.Options) error {
	e, err := engine.Open(dir, o)
	if err != nil {
		return err
	}
	before := heapInUse()
	payload := make([]byte, 256)
	for l := range e.Logs() {
		prev := l.Last()
		if err := l.Append(prev, []engine.Entry{{Index: prev.Index + 1, Term: benchTerm, Data: payload}}); err != nil {
			return err
		}
	}
	for l := range e.Logs() {
		if err := l.Release(l.Last().Index); err != nil {
			return err
		}
	}
	if err := e.Flush(ctx); err != nil {
		return err
	}
	fmt.Printf("  after an append, its release and a flush: %.0f bytes of memory each more\n",
		(heapInUse()-before)/float64(c.idle))
	return e.Close(ctx)
}

// heapInUse is what live objects take, after a collection.
func heapInUse() float64 {
	runtime.GC()
	runtime.GC()
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	return float64(ms.HeapAlloc)
}
