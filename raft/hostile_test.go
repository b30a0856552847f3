package raft_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/authority"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/transport/tcp"
)

// hostileHouse is a cluster "kv" of three nodes over TCP, of which n0 leads and is attacked, and a client of it.
type hostileHouse struct {
	*house
	ctx         context.Context
	log         logged
	certs       map[string]*tls.Certificate // those that hostile peers present, nil without TLS
	incarnation core.Incarnation            // of n0's member
	// What frames carry: a request that changes the state, a packet that does nothing, bytes that are none.
	forged, harmless []byte
	bad              [][]byte

	began time.Time
	// added commands were acknowledged, lost ones may have been applied.
	added, lost atomic.Int64
}

// logged keeps what n0's transport logs.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// count counts the lines in which a text stands, but for those of the cluster's other nodes: what crowds a machine makes them late, too.
func (l *logged) count(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, text) && !strings.Contains(line, " peer=n") {
			n++
		}
	}
	return n
}

func newHostileHouse(t *testing.T, secure bool) *hostileHouse {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	h := &hostileHouse{ctx: ctx, harmless: withdrawal, bad: raft.HostilePackets(), began: time.Now()}
	var ca *authority.Authority
	if secure {
		ca = h.certify(t)
	}
	o := tallies(nil)
	o.tcp = func(id raft.NodeID, o *tcp.Options) {
		o.Cookie, o.HandshakeTimeout = "the service", handshakeTimeout
		if id == "n0" {
			o.Logger = slog.New(slog.NewTextHandler(&h.log, nil))
		}
		if secure {
			files := issue(t, ca, id, time.Hour)
			o.TLS, o.InsecurePlaintext = &files, false
		}
	}
	h.house = newHouseWith(t, 4, o)
	h.start(h.ctx, "kv", "tally", 0, 1, 2)
	h.lead(h.ctx, 0, "kv")
	h.forged = forge(h)
	members, _, err := h.nodes[0].Members(h.ctx, h.id(0, "kv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if m.ID.Node == "n0" {
			h.incarnation = m.Incarnation
		}
	}
	return h
}

func issue(t *testing.T, a *authority.Authority, name string, valid time.Duration) tcp.TLS {
	dir := t.TempDir()
	if err := a.Issue(dir, name, time.Now().Add(valid)); err != nil {
		t.Fatal(err)
	}
	return tcp.TLS{CertFile: authority.CertFile(dir), KeyFile: authority.KeyFile(dir), CAFile: authority.CAFile(dir)}
}

// certify makes the certificates of hostile peers, and returns the authority that the nodes trust.
func (h *hostileHouse) certify(t *testing.T) *authority.Authority {
	var list [2]*authority.Authority
	for i := range list {
		var err error
		if list[i], err = authority.New(); err != nil {
			t.Fatal(err)
		}
	}
	h.certs = map[string]*tls.Certificate{"none": {}}
	for _, x := range []struct {
		which, name string
		ca          int
		valid       time.Duration
	}{{"good", "h", 0, time.Hour}, {"wrong", "stranger", 0, time.Hour}, {"expired", "h", 0, -time.Minute}, {"other", "h", 1, time.Hour}} {
		files := issue(t, list[x.ca], x.name, x.valid)
		c, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		h.certs[x.which] = &c
	}
	return list[0]
}

// peer is one that attacks n0.
func (h *hostileHouse) peer() *hostile {
	return &hostile{t: h.t, addr: h.networkOf(0).Addr().String(), cert: h.certs["good"], cookie: "the service"}
}

func (h *hostileHouse) networkOf(i int) *raft.TCP {
	h.loopback.mu.Lock()
	defer h.loopback.mu.Unlock()
	return h.loopback.networks[ids(i)[0]]
}

func (h *hostileHouse) stats(i int) tcp.Stats { return h.networkOf(i).Stats() }

// use adds one now and then until stop is called.
func (h *hostileHouse) use() (stop func()) {
	ctx, cancel := context.WithCancel(h.ctx)
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			pause(ctx)
			if _, err := h.nodes[1].Process(h.ctx, h.id(1, "kv"), one(), raft.ProcessOptions{}); err != nil {
				h.lost.Add(1)
				continue
			}
			h.added.Add(1)
		}
	})
	return func() { cancel(); done.Wait() }
}

// connections waits until all that the nodes of the cluster have with each other stand, and counts those that were made, at n1 and n2.
func (h *hostileHouse) connections() uint64 {
	h.t.Helper()
	if _, _, err := h.nodes[1].Members(h.ctx, h.id(2, "kv")); err != nil {
		h.t.Fatal(err)
	}
	until(h.t, h.ctx, "connections", func() bool { return h.stats(1).Connections >= 2 && h.stats(2).Connections >= 2 })
	return h.stats(1).Connections + h.stats(2).Connections
}

