package raft_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// killsVar asks for more kills than the few of an ordinary run: RAWL_KILLS=100 go test ./raft -run TestKilledNodes
const killsVar = "RAWL_KILLS"

// TestKilledNodes kills a process that runs all members of two clusters, over and over, at moments that nobody chose, its
// start included, while clients write, members' rights change and leadership moves. After each kill, or after some in
// a row, everything that the process had told is there: every acknowledged command, once; the newest acknowledged
// configuration (G2); hard states that are as new as the logs, in which no vote was forgotten (F12, A7); members
// that start, whatever was applied (A10); one leader for each term. One of the clusters has one member (A9).
func TestKilledNodes(t *testing.T) {
	kills := 5
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
	k := newKilled(t)
	k.found()
	for n := range kills {
		k.kill(killAfter(rng), n == kills-1)
		if rng.IntN(3) > 0 || n == kills-1 {
			k.verify()
		}
	}
	acked := 0
	for _, c := range k.clients {
		acked += len(c.acked)
	}
	t.Logf("%d kills, %d acknowledged commands, %d configurations, %d terms", kills, acked, len(k.acked), len(k.leaders))
}

// killAfter draws the moment: one in four within the start.
func killAfter(rng *rand.Rand) time.Duration {
	if rng.IntN(4) == 0 {
		return time.Duration(rng.IntN(120)) * time.Millisecond
	}
	return time.Duration(200+rng.IntN(1200)) * time.Millisecond
}

const (
	killedNodes   = 4
	killedClients = 5
)

// killed is what is known of the nodes whose process is killed.
type killed struct {
	t       *testing.T
	dir     string
	clients [killedClients]struct {
		sent  uint64
		acked map[uint64]bool
	}
	leaders map[raft.Term]string // of the cluster of many
	// acked and begun are numbers of voters: n3 is made a voter and a non-voter in turn.
	acked  []int
	begun  []int // since the newest that was acknowledged
	states map[string]engine.HardState
}

func newKilled(t *testing.T) *killed {
	dir, err := os.MkdirTemp("", "rawl-kill-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kept: %s", dir)
		} else if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	k := &killed{t: t, dir: dir, leaders: make(map[raft.Term]string), states: make(map[string]engine.HardState)}
	for c := range k.clients {
		k.clients[c].acked = make(map[uint64]bool)
	}
	return k
}

// house opens the nodes in this process.
func (k *killed) house(t testing.TB) *house {
	h := newHouseIn(t, killedDirs(k.dir), killedOptions())
	for _, n := range h.nodes {
		for _, s := range n.Servers() {
			if s.Err != nil {
				t.Fatalf("server %v does not run: %v", s.ID, s.Err)
			}
		}
	}
	return h
}

func killedDirs(dir string) (dirs []string) {
	for i := range killedNodes {
		dirs = append(dirs, filepath.Join(dir, fmt.Sprintf("n%d", i)))
	}
	return dirs
}

func killedOptions() houseOptions {
	return houseOptions{
		change: func(o *raft.NodeOptions) {
			node := o.ID
			o.Machines = map[string]func() raft.Machine{"ledger": func() raft.Machine { return newLedger(node) }}
			o.Engine.Strategy, o.Engine.WALFileBytes = engine.StrategyDatasync, 1<<20
		},
	}
}

// found makes the clusters.
func (k *killed) found() {
	ctx := ctxFor(k.t)
	h := k.house(k.t)
	h.start(ctx, "many", "ledger", 0, 1, 2)
	h.start(ctx, "one", "ledger", 3)
	if _, err := h.nodes[3].StartServer(ctx, raft.ServerConfig{Name: "many", Machine: "ledger"}); err != nil {
		k.t.Fatal(err)
	}
	if err := h.nodes[0].AddMember(ctx, h.id(0, "many"), h.id(3, "many"), raft.MemberOptions{Membership: core.NonVoter}); err != nil {
		k.t.Fatal(err)
	}
	k.acked = append(k.acked, 3)
	h.closeAll()
}

// kill lets a process run for a while, which with acked begins when it has acknowledged a command: a machine may be too slow
// for one in any other. It takes note of what the process tells.
func (k *killed) kill(after time.Duration, acked bool) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killedVar+"="+k.dir)
	for c := range k.clients {
		cmd.Env = append(cmd.Env, fmt.Sprintf("%s%d=%d", killedVar, c, k.clients[c].sent))
	}
	var failure bytes.Buffer
	cmd.Stderr = &failure
	out, err := cmd.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	late := make(chan bool, 1)
	timer := time.AfterFunc(math.MaxInt64, func() {
		late <- true
		_ = cmd.Process.Kill()
	})
	defer timer.Stop()
	if !acked {
		timer.Reset(after)
	}
	told := bufio.NewReader(out)
	for {
		line, err := told.ReadString('\n')
		if err != nil { // the kill may have cut the last one off
			break
		}
		k.listen(line)
		if acked && strings.HasPrefix(line, "acked") {
			acked = false
			timer.Reset(after)
		}
	}
	err = cmd.Wait()
	select {
	case <-late:
	default:
		k.t.Fatalf("the nodes ended by themselves: %v\n%s", err, &failure)
	}
}

