//go:build unix

package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// killsVar asks for more kills in each test than the few of an ordinary run: RAWL_KILLS=20 go test ./engine/examples/mirror
const killsVar = "RAWL_KILLS"

// TestProgram builds the program and runs both sides as processes.
func TestProgram(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "mirror.exe")
	if out, err := exec.Command("go", "build", "-o", exe, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	t.Run("killed", func(t *testing.T) { testKill(t, newKillWorld(t, exe)) })
	t.Run("killed, with snapshots", func(t *testing.T) { testKill(t, newKillWorld(t, exe), "-snapshot", "200") })
	t.Run("ended", func(t *testing.T) { testEnds(t, newKillWorld(t, exe)) })
}

// testKill kills either side at random moments, its start and recovery included, while the source
// writes, and then has both logs compared.
func testKill(t *testing.T, w *killWorld, flags ...string) {
	kills := 2
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
	sides := [...]func() *process{
		func() *process {
			return w.start(t, "source", append([]string{"-listen", w.address(), "-write", "-logs", "4"}, flags...)...)
		},
		func() *process { return w.start(t, "target", "-connect", w.address()) },
	}
	running := [...]*process{sides[0](), sides[1]()}
	for range kills {
		k := rng.IntN(len(sides))
		running[k].kill(t, killAfter(rng))
		running[k] = sides[k]()
	}
	for _, p := range running {
		p.kill(t, killAfter(rng))
	}
	source := w.start(t, "source", "-listen", w.address(), "-write", "-logs", "4", "-entries", "1") // all may have been killed before they wrote
	source.until(t, "written")
	w.start(t, "target", "-connect", w.address(), "-once").wait(t)
	source.terminate(t)
	wantEqual(t, w.dir("source"), w.dir("target"), 4)
}

// testEnds makes sure that a target that is told to end, or has all that a source has written, ends with
// success.
func testEnds(t *testing.T, w *killWorld) {
	source := w.start(t, "source", "-listen", w.address(), "-write", "-logs", "2", "-entries", "300")
	source.until(t, "written")
	target := w.start(t, "target", "-connect", w.address())
	target.terminate(t)
	w.start(t, "target", "-connect", w.address(), "-once").wait(t)
	source.terminate(t)
	wantEqual(t, w.dir("source"), w.dir("target"), 2)
}

// killAfter draws the moment: one in five within the start.
func killAfter(rng *rand.Rand) time.Duration {
	if rng.IntN(5) == 0 {
		return time.Duration(rng.IntN(80)) * time.Millisecond
	}
	return time.Duration(50+rng.IntN(450)) * time.Millisecond
}

// killWorld is the program and a directory for the engines of both sides.
type killWorld struct{ root, exe string }

func newKillWorld(t *testing.T, exe string) *killWorld {
	t.Helper()
	root, err := os.MkdirTemp("", "rawl-mirror-") // short enough for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kept: %s", root)
			return
		}
		if err := os.RemoveAll(root); err != nil {
			t.Error(err)
		}
	})
	return &killWorld{root: root, exe: exe}
}

func (w *killWorld) dir(side string) string { return filepath.Join(w.root, side) }

func (w *killWorld) address() string { return "unix:" + filepath.Join(w.root, "socket") }

// process is a running side. done is closed when it has ended; err and output belong to the reader then.
type process struct {
	cmd  *exec.Cmd
	out  output
	done chan struct{}
	err  error
}

// start runs a side, with WAL files so small that a run rolls and flushes them.
func (w *killWorld) start(t *testing.T, side string, flags ...string) *process {
	t.Helper()
	p := &process{done: make(chan struct{})}
	p.cmd = exec.CommandContext(t.Context(), w.exe, append([]string{side, "-dir", w.dir(side), "-walfile", "1048576"}, flags...)...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() { <-p.done }) // t's context has ended, which kills it
	return p
}

// kill kills the process when the time is over, before which it must not end.
func (p *process) kill(t *testing.T, after time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), after)
	defer cancel()
	select {
	case <-ctx.Done():
	case <-p.done:
		t.Fatalf("%v ended by itself: %v\n%s", p.cmd.Args, p.err, &p.out)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.done
}

func (p *process) terminate(t *testing.T) {
	t.Helper()
	p.until(t, "recovered") // signals are heard from before that on
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.wait(t)
}

func (p *process) wait(t *testing.T) {
	t.Helper()
	<-p.done
	if p.err != nil {
		t.Fatalf("%v: %v\n%s", p.cmd.Args, p.err, &p.out)
	}
}

// until waits for a text in the output.
func (p *process) until(t *testing.T, text string) {
	t.Helper()
	select {
	case <-p.out.await(text):
	case <-p.done:
		t.Fatalf("%v ended without %q: %v\n%s", p.cmd.Args, text, p.err, &p.out)
	}
}

// output collects what a process prints.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	text string
	seen chan struct{} // closed once buf holds text; nil when nobody waits
}

func (o *output) await(text string) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text, o.seen = text, make(chan struct{})
	seen := o.seen
	o.lookLocked()
	return seen
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(b)
	o.lookLocked()
	return len(b), nil
}

func (o *output) lookLocked() {
	if o.seen != nil && strings.Contains(o.buf.String(), o.text) {
		close(o.seen)
		o.seen = nil
	}
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// wantEqual compares the logs of two engines, byte by byte, from the first entry on that both have: the
// source may have released some.
func wantEqual(t *testing.T, dir, mirrored string, logs int) {
	t.Helper()
	from, to := openLogs(t, dir), openLogs(t, mirrored)
	if len(from) != logs || len(to) != logs {
		t.Fatalf("%d logs at the source, %d at the target, want %d", len(from), len(to), logs)
	}
	for uid, a := range from {
		b := to[uid]
		if b == nil || a.Last().Index == 0 || a.Last() != b.Last() || a.First() < b.First() {
			t.Fatalf("log %s: %v from %d, mirrored %v from %d", uid, a.Last(), a.First(), b.Last(), b.First())
		}
		if x, y := digest(t, a, a.First()), digest(t, b, a.First()); x != y {
			t.Fatalf("log %s from %d to %v: %s, mirrored %s", uid, a.First(), a.Last(), x, y)
		}
		t.Logf("log %s ends at %v, source from %d, target from %d", uid, a.Last(), a.First(), b.First())
	}
}

// openLogs opens an engine for the rest of the test and returns its logs.
func openLogs(t *testing.T, dir string) map[engine.UID]*engine.Log {
	t.Helper()
	e, err := engine.Open(dir, engine.Options{WALFileBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	found := make(map[engine.UID]*engine.Log)
	for l := range e.Logs() {
		found[l.UID()] = l
	}
	return found
}
