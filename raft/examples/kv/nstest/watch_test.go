//go:build linux

package nstest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// change is what a watch shows at an index.
type change struct {
	kind, key string
	sum       uint64 // of the value
}

var sums = maphash.MakeSeed()

func sumOf(value string) uint64 { return maphash.String(sums, value) }

// chronicle is what the watches of all nodes have shown.
type chronicle struct {
	mu     sync.Mutex
	log    map[uint64]change
	seen   map[uint64]uint64 // by index, the nodes that have shown it, one bit each
	wrong  []string          // contradictions between nodes
	events int
}

func newChronicle() *chronicle {
	return &chronicle{log: map[uint64]change{}, seen: map[uint64]uint64{}}
}

func (c *chronicle) add(node int, index uint64, x change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events++
	if was, ok := c.log[index]; ok && was != x {
		c.wrong = append(c.wrong, fmt.Sprintf("at index %d, node %s shows %s %s, another %s %s", index, nodeID(node), x.kind, x.key, was.kind, was.key))
	}
	if c.seen[index]&(1<<node) != 0 {
		c.wrong = append(c.wrong, fmt.Sprintf("node %s shows index %d twice", nodeID(node), index))
	}
	c.log[index], c.seen[index] = x, c.seen[index]|1<<node
}

// watcher follows one node's watch, wherever that node is in its lives.
type watcher struct {
	node  *node
	to    *chronicle
	after atomic.Uint64 // everything up to it was shown, or is in gaps
	gaps  [][2]uint64   // above the first, up to the second: what the node does not keep any more. Owned by run until it returns
}

// silence is how long a watch may show nothing until it is opened again: its connection may be dead.
const silence = 5 * time.Second

// run watches until ctx ends.
func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		if gone := w.follow(ctx); gone {
			w.skip()
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// follow watches until the connection ends. gone says that the node does not keep what comes next.
func (w *watcher) follow(ctx context.Context) (gone bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(silence, cancel)
	defer idle.Stop()
	q := url.Values{"prefix": {prefix}, "after": {fmt.Sprint(w.after.Load())}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.node.url+"/v1/watch?"+q.Encode(), nil)
	if err != nil {
		return false
	}
	c := http.Client{Transport: w.node.http.Transport} // no limit in time
	answer, err := c.Do(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return answer.StatusCode == http.StatusGone
	}
	return w.read(answer.Body, func() { idle.Reset(silence) })
}

// read takes the events of a stream.
func (w *watcher) read(stream io.Reader, beat func()) (gone bool) {
	s := bufio.NewScanner(stream)
	s.Buffer(nil, 4<<20)
	var kind, data string
	var id uint64
	for s.Scan() {
		beat()
		name, value, _ := strings.Cut(s.Text(), ": ")
		switch name {
		case "event":
			kind = value
		case "data":
			data = value
		case "id":
			if _, err := fmt.Sscan(value, &id); err != nil {
				return false
			}
		case "":
			switch kind {
			case "put", "delete":
				w.event(kind, data)
			case "error":
				return strings.Contains(data, `"compacted"`)
			}
			if id > w.after.Load() { // behind the event: who waits for the index finds it
				w.after.Store(id)
			}
			kind, data = "", ""
		}
	}
	return false
}

func (w *watcher) event(kind, data string) {
	var x struct {
		Index uint64
		Key   string
		Value string
	}
	if err := json.Unmarshal([]byte(data), &x); err != nil {
		w.node.t.Errorf("node %s: a watch shows %.200q: %v", w.node.id, data, err)
		return
	}
	w.to.add(w.node.index, x.Index, change{kind, x.Key, sumOf(x.Value)})
}

// skip goes on behind what the node has applied.
func (w *watcher) skip() {
	b, err := w.node.get("/v1/keys?consistency=local&limit=1")
	var x struct{ Index uint64 }
	if err == nil && json.Unmarshal(b, &x) == nil && x.Index > w.after.Load() {
		w.gaps = append(w.gaps, [2]uint64{w.after.Load(), x.Index})
		w.after.Store(x.Index)
	}
}

// missed reports that an index is in a gap.
func (w *watcher) missed(index uint64) bool {
	for _, g := range w.gaps {
		if g[0] < index && index <= g[1] {
			return true
		}
	}
	return false
}