// listen takes note of a line.
func (k *killed) listen(line string) {
	k.t.Helper()
	var what, leader string
	var a, b, term uint64
	n, _ := fmt.Sscan(line, &what, &a, &b, &term, &leader)
	switch {
	case what == "sent" && n == 3:
		k.clients[a].sent = b
	case what == "acked" && n >= 3:
		k.clients[a].acked[b] = true
		if n == 5 {
			k.leads(raft.Term(term), leader)
		}
	case what == "change" && n == 2:
		k.begun = append(k.begun, int(a))
	case what == "changed" && n == 2:
		k.acked, k.begun = append(k.acked, int(a)), nil
	default:
		k.t.Fatalf("the nodes say %q", line)
	}
}

// leads checks that a term has one leader (I5).
func (k *killed) leads(term raft.Term, leader string) {
	k.t.Helper()
	if old, known := k.leaders[term]; known && old != leader {
		k.t.Fatalf("term %d had the leaders %s and %s", term, old, leader)
	}
	k.leaders[term] = leader
}

// verify compares what is there with what is known.
func (k *killed) verify() {
	k.t.Helper()
	k.logs()
	ctx := ctxFor(k.t)
	h := k.house(k.t)
	members, _, err := h.nodes[0].Members(ctx, h.id(0, "many"))
	if err != nil {
		k.t.Fatal(err)
	}
	voters := 0
	for _, m := range members {
		if m.Membership == core.Voter {
			voters++
		}
	}
	if possible := append([]int{k.acked[len(k.acked)-1]}, k.begun...); !slices.Contains(possible, voters) {
		k.t.Fatalf("%d voters, acknowledged and begun %v", voters, possible)
	}
	k.acked, k.begun = append(k.acked, voters), nil
	want := k.state(ctx, h, 0, "many")
	for i := 1; i < killedNodes; i++ {
		if got := k.state(ctx, h, i, "many"); !bytes.Equal(got.encode(), want.encode()) {
			k.t.Fatalf("n%d has %v, n0 %v", i, got.clients, want.clients)
		}
	}
	k.check(want, 0, killedClients-1)
	k.check(k.state(ctx, h, 3, "one"), killedClients-1, killedClients)
	h.closeAll()
}

// check compares a state with what the clients know.
func (k *killed) check(l *ledger, from, to int) {
	k.t.Helper()
	for c := from; c < to; c++ {
		p, client := l.clients[uint32(c)], &k.clients[c]
		if p == nil {
			p = &page{}
		}
		if p.twice > 0 || p.last > client.sent {
			k.t.Fatalf("client %d sent %d commands; applied up to %d, and %d again", c, client.sent, p.last, p.twice)
		}
		for n := range client.acked {
			if !p.has(n) {
				k.t.Fatalf("client %d: command %d was acknowledged and is lost: %+v", c, n, *p)
			}
		}
	}
}

// state is what a member has applied once it has all that is committed.
func (k *killed) state(ctx context.Context, h *house, i int, name string) *ledger {
	k.t.Helper()
	v, err := h.nodes[i].ConsistentRead(ctx, name, func(m raft.Machine) (any, error) {
		l := newLedger("")
		return l, l.Restore(bytes.NewReader(m.(*ledger).encode()))
	})
	if err != nil {
		k.t.Fatalf("n%d: %v", i, err)
	}
	return v.(*ledger)
}

// logs looks at the logs before anybody goes on with them.
func (k *killed) logs() {
	k.t.Helper()
	for i, dir := range killedDirs(k.dir) {
		o := engine.Options{WALFileBytes: 1 << 20}
		e, err := engine.Open(dir, o)
		if err != nil {
			k.t.Fatalf("n%d: %v", i, err)
		}
		for l := range e.Logs() {
			name := fmt.Sprintf("n%d/%s", i, l.UID())
			now, was := l.HardState(), k.states[name]
			if now.Term < was.Term || now.Term == was.Term && was.Vote != "" && now.Vote != was.Vote {
				k.t.Fatalf("%s: hard state %v, was %v", name, now, was)
			}
			if last := l.Last(); l.UID() != "_servers" && last.Term > now.Term {
				k.t.Fatalf("%s: the log ends at %v, the hard state is %v", name, last, now)
			}
			if a, w := l.Applied(), l.LastWritten(); a > w.Index {
				k.t.Fatalf("%s: applied %d, durable %v", name, a, w)
			}
			k.states[name] = now
		}
		if err := e.Close(ctxFor(k.t)); err != nil {
			k.t.Fatal(err)
		}
	}
}