// progress wants the cluster to commit more.
func (h *hostileHouse) progress(t testing.TB) {
	t.Helper()
	before := h.added.Load()
	until(t, h.ctx, "the cluster to go on", func() bool { return h.added.Load() > before })
}

// memory is what the process has of the system.
func memory() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

// growth measures by how much memory grows at most until the function is called that it returns.
func growth() func() uint64 {
	debug.FreeOSMemory()
	before, most := memory(), uint64(0)
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, memory())
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	return func() uint64 {
		close(stop)
		done.Wait()
		return most - min(most, before)
	}
}

// maxGrowth bounds what hostile peers may cost.
const maxGrowth = 64 << 20

// bounded wants memory to have grown by little.
func (h *hostileHouse) bounded(grown func() uint64) uint64 {
	h.t.Helper()
	most := grown()
	if most > maxGrowth {
		h.t.Errorf("%d MiB more are used", most>>20)
	}
	return most
}

// attack does a row's harm so many times.
func (h *hostileHouse) attack(t *testing.T, x *hostileRow, times int) {
	p := h.peer()
	p.t = t
	before := x.count(h)
	if x.slow {
		var all sync.WaitGroup
		for range times {
			all.Go(func() { x.do(h, p) })
		}
		all.Wait()
	} else {
		for range times {
			x.do(h, p)
		}
	}
	until(t, h.ctx, "the counter", func() bool { return x.count(h) >= before+uint64(times) })
	if x.log == "" {
		return
	}
	until(t, h.ctx, "the log", func() bool { return h.log.count(x.log) > 0 })
	// Connections that have ended and those that were refused are two kinds of trouble.
	if n, most := h.log.count(x.log), 2*(1+int(time.Since(h.began)/time.Minute)); n > most {
		t.Errorf("%d lines, want at most %d:\n%s", n, most, &h.log.b)
	}
}

// TestHostilePeers: whatever the network brings to a node that leads is refused, counted, and logged once a minute; it costs little
// memory, and nothing of it gets into the state. The cluster goes on meanwhile, and no other connection is cut (figure 26).
func TestHostilePeers(t *testing.T) {
	for _, where := range []string{onlyPlain, onlyTLS} {
		t.Run(where, func(t *testing.T) {
			h := newHostileHouse(t, where == onlyTLS)
			stop := h.use()
			defer stop()
			h.progress(t)
			connections := h.connections()
			grown := growth()
			times := map[string]int{onlyPlain: 90, onlyTLS: 6}[where]
			if testing.Short() {
				times = 4
			}
			attacks := 0
			for i := range hostileRows {
				x := &hostileRows[i]
				if x.only != "" && x.only != where {
					continue
				}
				t.Run(x.name, func(t *testing.T) {
					n := times
					if x.slow {
						n = min(n, 20)
					}
					attacks += n
					h.attack(t, x, n)
					h.progress(t)
				})
			}
			h.stray()
			stop()
			h.unharmed(connections)
			t.Logf("%d attacks, %d commands meanwhile, %d KiB more memory", attacks, h.added.Load(), h.bounded(grown)>>10)
		})
	}
}

// stray sends a node what is well-formed and was never asked for.
func (h *hostileHouse) stray() {
	h.t.Helper()
	j := h.peer().join()
	packets := raft.StrayPackets(h.t)
	before := h.stats(0).Delivered
	for _, b := range packets {
		_, _ = j.main.Write(j.frame(classLog, b))
	}
	until(h.t, h.ctx, "their delivery", func() bool { return h.stats(0).Delivered >= before+uint64(len(packets)) })
	h.progress(h.t)
	j.leave()
}

// unharmed wants the state to be what the client made it, and the nodes' own connections to be the first ones.
func (h *hostileHouse) unharmed(connections uint64) {
	h.t.Helper()
	added, lost := h.added.Load(), h.lost.Load()
	h.add(h.ctx, 0, "kv")
	for i := range 3 {
		until(h.t, h.ctx, "the state", func() bool { return h.total(h.ctx, i, "kv") >= added+1 })
		if total := h.total(h.ctx, i, "kv"); total > added+lost+1 {
			h.t.Errorf("n%d has the sum %d after %d commands and %d that were perhaps applied", i, total, added+1, lost)
		}
		if m := h.metrics(i, "kv"); m.Term >= farTerm || m.Err != nil {
			h.t.Errorf("n%d: term %d, %v", i, m.Term, m.Err)
		}
	}
	members, _, err := h.nodes[0].Members(h.ctx, h.id(0, "kv"))
	if err != nil || len(members) != 3 {
		h.t.Errorf("%v, %v", members, err)
	}
	for i := range h.nodes {
		if list := h.nodes[i].Servers(); i < 3 && (len(list) != 1 || list[0].Err != nil) || i == 3 && len(list) > 0 {
			h.t.Errorf("n%d has the servers %v", i, list)
		}
	}
	if now := h.connections(); now != connections {
		h.t.Errorf("the nodes' connections are their %dth, were %d", now, connections)
	}
}
