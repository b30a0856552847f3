package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a node in a process of its own.
type process struct {
	*demoNode
	cmd *exec.Cmd
	out bytes.Buffer // read after cmd has ended
}

func (p *process) start(t testing.TB) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(self, p.args...)
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// kill ends the process as a crash does.
func (p *process) kill(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = p.cmd.Wait() // it was killed
}

// writer writes keys of its own until it is told to stop, and knows what was acknowledged.
type writer struct {
	client
	name  string
	once  bool // it writes in sessions
	acked map[string]string
	err   error
}

// write writes numbers to ten keys in turn. After a write of which nobody knows whether it was applied it goes on with other keys.
func (w *writer) write(ctx context.Context, stop <-chan struct{}) {
	servers := w.servers
	for life := 0; ; life++ {
		w.client = client{servers: servers}
		if w.once {
			if w.err = w.begin(ctx); w.err != nil {
				return
			}
		}
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			key, value := fmt.Sprintf("%s/%d/%d", w.name, life, n%10), fmt.Sprint(n)
			if _, _, err := w.do(ctx, call{method: http.MethodPut, path: keyPath(key), body: []byte(value)}); err != nil {
				if w.err = ctx.Err(); w.err != nil {
					return
				}
				delete(w.acked, key)
				break
			}
			w.acked[key] = value
			w.sequence++
		}
	}
}

// Three processes over TLS. One is killed while clients write: nothing that was acknowledged is lost, on any node, and the others stop
// in order.
func TestProcesses(t *testing.T) {
	dir := t.TempDir()
	plan, err := demoPlan(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx := contextFor(t)
	var nodes []*process
	var urls []string
	for _, n := range plan {
		p := &process{demoNode: n}
		p.start(t)
		t.Cleanup(func() {
			if p.cmd.ProcessState == nil {
				p.kill(t)
			}
			if t.Failed() {
				t.Logf("node %s:\n%s", p.id, p.out.String())
			}
		})
		nodes, urls = append(nodes, p), append(urls, "http://"+n.http)
	}
	if err := awaitReady(ctx, plan); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writers := make([]*writer, 6)
	for k := range writers {
		w := &writer{client: client{servers: append(append([]string{}, urls[k%3:]...), urls[:k%3]...)}, name: fmt.Sprint("w", k), once: k%2 == 0, acked: map[string]string{}}
		writers[k] = w
		writing.Go(func() { w.write(ctx, stop) })
	}
	c := client{servers: urls}
	leader := func() (at int) {
		await(t, "a leader", func() bool {
			body, _, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/members", read: true})
			at = -1
			for i, n := range nodes {
				if err == nil && bytes.Contains(body, []byte(fmt.Sprintf(`"node":%q,"membership":"voter","leader":true`, n.id))) {
					at = i
				}
			}
			return at >= 0
		})
		return at
	}
	progress := func(what string) {
		t.Helper()
		for k := range 20 {
			put := call{method: http.MethodPut, path: keyPath(fmt.Sprint(what, k)), body: []byte(what)}
			for {
				_, _, err := c.do(ctx, put)
				if err == nil {
					break
				}
				if ctx.Err() != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
		}
	}
	progress("before")
	killed := nodes[leader()]
	killed.kill(t)
	c.servers = nil
	for _, n := range nodes {
		if n != killed {
			c.servers = append(c.servers, "http://"+n.http)
		}
	}
	progress("without")
	killed.start(t)
	if err := awaitReady(ctx, []*demoNode{killed.demoNode}); err != nil {
		t.Fatal(err)
	}
	progress("after")
	close(stop)
	writing.Wait()
	for _, w := range writers {
		if w.err != nil || len(w.acked) == 0 {
			t.Errorf("%s: %d keys, %v", w.name, len(w.acked), w.err)
		}
		for key, want := range w.acked {
			for _, url := range urls {
				at := client{servers: []string{url}}
				body, _, err := at.do(ctx, call{method: http.MethodGet, path: keyPath(key), read: true})
				if err != nil || string(body) != want {
					t.Errorf("%s at %s: %q, %v; %q was acknowledged", key, url, body, err, want)
				}
			}
		}
	}
	if body, err := os.ReadDir(filepath.Join(dir, "tls")); err != nil || len(body) < 3 {
		t.Error("there are no certificates", body, err)
	}
	for _, n := range nodes {
		if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			n.kill(t) // where there are no signals
			continue
		}
	}
	for _, n := range nodes {
		if n.cmd.ProcessState != nil {
			continue
		}
		if err := n.cmd.Wait(); err != nil {
			t.Errorf("node %s does not stop in order: %v", n.id, err)
		}
	}
}

// A demo starts three nodes, starts one again that is killed, and ends when it is told to.
func TestDemo(t *testing.T) {
	if err := os.Setenv(asProgram, "1"); err != nil { // for the demo's children
		t.Fatal(err)
	}
	defer os.Unsetenv(asProgram)
	dir := t.TempDir()
	demoOnce(t, dir)
	demoOnce(t, dir) // on other ports
}

func demoOnce(t *testing.T, dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	var out, errOut lockedBuffer
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"-demo", "-dir", dir}, nil, &out, &errOut) }()
	await(t, "the demo to be ready", func() bool { return bytes.Contains(out.bytes(), []byte("ready")) })
	if n := bytes.Count(out.bytes(), []byte("http://127.0.0.1:")); n != len(demoNodes) {
		t.Errorf("%d URLs: %s", n, out.bytes())
	}
	pid := 0
	_, behind, _ := bytes.Cut(out.bytes(), []byte("node b runs as process "))
	if _, err := fmt.Sscan(string(behind), &pid); err != nil {
		t.Fatal(err)
	}
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the node to run again", func() bool { return bytes.Count(out.bytes(), []byte("node b runs")) == 2 })
	cancel()
	select {
	case code := <-ended:
		if code != exitDone {
			t.Errorf("exit code %d: %s", code, errOut.bytes())
		}
	case <-time.After(patience):
		t.Fatal("the demo does not end")
	}
}

// lockedBuffer is written and read by several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}
