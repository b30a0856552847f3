package raft_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/transport"
)

// killedVar names the directory of the nodes in a process that is to be killed; with a number behind it, how many commands
// that client has sent so far.
const killedVar = "RAWL_KILLED_NODES"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedVar); dir != "" {
		if err := live(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1) // what lives here is killed
	}
	if addr := os.Getenv(floodVar); addr != "" {
		if err := flood(addr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// killedLife is a process that runs until it is killed, and tells on its standard output what it knows.
type killedLife struct {
	nodes [killedNodes]*raft.Node
	mu    sync.Mutex // held over a line
}

// live opens the nodes and has clients work. It returns when something is wrong.
func live(dir string) error {
	began := time.Now()
	net, err := transport.New[raft.Packet](transport.Options{Now: func() int64 { return int64(time.Since(began)) }})
	if err != nil {
		return err
	}
	l := &killedLife{}
	for i, dir := range killedDirs(dir) {
		o := raft.NodeOptions{ID: filepath.Base(dir), Dir: dir, Network: raft.InProcess(net)}
		killedOptions().change(&o)
		if l.nodes[i], err = raft.OpenNode(o); err != nil {
			return err
		}
		for _, s := range l.nodes[i].Servers() {
			if s.Err != nil {
				return fmt.Errorf("%v: %w", s.ID, s.Err)
			}
		}
	}
	wrong := make(chan error)
	for c := range killedClients {
		sent, err := strconv.ParseUint(os.Getenv(fmt.Sprintf("%s%d", killedVar, c)), 10, 64)
		if err != nil {
			return err
		}
		go func() { wrong <- l.client(c, sent) }()
	}
	go func() { wrong <- l.operator() }()
	return <-wrong
}

func (l *killedLife) say(format string, args ...any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := fmt.Fprintf(os.Stdout, format+"\n", args...)
	return err
}

func (l *killedLife) id(i int, name string) raft.ServerID {
	return raft.ServerID{Name: name, Node: fmt.Sprintf("n%d", i)}
}

// client sends one command after the other: the last one to the cluster of one, half of the others in sessions.
func (l *killedLife) client(c int, sent uint64) error {
	ctx := context.Background()
	i, name := c%killedNodes, "many"
	if c == killedClients-1 {
		i, name = 3, "one"
	}
	node, to := l.nodes[i], l.id(i, name)
	send := func(command []byte) (raft.Reply, error) { return node.Process(ctx, to, command, raft.ProcessOptions{}) }
	if c%2 == 1 {
		s, err := node.OpenSession(ctx, to, raft.SessionOptions{})
		if err != nil {
			return err
		}
		send = func(command []byte) (raft.Reply, error) { return s.Process(ctx, command, raft.ProcessOptions{}) }
	}
	for n := sent + 1; ; n++ {
		if err := l.say("sent %d %d", c, n); err != nil {
			return err
		}
		r, err := send(ledgerCommand(uint32(c), n))
		var p *raft.ProposalError
		switch {
		case err == nil && name == "many" && r.Index != 0:
			err = l.say("acked %d %d %d %s", c, n, binary.LittleEndian.Uint64(r.Data), r.Data[8:])
		case err == nil:
			err = l.say("acked %d %d", c, n)
		case errors.As(err, &p) && c%2 == 0:
			err = nil // it may have been applied, or not
		}
		if err != nil {
			return fmt.Errorf("client %d: %w", c, err)
		}
	}
}

// operator now and then moves leadership and makes n3 a voter and a non-voter in turn.
func (l *killedLife) operator() error {
	ctx := context.Background()
	tick := time.NewTicker(30 * time.Millisecond)
	for n := 0; ; n++ {
		<-tick.C
		members, _, err := l.nodes[n%killedNodes].Members(ctx, l.id(n%killedNodes, "many"))
		if err != nil {
			return err
		}
		voters, as := 3, core.NonVoter
		for _, m := range members {
			if m.ID == l.id(3, "many") && m.Membership == core.NonVoter {
				voters, as = 4, core.Voter
			}
		}
		if err := l.say("change %d", voters); err != nil {
			return err
		}
		err = l.nodes[0].SetMembership(ctx, l.id(0, "many"), l.id(3, "many"), raft.MemberOptions{Membership: as})
		if err == nil {
			err = l.say("changed %d", voters)
		}
		if err == nil {
			_ = l.nodes[0].TransferLeadership(ctx, l.id(0, "many"), l.id((n+1)%3, "many")) // it may fail while a change is on its way
		}
		var p *raft.ProposalError
		if err != nil && !errors.As(err, &p) {
			return err
		}
	}
}
