package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

const transferText = `Transfers a snapshot to new members of a cluster, over TCP, while clients write: to the first one as it comes, to the second one
with either side's process killed (kill -9) and started again in turn. At the end the members' states are the same.`

// transferCase says what is transferred.
type transferCase struct {
	row           raftRow
	interruptions int // of each side
}

func runTransfer(ctx context.Context, args []string) error {
	c := transferCase{row: newRaftRow(1, 8)}
	r := &c.row
	r.Suite, r.Nodes, r.Failovers, r.Store.SnapshotRate = "transfer", nodesProcess, 1, 256<<20
	fs := newFlags("transfer", transferText)
	fs.Int64Var(&r.Padding, "state", 2<<30, "size of the state, bytes")
	fs.IntVar(&c.interruptions, "interrupt", 5, "how often each side is killed")
	fs.IntVar(&r.Clients, "clients", r.Clients, "clients that write")
	fs.IntVar(&r.Size, "size", r.Size, "size of a command, bytes")
	fs.DurationVar(&r.Duration, "duration", 10*time.Second, "for how long the clients are measured alone")
	fs.Int64Var(&r.SendRate, "rate", 0, "what a node sends of snapshots, bytes/s; 0 is the default, -1 no bound")
	fs.Int64Var(&r.Store.SnapshotRate, "diskrate", r.Store.SnapshotRate, "at what rate states are written and verified, bytes/s; 0 is the engine's default")
	fs.BoolVar(&r.TLS, "tls", false, "mutual TLS")
	r.Store.storeFlags(fs)
	jsonFile := fs.String("json", "", "write one JSON object per line to this file, - is standard output")
	dir := fs.String("dir", "", "where to work; default a new directory under the current one, removed afterwards")
	if err := parse(fs, args); err != nil {
		return err
	}
	if r.Padding < 1<<20 || c.interruptions < 0 {
		return fmt.Errorf("state must be at least 1 MiB, and interrupt not below 0")
	}
	if err := r.validate(); err != nil {
		return err
	}
	out, closeOut, err := openJSON(*jsonFile)
	if err != nil {
		return err
	}
	defer closeOut()
	w, err := newWorkspace(*dir)
	if err != nil {
		return err
	}
	defer w.remove()
	t := figureTable{w: os.Stdout, json: out, suite: r.Suite}
	if *jsonFile == "-" {
		t.w = io.Discard
	}
	fmt.Fprintf(t.w, "%s\n\n", where(w.dir))
	t.header()
	return c.run(ctx, w.dir, &t)
}

// run opens three nodes, of which the first has the cluster alone.
func (c *transferCase) run(ctx context.Context, dir string, t *figureTable) (err error) {
	o, err := c.row.options()
	if err != nil {
		return err
	}
	h, err := newProcessHouse(ctx, &c.row, dir, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.startAlone(ctx); err != nil {
		return err
	}
	l, err := newRaftLoad(ctx, c.row, dir, h)
	if err != nil {
		return err
	}
	x := &transfer{failover: &failover{load: l, node: h.own.Node}, house: h, interruptions: c.interruptions, table: t}
	x.once = x.both
	return x.run(ctx)
}
