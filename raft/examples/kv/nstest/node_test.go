//go:build linux

package nstest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// diskBytes is the size of a node's file system. Its log holds what the service writes between two checkpoints, half as much until the newer one
// counts, and as much again for each checkpoint that the full disk has prevented.
const diskBytes = 768 << 20

// node is a server: a process that is killed and started again.
type node struct {
	t       testing.TB
	index   int
	id, url string
	program string
	args    []string
	disk    *disk
	log     *os.File
	http    http.Client // of the test itself, not of its clients

	mu       sync.Mutex
	process  *os.Process
	ended    chan struct{} // closed when process has ended
	expected bool          // that it ends
	starts   int
}

func nodeID(i int) string { return string(rune('a' + i)) }

// newNode prepares a node of a cluster.
func newNode(t testing.TB, dir string, i, size int) *node {
	id := nodeID(i)
	d, err := newDisk(filepath.Join(dir, "disk-"+id), diskBytes)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, id+".log"))
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, index: i, id: id, url: "http://" + nodeIP(i) + ":8000", program: filepath.Join(dir, programName), disk: d, log: log}
	n.http.Timeout = 2 * time.Second
	n.http.Transport = &http.Transport{DisableKeepAlives: true} // a reset connection says nothing about the node
	if err := tool("", n.program, "certify", "-dir", filepath.Join(dir, "tls"), id); err != nil {
		t.Fatal(err)
	}
	var peers, members []string
	for k := range size {
		peers, members = append(peers, nodeID(k)+"="+nodeIP(k)+":7000"), append(members, nodeID(k))
	}
	tls := filepath.Join(dir, "tls", id)
	n.args = []string{"serve", "-id", id, "-dir", filepath.Join(d.mount, "data"), "-http", nodeIP(i) + ":8000", "-raft", nodeIP(i) + ":7000",
		"-peers", strings.Join(peers, ","), "-members", strings.Join(members, ","),
		"-cert", filepath.Join(tls, "cert.pem"), "-key", filepath.Join(tls, "key.pem"), "-ca", filepath.Join(tls, "ca.pem")}
	return n
}

// start starts the process. A goroutine waits for its end, which is an error unless it was killed.
func (n *node) start() {
	c := exec.Command("ip", within(n.index, append([]string{n.program}, n.args...)...)...) // ip becomes the program
	c.Stdout, c.Stderr = n.log, n.log
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := c.Start(); err != nil {
		n.t.Errorf("node %s: %v", n.id, err)
		return
	}
	ended := make(chan struct{})
	n.process, n.ended, n.expected = c.Process, ended, false
	n.starts++
	go func() { // ends with the process, which kill waits for
		err := c.Wait()
		n.mu.Lock()
		expected := n.expected
		n.mu.Unlock()
		if !expected {
			n.t.Errorf("node %s has ended by itself: %v", n.id, err)
		}
		close(ended)
	}()
}

// kill ends the process as a crash does, and waits until it is gone.
func (n *node) kill() {
	n.mu.Lock()
	n.expected = true
	ended := n.ended
	if n.process != nil {
		_ = n.process.Kill() // it has ended already: then there is nothing to do
	}
	n.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

// signal sends a signal. A process that has ended does not get it.
func (n *node) signal(s syscall.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.process.Signal(s); err != nil && !n.expected {
		n.t.Errorf("node %s: %v", n.id, err)
	}
}

// get asks the node something, and returns the answer's body if it is a good one.
func (n *node) get(path string) ([]byte, error) {
	answer, err := n.http.Get(n.url + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d: %s", path, answer.StatusCode, b)
	}
	return b, err
}

// figures are a node's metrics, by name and labels as they are written.
type figures map[string]float64

func (n *node) figures() (figures, error) {
	b, err := n.get("/metrics")
	if err != nil {
		return nil, err
	}
	f := figures{}
	for s := bufio.NewScanner(strings.NewReader(string(b))); s.Scan(); {
		name, value, _ := strings.Cut(s.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil && name != "#" {
			f[name] = v
		}
	}
	return f, nil
}

// timedOut counts connections that the node's transport has given up, as nobody took or acknowledged bytes.
func (f figures) timedOut() float64 { return f[`kv_transport_offences_total{what="timed_out"}`] }

// hears reports contact with another node, in both directions.
func (f figures) hears(id string) bool { return f[fmt.Sprintf("kv_peer_up{node=%q}", id)] == 1 }

// diskTrouble reports that the disk has refused something, or is not well.
func (f figures) diskTrouble(before figures) bool {
	return f[`kv_disk_health{state="readOnly"}`] == 1 || f["kv_disk_failures_total"] > before["kv_disk_failures_total"]
}

// poll asks until the answer is yes, or ctx ends, and reports which.
func poll(ctx context.Context, yes func() bool) bool {
	for !yes() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
	return true
}

// tail is the end of what the node has logged.
func (n *node) tail(lines int) string {
	b, err := os.ReadFile(n.log.Name())
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// listing is a page of keys.
type listing struct {
	Keys []struct {
		Key     string
		Version uint64
		Value   string
	}
	More bool
}

func (n *node) list(q url.Values) (page listing, err error) {
	b, err := n.get("/v1/keys?" + q.Encode())
	if err == nil {
		err = json.Unmarshal(b, &page)
	}
	return page, err
}
