package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// demoNodes are the nodes of a demo.
var demoNodes = []string{"a", "b", "c"}

// demoNode is a process of the demo.
type demoNode struct {
	id, raft, http string
	args           []string
	log            *os.File
}

// demo runs three nodes on this machine, each in a process of its own, until ctx ends. A node that is killed is started again.
func demo(ctx context.Context, args []string, out, errOut io.Writer) (err error) {
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	dir := f.String("dir", "", "directory of certificates, data and logs, kept; default one that is removed at the end")
	base := f.Int("port", 0, "first of six ports, default free ones")
	if err := parse(f, args, errOut, 0, 0); err != nil {
		return err
	}
	if *dir == "" {
		if *dir, err = os.MkdirTemp("", "kv-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(*dir)) }()
	}
	nodes, err := demoPlan(*dir, *base)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var processes sync.WaitGroup
	defer processes.Wait()
	for _, n := range nodes {
		if n.log, err = os.OpenFile(filepath.Join(*dir, n.id+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			cancel(err)
			return err
		}
		fmt.Fprintf(out, "node %s: http://%s\n", n.id, n.http)
		processes.Go(func() {
			defer n.log.Close()
			if err := n.keep(ctx, self, out); err != nil {
				cancel(fmt.Errorf("node %s: %w; its log is %s", n.id, err, n.log.Name()))
			}
		})
	}
	fmt.Fprintf(out, "data, certificates and logs: %s\n", *dir)
	if awaitReady(ctx, nodes) == nil {
		fmt.Fprintln(out, "ready; interrupt to stop")
	}
	<-ctx.Done()
	fmt.Fprintln(out, "stopping")
	processes.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// demoPlan makes certificates and chooses ports.
func demoPlan(dir string, base int) ([]*demoNode, error) {
	ports, err := demoPorts(base)
	if err != nil {
		return nil, err
	}
	var nodes []*demoNode
	var peers []string
	for i, id := range demoNodes {
		if err := certify(filepath.Join(dir, "tls"), id); err != nil {
			return nil, err
		}
		n := &demoNode{id: id, http: fmt.Sprintf("127.0.0.1:%d", ports[i]), raft: fmt.Sprintf("127.0.0.1:%d", ports[i+len(demoNodes)])}
		nodes, peers = append(nodes, n), append(peers, id+"="+n.raft)
	}
	for _, n := range nodes {
		t := nodeTLS(filepath.Join(dir, "tls"), n.id)
		n.args = []string{"serve", "-id", n.id, "-dir", filepath.Join(dir, n.id), "-http", n.http, "-raft", n.raft,
			"-peers", strings.Join(peers, ","), "-members", strings.Join(demoNodes, ","), "-cert", t.CertFile, "-key", t.KeyFile, "-ca", t.CAFile}
	}
	return nodes, nil
}

// demoPorts are base and those behind it, or free ones: they are free until somebody else takes them.
func demoPorts(base int) (ports []int, err error) {
	for i := range 2 * len(demoNodes) {
		if base != 0 {
			ports = append(ports, base+i)
			continue
		}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close() // all are held until the last is found
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// keep runs the node until ctx ends. One that is killed is started again; one that fails is an error.
func (n *demoNode) keep(ctx context.Context, self string, out io.Writer) error {
	for {
		c := exec.CommandContext(ctx, self, n.args...)
		c.Stdout, c.Stderr = n.log, n.log
		c.Cancel = func() error {
			if c.Process.Signal(syscall.SIGTERM) != nil { // where there are no signals
				return c.Process.Kill()
			}
			return nil
		}
		c.WaitDelay = stopPatience + 5*time.Second
		err := c.Start()
		if err == nil {
			fmt.Fprintf(out, "node %s runs as process %d\n", n.id, c.Process.Pid)
			err = c.Wait()
		}
		if ctx.Err() != nil {
			return nil
		}
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Exited() {
			return fmt.Errorf("ended: %w", errors.Join(err, errEnded))
		}
		fmt.Fprintf(out, "node %s: %v; it is started again\n", n.id, err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(2 * time.Second): // long enough to be seen on the page
		}
	}
}

// errEnded says that a node of a demo is not there any more.
var errEnded = errors.New("the process has ended")

// awaitReady waits until all nodes say that they are ready.
func awaitReady(ctx context.Context, nodes []*demoNode) error {
	for _, n := range nodes {
		for !ready(ctx, n.http) {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}

func ready(ctx context.Context, at string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/readyz", nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}
