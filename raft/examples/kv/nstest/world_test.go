//go:build linux

package nstest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	size     = 5               // of the cluster
	patience = 2 * time.Minute // bounds what must come true; nothing is about how long it takes
)

// world is the cluster, its clients, and what is done to it. One goroutine acts on it.
type world struct {
	t         testing.TB
	rand      *rand.Rand
	net       *network
	nodes     []*node
	record    *record
	chronicle *chronicle
	watchers  []*watcher
	tally     map[string]*tally

	slowest    time.Duration   // recovery
	detections []time.Duration // of one-way cuts
}

// newWorld starts the nodes and waits until all are ready.
func newWorld(t testing.TB, dir string) *world {
	w := &world{t: t, net: newNetwork(t, size), record: newRecord(), chronicle: newChronicle(), tally: map[string]*tally{}}
	t.Cleanup(w.report)
	for i := range size {
		n := newNode(t, dir, i, size)
		w.nodes = append(w.nodes, n)
		w.watchers = append(w.watchers, &watcher{node: n, to: w.chronicle})
		n.start()
		t.Cleanup(n.kill)
	}
	w.recovered("the beginning")
	return w
}

// report shows the nodes' logs when the test has failed.
func (w *world) report() {
	if !w.t.Failed() {
		return
	}
	for _, n := range w.nodes {
		w.t.Logf("node %s, started %d times, has logged:\n%s", n.id, n.starts, n.tail(60))
	}
}

// run has clients and nemeses at work, and judges.
func (w *world) run(length time.Duration) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	watching, unwatch := context.WithCancel(context.Background())
	defer unwatch()
	var using, following sync.WaitGroup
	for _, x := range w.watchers {
		following.Go(func() { x.run(watching) })
	}
	for i := range clients {
		c := newClient(i, w.urls(), *seed)
		using.Go(func() { c.use(ctx, w.record) })
	}
	w.plague(length)
	stop()
	using.Wait()
	w.recovered("the end")
	w.equal(w.readAll())
	unwatch()
	following.Wait()
	w.verdict()
}

// recovered waits until all nodes are ready, hear each other, and a write goes through each.
func (w *world) recovered(after string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, n := range w.nodes {
		why := ""
		if !poll(ctx, func() bool { why = w.lacks(ctx, n); return why == "" }) {
			w.t.Fatalf("%s: after %s node %s is not well again: %s", w.since(), after, n.id, why)
		}
	}
}

// lacks says why a node is not as it should be, "" if it is.
func (w *world) lacks(ctx context.Context, n *node) string {
	if _, err := n.get("/readyz"); err != nil {
		return err.Error()
	}
	f, err := n.figures()
	if err != nil {
		return err.Error()
	}
	for _, other := range w.nodes {
		if other != n && !f.hears(other.id) {
			return "it has no contact with " + other.id
		}
	}
	c := newClient(clients, []string{n.url}, 0)
	defer c.http.CloseIdleConnections()
	o := &operation{kind: put, key: "probe/" + n.id, value: fmt.Sprint(w.record.now())}
	if end := c.write(ctx, o); end != done {
		return fmt.Sprintf("a write ends with %d", end)
	}
	return ""
}

// urls are where the nodes' APIs are.
func (w *world) urls() (list []string) {
	for _, n := range w.nodes {
		list = append(list, n.url)
	}
	return list
}

// since is the time of the run, for messages.
func (w *world) since() time.Duration {
	return time.Since(w.record.began).Round(100 * time.Millisecond)
}

// leader is the node that leads, by the newest term that one does, -1 if none says so.
func (w *world) leader() int {
	at, newest := -1, 0.0
	for i, f := range w.figures() {
		if f["kv_leader"] == 1 && f["kv_term"] > newest {
			at, newest = i, f["kv_term"]
		}
	}
	return at
}

// figuresOf are those of a node that is well.
func (w *world) figuresOf(n *node) (f figures) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	if !poll(ctx, func() bool { f, err = n.figures(); return err == nil }) {
		w.t.Fatalf("node %s: %v", n.id, err)
	}
	return f
}

// figures are those of all nodes; of one that does not answer they are nil.
func (w *world) figures() []figures {
	list := make([]figures, size)
	var all sync.WaitGroup
	for i, n := range w.nodes {
		all.Go(func() { list[i], _ = n.figures() })
	}
	all.Wait()
	return list
}

// readAll has a client read every key that was used: what was lost at any time is seen by porcupine. It returns the version of a last write.
func (w *world) readAll() (last uint64) {
	c := newClient(clients, w.urls(), *seed)
	for key, list := range w.record.keys {
		value := w.read(c, key)
		if !strings.Contains(key, "/list") {
			continue
		}
		for _, wrong := range elements(key, value, list) {
			w.t.Error(wrong)
		}
	}
	o := &operation{client: c.number, kind: put, key: prefix + "end", value: "end"}
	if w.record.perform(o, func(o *operation) outcome { return c.writeOnce(context.Background(), o) }) != done {
		w.t.Fatal("nothing can be written in the end")
	}
	return o.version
}

// read has a client read a key, and returns its value, "" when it is not there.
func (w *world) read(c *client, key string) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o := &operation{client: c.number, kind: get, key: key}
	if !poll(ctx, func() bool { return w.record.perform(o, func(o *operation) outcome { return c.read(ctx, o) }) == done }) {
		w.t.Fatalf("%s cannot be read in the end", key)
	}
	return o.got
}

// equal waits until all nodes and watches have a write, and compares the nodes' states.
func (w *world) equal(last uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	states := make([]string, size)
	for i, n := range w.nodes {
		var err error
		if !poll(ctx, func() bool { states[i], err = n.state(last); return err == nil }) {
			w.t.Fatalf("node %s does not show its state: %v", n.id, err)
		}
		if states[i] != states[0] {
			w.t.Errorf("nodes %s and %s differ: %s", w.nodes[0].id, n.id, difference(states[0], states[i]))
		}
		seen := w.watchers[i]
		if !poll(ctx, func() bool { return seen.after.Load() >= last }) {
			w.t.Fatalf("the watch of node %s ends at %d, not at %d", n.id, seen.after.Load(), last)
		}
	}
	if lines(states[0]) == 0 {
		w.t.Error("the nodes hold nothing")
	}
	w.t.Logf("all nodes hold the same %d keys at index %d", lines(states[0]), last)
}

// state is all that a node has applied, up to an index at least: a line for each key.
func (n *node) state(atLeast uint64) (string, error) {
	var b strings.Builder
	q := url.Values{"consistency": {"local"}, "values": {"true"}, "limit": {"200"}, "min_index": {fmt.Sprint(atLeast)}}
	for {
		page, err := n.list(q)
		if err != nil {
			return "", err
		}
		for _, k := range page.Keys {
			fmt.Fprintf(&b, "%q %d %q\n", k.Key, k.Version, k.Value)
			q.Set("after", k.Key)
		}
		if !page.More {
			return b.String(), nil
		}
	}
}

// difference shows the first line in which two states differ.
func difference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range x {
		if i >= len(y) {
			return fmt.Sprintf("%.200s and nothing", x[i])
		}
		if x[i] != y[i] {
			return fmt.Sprintf("%.200s and %.200s", x[i], y[i])
		}
	}
	return fmt.Sprintf("%d and %d keys", len(x), len(y))
}
