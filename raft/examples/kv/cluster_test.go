package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/transport"
)

// patience bounds what tests wait for; no test is about how long anything takes.
const patience = 2 * time.Minute

// cluster is some servers in this process, each with a port of its own for HTTP.
type cluster struct {
	t     testing.TB
	net   *transport.Network[raft.Packet]
	dir   string
	nodes map[string]*running
}

// running is a server that serves.
type running struct {
	*server
	stop context.CancelFunc
	done chan error
}

func contextFor(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// newCluster starts the nodes and waits until all are ready.
func newCluster(t testing.TB, ids ...string) *cluster {
	began := time.Now()
	n, err := transport.New[raft.Packet](transport.Options{Now: func() int64 { return int64(time.Since(began)) }})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, net: n, dir: t.TempDir(), nodes: map[string]*running{}}
	t.Cleanup(func() {
		for id := range c.nodes {
			c.stop(id)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, id := range ids {
		c.start(id, ids)
	}
	for _, id := range ids {
		c.await(id+" to be ready", func() bool { return c.get(id, "/readyz").status == http.StatusOK })
	}
	return c
}

// start starts a node; without members it joins.
func (c *cluster) start(id string, members []string) {
	c.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	others := map[raft.NodeID]string{}
	for other := range c.nodes {
		others[other] = "in process"
	}
	s, err := openServer(serverOptions{
		ID: id, Dir: filepath.Join(c.dir, id), Network: raft.InProcess(c.net), Book: newAddressBook(others),
		Own: nodeAddress{id, "in process", "http://" + ln.Addr().String()}, Members: members, Join: members == nil, Log: slog.DiscardHandler,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{s, cancel, make(chan error, 1)}
	c.nodes[id] = r
	go func() { r.done <- s.run(ctx, ln) }()
}

// stop stops a node in order.
func (c *cluster) stop(id string) {
	c.t.Helper()
	r := c.nodes[id]
	delete(c.nodes, id)
	r.stop()
	if err := <-r.done; err != nil {
		c.t.Errorf("node %s: %v", id, err)
	}
}

// await waits until f holds.
func (c *cluster) await(what string, f func() bool) {
	c.t.Helper()
	await(c.t, what, f)
}

func await(t testing.TB, what string, f func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !f(); {
		if time.Now().After(until) {
			t.Fatal("still waiting for", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// answer is what a node answered.
type answer struct {
	status int
	header http.Header
	body   string
}

// into decodes the body.
func (a answer) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
}

// failure is the error in the body.
func (a answer) failure(t testing.TB) apiError {
	t.Helper()
	var body struct{ Error *apiError }
	a.into(t, &body)
	if body.Error == nil || body.Error.Code == "" || body.Error.Message == "" {
		t.Fatalf("status %d without an error: %s", a.status, a.body)
	}
	return *body.Error
}

func (c *cluster) call(id, method, path, body string, headers ...string) answer {
	c.t.Helper()
	r, err := http.NewRequestWithContext(contextFor(c.t), method, c.nodes[id].opts.Own.URL+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for k := 0; k+1 < len(headers); k += 2 {
		r.Header.Set(headers[k], headers[k+1])
	}
	noRedirect := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	a, err := noRedirect.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer{a.StatusCode, a.Header, string(b)}
}

func (c *cluster) get(id, path string) answer {
	c.t.Helper()
	return c.call(id, http.MethodGet, path, "")
}

// must is call for what has to go well.
func (c *cluster) must(id, method, path, body string) answer {
	c.t.Helper()
	a := c.call(id, method, path, body)
	if a.status >= 400 {
		c.t.Fatalf("%s %s at %s: %d %s", method, path, id, a.status, a.body)
	}
	return a
}

// put puts a key and returns the answer.
func (c *cluster) put(id, key, value string) (w written) {
	c.t.Helper()
	c.must(id, http.MethodPut, keyPath(key), value).into(c.t, &w)
	return w
}

// leader waits until all nodes agree on one, and returns it.
func (c *cluster) leader() (leader string) {
	c.t.Helper()
	c.await("a leader", func() bool {
		leader = ""
		for _, r := range c.nodes {
			m, err := r.node.KeyMetrics(serverName)
			if err != nil || m.Leader.IsZero() || leader != "" && m.Leader.Node != leader {
				return false
			}
			leader = m.Leader.Node
		}
		return true
	})
	return leader
}

// kv runs the command-line client against the nodes, and returns what it prints, and its exit code.
func (c *cluster) kv(in string, args ...string) (out string, code int) {
	c.t.Helper()
	var urls []string
	for _, r := range c.nodes {
		urls = append(urls, r.opts.Own.URL)
	}
	var stdout, stderr bytes.Buffer
	args = append([]string{args[0], "-timeout", patience.String(), "-servers", strings.Join(urls, ",")}, args[1:]...)
	code = run(contextFor(c.t), args, strings.NewReader(in), &stdout, &stderr)
	return stdout.String() + stderr.String(), code
}

// stream is an open watch.
type stream struct {
	t      testing.TB
	events chan sseEvent
	end    chan error
	cancel context.CancelFunc
}

// watch opens a watch and waits until the server has begun it.
func (c *cluster) watch(id, query string, headers ...string) *stream {
	c.t.Helper()
	ctx, cancel := context.WithCancel(contextFor(c.t))
	c.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.nodes[id].opts.Own.URL+"/v1/watch?"+query, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for k := 0; k+1 < len(headers); k += 2 {
		r.Header.Set(headers[k], headers[k+1])
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil || a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "text/event-stream" {
		c.t.Fatal(a, err)
	}
	s := &stream{c.t, make(chan sseEvent, 1000), make(chan error, 1), cancel}
	go func() {
		defer a.Body.Close()
		s.end <- readEvents(a.Body, func(e sseEvent) error {
			select {
			case s.events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		close(s.events)
	}()
	if e := s.next(); e.Kind != "ready" {
		c.t.Fatalf("a watch begins with %+v", e)
	}
	return s
}

// errNoEvent says that a stream ended.
var errNoEvent = errors.New("the stream has ended")

// next returns the next event that is not only a place.
func (s *stream) next() sseEvent {
	s.t.Helper()
	for {
		select {
		case e, ok := <-s.events:
			if !ok {
				s.t.Fatal(errNoEvent, <-s.end)
			}
			if e.Kind != "" {
				return e
			}
		case <-time.After(patience):
			s.t.Fatal("no event comes")
		}
	}
}

// want wants the next event to be a change.
func (s *stream) want(kind, key, value string, index raft.Index) {
	s.t.Helper()
	e := s.next()
	var got change
	if err := json.Unmarshal([]byte(e.Data), &got); err != nil {
		s.t.Fatalf("%+v: %v", e, err)
	}
	text := ""
	if got.Text != nil && got.Value != nil {
		text = *got.Value
	}
	if e.Kind != kind || got.Key != key || text != value || got.Index != index || e.ID != fmt.Sprint(index) {
		s.t.Fatalf("%+v, want %s of %q at %d", e, kind, key, index)
	}
}
