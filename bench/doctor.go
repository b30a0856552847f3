package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/fallback"
	"github.com/rawl-db/rawl/ring"
)

const doctorText = `Says what this disk and kernel can do and what its flush costs, measures a lone and a large durable
write on every backend, and says which backend auto chooses and why.`

func runDoctor(ctx context.Context, args []string) error {
	fs := newFlags("doctor", doctorText)
	dir := fs.String("dir", "", "a directory on the disk in question; default the current one")
	if err := parse(fs, args); err != nil {
		return err
	}
	w, err := newWorkspace(*dir)
	if err != nil {
		return err
	}
	defer w.remove()
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	describeMachine(out, w.dir)
	fmt.Fprintln(out)
	if err := describeStreams(out, w.dir); err != nil {
		fmt.Fprintf(out, "device not measured\t%v\n", err)
	}
	fmt.Fprintln(out)
	measureBackends(ctx, out, w.dir)
	fmt.Fprintln(out)
	err = describeAuto(out, filepath.Join(w.dir, "auto"))
	return joinFlush(err, out)
}

func joinFlush(err error, out *tabwriter.Writer) error {
	if e := out.Flush(); err == nil {
		err = e
	}
	return err
}

func describeMachine(out io.Writer, dir string) {
	fmt.Fprintf(out, "where\t%s\n", where(dir))
	for _, name := range []string{"write_cache", "fua", "logical_block_size", "physical_block_size", "scheduler",
		"nr_requests", "max_segments", "io_poll", "rotational", "dax"} {
		if v := queueAttribute(dir, name); v != "" {
			fmt.Fprintf(out, "disk %s\t%s\n", strings.ReplaceAll(name, "_", " "), v)
		}
	}
	fmt.Fprintf(out, "O_DIRECT\t%s\n", okOr(fallback.ProbeDirect(dir)))
	caps := ring.Probe()
	fmt.Fprintf(out, "io_uring\t%s\n", caps)
	fmt.Fprintf(out, "sysctl kernel.io_uring_disabled\t%d\n", caps.Disabled)
	memlock := "unlimited"
	if caps.MemlockBytes != 1<<64-1 {
		memlock = fmt.Sprintf("%d bytes (no limit for root)", caps.MemlockBytes)
	}
	fmt.Fprintf(out, "memlock\t%s\n", memlock)
}

func okOr(err error) string {
	if err == nil {
		return "works"
	}
	return err.Error()
}

// queueAttribute is what the kernel says of the disk, empty where it says nothing.
func queueAttribute(dir, name string) string {
	sys, err := diskOf(dir)
	if err != nil {
		return ""
	}
	b, err := os.ReadFile(filepath.Join(sys, "queue", name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// describeStreams compares sequential writes with those that are durable one after another. Where the
// durable ones are much slower the device's flush costs time for every byte, and bounds all who write
// durably, whatever their sizes and depth.
func describeStreams(out io.Writer, dir string) error {
	p, err := openProbe(dir)
	if err != nil {
		return err
	}
	defer func() { _ = p.close() }()
	plain, err := p.stream(streamTime)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "direct sequential writes, not flushed\t%.0f MB/s\n", plain/1e6)
	for _, size := range []int{1 << 20, 4 << 20} {
		n, took, err := p.commits(size, streamTime, newHist())
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "durable ones of %s\t%.0f MB/s\n", sizeName(size), float64(n*size)/took.Seconds()/1e6)
	}
	return nil
}

// streamTime is how long each sequence of writes is measured.
const streamTime = 500 * time.Millisecond

// measureBackends appends lone entries of 256 B, and of 252 KiB, to an engine on every backend.
func measureBackends(ctx context.Context, out io.Writer, dir string) {
	fmt.Fprintln(out, "backend\tp50 of a durable 4 KiB batch\tp50 of a durable 256 KiB batch")
	for _, b := range []string{"direct", "ring", "fallback"} {
		var cols [2]string
		for i, size := range []int{256, 252 << 10} {
			r := newRow(1, size)
			r.Backend, r.Dir = b, filepath.Join(dir, fmt.Sprintf("%s-%d", b, size))
			cols[i] = measureOnce(ctx, r)
		}
		fmt.Fprintf(out, "%s\t%s\t%s\n", b, cols[0], cols[1])
	}
}

func measureOnce(ctx context.Context, r row) string {
	c, err := startChild(ctx, r)
	if err != nil {
		return err.Error()
	}
	if _, err := c.slice(time.Second); err != nil {
		c.kill()
		return err.Error()
	}
	m, err := c.finish()
	if err != nil {
		return err.Error()
	}
	return fixed(m.P50, 0) + " µs"
}

// describeAuto opens an engine and says what it chose.
func describeAuto(out io.Writer, dir string) error {
	e, err := engine.Open(dir, engine.Options{})
	if err != nil {
		return err
	}
	c := e.Stats().Backend
	fmt.Fprintf(out, "auto commits by\t%s\n", c.Backend)
	fmt.Fprintf(out, "auto flushes and recovers by\t%s\n", c.Deep)
	fmt.Fprintf(out, "direct files\t%t\n", c.Direct)
	fmt.Fprintf(out, "strategy\t%v\n", e.Stats().Strategy)
	fmt.Fprintf(out, "why\t%s\n", c.Reason)
	return e.Close(context.Background())
}
