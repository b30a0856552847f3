package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// killsVar asks for more kills than the few of an ordinary run: RAWL_KILLS=200 go test ./bench
const killsVar = "RAWL_KILLS"

// TestKill kills bench torture at random moments, its start and recovery included, and has each
// kill followed by two proofs that agree. The kills are spread over all backends that work here
// and all durable strategies; every combination keeps one directory, so that damage done by one
// kill has time to show.
func TestKill(t *testing.T) {
	kills := 6
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
	bench := buildBench(t)
	var cases []*killCase
	for _, b := range backends() {
		for _, s := range strategies() {
			if s == engine.StrategyNone {
				continue
			}
			dir := keptDir(t)
			cases = append(cases, &killCase{bench: bench, dir: filepath.Join(dir, "d"), acks: filepath.Join(dir, "acks"),
				flags: []string{"-backend", b, "-strategy", s.String()}})
		}
	}
	rng.Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
	for i := range kills {
		c := cases[i%len(cases)]
		c.kill(t, rng.Uint64(), killAfter(rng))
		first, second := c.verify(t), c.verify(t)
		if first != second {
			t.Fatalf("%v: two proofs in a row disagree:\n%s\n%s", c.flags, first, second)
		}
	}
	for _, c := range cases[:min(kills, len(cases))] {
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

// killAfter draws the moment: one in five within the start.
func killAfter(rng *rand.Rand) time.Duration {
	if rng.IntN(5) == 0 {
		return time.Duration(rng.IntN(80)) * time.Millisecond
	}
	return time.Duration(100+rng.IntN(900)) * time.Millisecond
}

func buildBench(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "bench.exe")
	if out, err := exec.Command("go", "build", "-o", exe, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return exe
}

type killCase struct {
	bench, dir, acks string
	flags            []string
	kills            int
	proved           []byte // the newest summary
}

func (c *killCase) command(ctx context.Context, more ...string) *exec.Cmd {
	args := append([]string{"torture", "-dir", c.dir, "-acks", c.acks}, c.flags...)
	return exec.CommandContext(ctx, c.bench, append(args, more...)...)
}

// kill runs the torture until the time is over.
func (c *killCase) kill(t *testing.T, seed uint64, after time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), after)
	defer cancel()
	var out bytes.Buffer
	cmd := c.command(ctx, "-seed", fmt.Sprint(seed))
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatalf("%v: torture ended by itself: %v\n%s", c.flags, err, &out)
	}
	c.kills++
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
