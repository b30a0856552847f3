package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// cutsVar asks for more power cuts than the few of an ordinary run: RAWL_CUTS=50 go test -run TestPowerCut ./bench
const cutsVar = "RAWL_CUTS"

// TestPowerCut tortures engines with all their goroutines on disks in memory and cuts the power at
// random operations of the disk, those of recovery included. Of what was not synced an image of the
// disk holds nothing, all, or what a seed draws: torn writes, later ones without earlier ones. Each cut
// is followed by two proofs that agree, each on a copy of the image; then the torture goes on from
// the image itself.
func TestPowerCut(t *testing.T) {
	cuts := 4
	if v := os.Getenv(cutsVar); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("%s: %v", cutsVar, err)
		}
		cuts = n
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var cases []*cutCase
	for _, s := range strategies() {
		if s != engine.StrategyNone {
			cases = append(cases, &cutCase{disk: memfs.New(rng.Uint64()), strategy: s, prealloc: engine.Prealloc(rng.IntN(3))})
		}
	}
	rng.Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
	for i := range cuts {
		c := cases[i%len(cases)]
		c.cut(t, rng)
		first, second := c.verify(t), c.verify(t)
		if first.sum() != second.sum() {
			c.fatalf(t, "two proofs in a row disagree:\n%s\n%s", first, second)
		}
		t.Logf("%v: %s", c, first)
	}
}

// cutCase is a disk with its journal, tortured again and again.
type cutCase struct {
	disk     *memfs.FS
	journal  []byte
	strategy engine.Strategy
	prealloc engine.Prealloc
	cuts     int
	last     string // what the last cut was
}

func (c *cutCase) String() string {
	return fmt.Sprintf("%v, preallocation %v, cut %d, %s", c.strategy, c.prealloc, c.cuts, c.last)
}

func (c *cutCase) torture() (*tortureCase, engine.Options, error) {
	tc := &tortureCase{row: row{Backend: "auto", Strategy: c.strategy.String(), Prealloc: c.prealloc.String(),
		Logs: 64, WALFile: 4 << 20}, owners: 8, readers: 1, slots: 2, memory: 24 << 20}
	o, err := tc.options()
	return tc, o, err
}

func open(disk *memfs.FS) openEngine {
	return func(o engine.Options) (*engine.Engine, error) { return engine.OpenOn(disk, "/db", o) }
}

func (c *cutCase) world(t *testing.T) *world {
	t.Helper()
	w := newWorld()
	if err := w.read(bytes.NewReader(c.journal)); err != nil {
		t.Fatalf("%v: %v", c, err)
	}
	return w
}

// cut tortures until an operation of the disk that is drawn, one in three within the start, and
// leaves what a power cut then leaves.
func (c *cutCase) cut(t *testing.T, rng *rand.Rand) {
	t.Helper()
	at := 1 + rng.IntN(6000)
	if rng.IntN(3) == 0 {
		at = 1 + rng.IntN(200)
	}
	how := memfs.CrashOptions{Unsynced: memfs.Unsynced(rng.IntN(3)), Seed: rng.Uint64()}
	if how.Unsynced != memfs.Random && rng.IntN(2) == 0 {
		how.Unsynced = memfs.Random
	}
	w := c.world(t)
	acks := &cutJournal{text: c.journal}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	disk, start := c.disk, c.disk.Ops()
	disk.OnOp(func(op memfs.Op) {
		if op.N-start >= at && acks.cut(func() { c.disk = disk.Crash(how) }) {
			c.last = fmt.Sprintf("at operation %d, %v, %+v", op.N-start, op, how)
			cancel()
		}
	})
	tc, o, err := c.torture()
	tc.seed = rng.Uint64() | 1
	if err == nil {
		err = tc.run(ctx, w, acks, open(disk), o)
	}
	c.journal = acks.text
	if err != nil {
		c.fatalf(t, "torture ended by itself: %v", err)
	}
	c.cuts++
}

// verify proves what a copy of the disk holds.
func (c *cutCase) verify(t *testing.T) *verifier {
	t.Helper()
	tc, _, err := c.torture()
	tc.verify = true
	o, err2 := tc.options()
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	v, err := verifyTorture(c.world(t), open(c.disk.Crash(memfs.CrashOptions{Unsynced: memfs.Kept})), o)
	if err != nil {
		c.fatalf(t, "%v", err)
	}
	return v
}

// fatalf ends the test, and leaves the journal to be looked at.
func (c *cutCase) fatalf(t *testing.T, format string, args ...any) {
	t.Helper()
	name := filepath.Join(keptDir(t), "acks")
	err := os.WriteFile(name, c.journal, 0o600)
	t.Fatalf("%v: %s; journal: %s, %v", c, fmt.Sprintf(format, args...), name, err)
}

// cutJournal is a journal in memory that ends with the power: an answer counts when it was written before the
// image was taken, and an intent stands in it before its operation can have reached the disk.
type cutJournal struct {
	mu   sync.Mutex
	text []byte
	over bool
}

// Write implements io.Writer.
func (j *cutJournal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.over {
		j.text = append(j.text, line...)
	}
	return len(line), nil
}

// cut ends the journal while image takes that of the disk. It is false when the power is cut already.
func (j *cutJournal) cut(image func()) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.over {
		return false
	}
	image()
	j.over = true
	return true
}
