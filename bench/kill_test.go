package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// killsVar asks for another number of kills than that of an ordinary run: RAWL_KILLS=200 go test ./bench
const killsVar = "RAWL_KILLS"

// TestKill kills bench torture at random moments, its start and recovery included, and has each
// kill followed by two proofs that agree. The kills are spread over all backends that work here
// and all durable strategies; every combination keeps one directory, so that damage done by one
// kill has time to show. In the end each is tortured once more and not killed: that, like each proof,
// ends by itself only when it has closed every file (bench torture says so).
func TestKill(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 6
	}
	if v := os.Getenv(killsVar); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("%s: %v", killsVar, err)
		}
		kills = n
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var cases []*killCase
	for _, b := range backends() {
		for _, s := range strategies() {
			if s == engine.StrategyNone {
				continue
			}
			dir := keptDir(t)
			cases = append(cases, &killCase{dir: filepath.Join(dir, "d"), acks: filepath.Join(dir, "acks"),
				flags: []string{"-backend", b, "-strategy", s.String()}})
		}
	}
	rng.Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
	for i := range kills {
		c := cases[i%len(cases)]
		atStart := rng.IntN(5) == 0
		c.kill(t, rng.Uint64(), atStart, killAfter(rng, atStart))
		first, second := c.verify(t), c.verify(t)
		if first != second {
			t.Fatalf("%v: two proofs in a row disagree:\n%s\n%s", c.flags, first, second)
		}
	}
	for _, c := range cases[:min(kills, len(cases))] {
		c.live(t, rng.Uint64())
		c.verify(t)
		t.Logf("%v: %d kills; %s", c.flags, c.kills, c.proved)
	}
}

// keptDir returns a directory that a failed test leaves behind, to be looked at.
func keptDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rawl-kill-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kept: %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// killAfter draws the moment, behind that at which the process starts or that at which it is at work.
func killAfter(rng *rand.Rand, atStart bool) time.Duration {
	if atStart {
		return time.Duration(rng.IntN(80)) * time.Millisecond
	}
	return time.Duration(rng.IntN(900)) * time.Millisecond
}

type killCase struct {
	dir, acks string
	flags     []string
	kills     int
	proved    []byte // the newest summary
}

func (c *killCase) command(ctx context.Context, more ...string) *exec.Cmd {
	args := append([]string{tortureCommand, "-dir", c.dir, "-acks", c.acks}, c.flags...)
	return exec.CommandContext(ctx, os.Args[0], append(args, more...)...)
}

// kill runs the torture for a while, which begins when it does or, however long that takes, when it has opened the engine.
func (c *killCase) kill(t *testing.T, seed uint64, atStart bool, after time.Duration) {
	t.Helper()
	cmd := c.command(t.Context(), "-seed", fmt.Sprint(seed))
	var out bytes.Buffer
	cmd.Stderr = &out
	told, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var killed atomic.Bool
	timer := time.AfterFunc(math.MaxInt64, func() {
		killed.Store(true)
		_ = cmd.Process.Kill()
	})
	defer timer.Stop()
	if atStart {
		timer.Reset(after)
	}
	for lines := bufio.NewScanner(told); lines.Scan(); { // the first says that it is at work
		if !atStart {
			atStart = true
			timer.Reset(after)
		}
	}
	if err := cmd.Wait(); !killed.Load() {
		t.Fatalf("%v: torture ended by itself: %v\n%s", c.flags, err, &out)
	}
	c.kills++
}

// live runs the torture to an end of its own.
func (c *killCase) live(t *testing.T, seed uint64) {
	t.Helper()
	if out, err := c.command(t.Context(), "-seed", fmt.Sprint(seed), "-duration", "200ms").CombinedOutput(); err != nil {
		t.Fatalf("%v after %d kills: %v\n%s", c.flags, c.kills, err, out)
	}
}

var digestLine = regexp.MustCompile(`digest ([0-9a-f]+)`)

// verify returns the digest of all that was found.
func (c *killCase) verify(t *testing.T) string {
	t.Helper()
	out, err := c.command(t.Context(), "-verify").CombinedOutput()
	if err != nil {
		t.Fatalf("%v after %d kills: %v\n%s", c.flags, c.kills, err, out)
	}
	if !bytes.Contains(out, []byte(" 0 torn checkpoints")) { // a kill is no power cut
		t.Fatalf("%v after %d kills: %s", c.flags, c.kills, out)
	}
	m := digestLine.FindSubmatch(out)
	if m == nil {
		t.Fatalf("%v: no digest in %q", c.flags, out)
	}
	c.proved = bytes.TrimSpace(out)
	return string(m[1])
}
