package raft_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// floodVar has a process open connections to an address, as many as stand behind the comma.
const floodVar = "RAWL_FLOOD"

// flood opens connections that say nothing, or as many as the process may have, waits until the other side has closed them, and tells
// how many there were.
func flood(what string) error {
	addr, number, _ := strings.Cut(what, ",")
	count, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	var d net.Dialer
	if runtime.GOOS == "linux" { // all of 127.0.0.0/8 is the machine's own there
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}
	}
	var all []net.Conn
	for len(all) < count {
		c, err := d.Dial("tcp", addr)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	end := time.Now().Add(20 * time.Second)
	for i, c := range all {
		if err := c.SetDeadline(end); err != nil {
			return err
		}
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("connection %d of %d is not closed: %w", i, len(all), err)
		}
	}
	_, err = fmt.Println(len(all))
	return err
}

// TestHalfOpenConnections: 10,000 connections that say nothing, of a process with one address, take the places that one address has, and
// no more. All are closed, the cluster goes on, and a node that was not there before connects meanwhile.
func TestHalfOpenConnections(t *testing.T) {
	h := newHostileHouse(t, false)
	stop := h.use()
	defer stop()
	h.progress(t)
	connections, term := h.connections(), h.metrics(0, "kv").Term
	grown := growth()
	many := 10000
	if testing.Short() {
		many = 1000
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s,%d", floodVar, h.peer().addr, many))
	var out, failure bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failure
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, h.ctx, "the flood", func() bool { return h.stats(0).Crowded > 0 })
	h.progress(t)
	if _, err := h.nodes[3].Process(h.ctx, h.id(0, "kv"), one(), raft.ProcessOptions{}); err != nil {
		t.Error("another node is kept out:", err)
	}
	h.added.Add(1)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &failure)
	}
	opened, err := strconv.Atoi(strings.TrimSpace(out.String()))
	if err != nil || opened < many/2 {
		t.Fatalf("%q, %v: a process may open too few connections for this test", &out, err)
	}
	h.progress(t)
	if s := h.stats(0); s.Crowded+s.TimedOut != uint64(opened) {
		t.Errorf("of %d connections %+v", opened, s)
	}
	if n, most := h.log.count("too many"), 1+int(time.Since(h.began)/time.Minute); n == 0 || n > most {
		t.Errorf("%d lines, want at most %d:\n%s", n, most, &h.log.b)
	}
	stop()
	if h.metrics(0, "kv").Term != term { // then n3 has had to look for the leader at others
		connections = h.connections()
	}
	h.unharmed(connections)
	t.Logf("%d connections of %d that were asked for, %d KiB more memory", opened, many, h.bounded(grown)>>10)
}
