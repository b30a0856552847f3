package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

const calmText = `Keeps all processors busy with nothing and looks whether nodes, each a process, take one another for lost. A suspicion is explained
by a stall that its node or the suspected one has recorded: its process did not get a processor for an interval of heartbeats. It fails
when there is another one.`

// burnCommand is the hidden subcommand of a process that computes until it is killed, or its input ends.
const burnCommand = "_burn"

// burn keeps as many processors busy as there are.
func burn(in io.Reader) error {
	for range runtime.NumCPU() {
		go func() { // until the process ends
			for x := uint64(1); x != 0; {
				x = spin(x)
			}
		}()
	}
	_, err := io.Copy(io.Discard, in)
	return err
}

func runCalm(ctx context.Context, args []string) error {
	r := newRaftRow(3, 1)
	r.Suite, r.Nodes, r.Failovers = "calm", nodesProcess, 1
	fs := newFlags("calm", calmText)
	fs.IntVar(&r.Clusters, "clusters", r.Clusters, "number of clusters")
	fs.DurationVar(&r.Duration, "duration", 10*time.Minute, "for how long")
	fs.BoolVar(&r.TLS, "tls", false, "mutual TLS")
	r.Store.storeFlags(fs)
	dir := fs.String("dir", "", "where to work; default a new directory under the current one, removed afterwards")
	if err := parse(fs, args); err != nil {
		return err
	}
	if err := r.validate(); err != nil {
		return err
	}
	w, err := newWorkspace(*dir)
	if err != nil {
		return err
	}
	defer w.remove()
	fmt.Printf("%s\n\n", where(w.dir))
	return calm(ctx, &r, w.dir, os.Stdout)
}

// calm opens the nodes, burns, and judges what they saw.
func calm(ctx context.Context, r *raftRow, dir string, out io.Writer) (err error) {
	o, err := r.options()
	if err != nil {
		return err
	}
	h, err := newProcessHouse(ctx, r, dir, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.start(ctx); err != nil {
		return err
	}
	if _, err := h.ask(nodeRequest{Calm: calmBegin}); err != nil {
		return err
	}
	p, err := startProcess(ctx, burnCommand)
	if err != nil {
		return err
	}
	err = sleepFor(ctx, r.Duration)
	p.kill()
	if err != nil {
		return err
	}
	replies, err := h.ask(nodeRequest{Calm: calmEnd})
	if err != nil {
		return err
	}
	records := make(map[string]calmRecord)
	for i := range replies {
		records[nodeName(i)] = replies[i].Calm
	}
	return judgeCalm(r.Duration, records, out)
}

// judgeCalm prints what the nodes saw. Error: suspicions that nothing explains.
func judgeCalm(d time.Duration, records map[string]calmRecord, out io.Writer) error {
	strange := 0
	for _, n := range sortedKeys(records) {
		r, longest := records[n], int64(0)
		for _, s := range r.Stalls {
			longest = max(longest, s.To-s.From)
		}
		list := unexplained(n, records)
		strange += len(list)
		fmt.Fprintf(out, "%s  %v of full load: %d suspicions, %d of them unexplained; %d stalls, the longest of %v; the detector was late %d times\n",
			n, d, len(r.Suspicions), len(list), len(r.Stalls), time.Duration(longest).Round(time.Millisecond), r.Forgiven)
	}
	if strange > 0 {
		return fmt.Errorf("%d suspicions without a stall that explains them", strange)
	}
	return nil
}
