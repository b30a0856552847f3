//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
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

// killsVar asks for more kills than the few of an ordinary run: RAWL_KILLS=20 go test ./engine/examples/mirror
const killsVar = "RAWL_KILLS"

// TestKill kills either side at random moments, its start and recovery included, while the source
// writes, and then has both logs compared.
func TestKill(t *testing.T) {
	kills := 4
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
	w := newKillWorld(t)
	sides := [...]func() *process{
		func() *process { return w.start(t, "source", "-listen", w.address(), "-write", "-logs", "4") },
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
	source := w.start(t, "source", "-listen", w.address())
	w.start(t, "target", "-connect", w.address(), "-once").wait(t)
	source.terminate(t)
	wantEqual(t, w.dir("source"), w.dir("target"), 4)
}

// A target that is told to end, or has all that a source has written, ends with success.
func TestEnds(t *testing.T) {
	w := newKillWorld(t)
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
	return time.Duration(100+rng.IntN(600)) * time.Millisecond
}

// killWorld is a directory with the program and the engines of both sides.
type killWorld struct{ root, exe string }

func newKillWorld(t *testing.T) *killWorld {
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
	w := &killWorld{root: root, exe: filepath.Join(root, "mirror.exe")}
	if out, err := exec.Command("go", "build", "-o", w.exe, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return w
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

// wantEqual compares the logs of two engines, byte by byte.
func wantEqual(t *testing.T, dir, mirrored string, logs int) {
	t.Helper()
	from, to := digests(t, dir), digests(t, mirrored)
	if fmt.Sprint(from) != fmt.Sprint(to) || len(from) != logs {
		t.Fatalf("%d logs:\n%v\n%v", len(from), from, to)
	}
	t.Log(from)
}

// digests returns what each log holds: its last entry, and a checksum of all entries. Empty logs fail.
func digests(t *testing.T, dir string) map[engine.UID]string {
	t.Helper()
	e, err := engine.Open(dir, engine.Options{WALFileBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(context.Background())
	found := make(map[engine.UID]string)
	for l := range e.Logs() {
		if l.Last().Index == 0 || l.First() != 1 {
			t.Fatalf("%s: log %s has %d to %v", dir, l.UID(), l.First(), l.Last())
		}
		found[l.UID()] = fmt.Sprint(l.Last(), " ", digest(t, l))
	}
	return found
}
