package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const raftText = `Measures clusters of three members on three nodes, in one process or each in its own (-nodes), with an engine and a
directory each on this disk, and at the end compares what every member has applied with what was acknowledged. Without
flags that shape a row it prints the table, each row in a process of its own.`

func runRaft(ctx context.Context, args []string) error {
	r := newRaftRow(1, 1)
	fs := newFlags("raft", raftText)
	r.flags(fs)
	jsonFile := fs.String("json", "", "write one JSON object per row to this file, - is standard output")
	dir := fs.String("dir", "", "where to work; default a new directory under the current one, removed afterwards")
	if err := parse(fs, withNumber(args, "failover", "100")); err != nil {
		return err
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
	s := raftSuite{dir: w.dir, out: os.Stdout, json: out}
	if *jsonFile == "-" {
		s.out = io.Discard
	}
	if shaped(fs) {
		return s.run(ctx, []raftRow{r}, runRaftRow)
	}
	return s.run(ctx, raftRows(r.Duration, r.Nodes, r.TLS), inChild)
}

// withNumber puts a number behind a flag that stands alone.
func withNumber(args []string, name, number string) (all []string) {
	for i, a := range args {
		all = append(all, a)
		alone := i+1 == len(args) || strings.HasPrefix(args[i+1], "-")
		if alone && (a == "-"+name || a == "--"+name) {
			all = append(all, number)
		}
	}
	return all
}

// shaped reports whether a flag asks for one certain row.
func shaped(fs *flag.FlagSet) (one bool) {
	fs.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "json", "dir", "nodes", "tls", "duration":
		default:
			one = true
		}
	})
	return one
}

// raftSuite measures and prints rows in turn.
type raftSuite struct {
	dir  string
	out  io.Writer
	json io.Writer // nil when nobody asked
}

func (s *raftSuite) run(ctx context.Context, rows []raftRow, measure func(context.Context, raftRow, string) (raftResult, error)) error {
	fmt.Fprintf(s.out, "%s\n\n", where(s.dir))
	raftHeader(s.out)
	for _, r := range rows {
		res, err := measure(ctx, r, s.dir)
		if ctx.Err() != nil {
			return fmt.Errorf("stopped: %w", context.Cause(ctx))
		}
		if err != nil {
			return fmt.Errorf("row %s: %w", r.label(), err)
		}
		raftLine(s.out, &r, &res)
		if s.json != nil {
			if err := json.NewEncoder(s.json).Encode(&res); err != nil {
				return err
			}
		}
	}
	return nil
}

// inChild measures a row in a process of its own, so that its memory and CPU are its own.
func inChild(ctx context.Context, r raftRow, dir string) (res raftResult, err error) {
	exe, err := os.Executable()
	if err != nil {
		return res, err
	}
	cmd := exec.CommandContext(ctx, exe, "raft", "-json", "-", "-dir", dir, "-clusters", strconv.Itoa(r.Clusters),
		"-clients", strconv.Itoa(r.Clients), "-outstanding", strconv.Itoa(r.Outstanding), "-size", strconv.Itoa(r.Size),
		"-duration", r.Duration.String(), "-reads="+strconv.FormatBool(r.Reads), "-nodes", r.Nodes, "-tls="+strconv.FormatBool(r.TLS))
	var failure strings.Builder
	cmd.Stderr = &failure
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return res, fmt.Errorf("measuring process: %w: %s", err, strings.TrimSpace(failure.String()))
	}
	return res, json.Unmarshal(out, &res)
}

const raftColumns = "%-28s %10s %8s %8s %8s %8s %9s %8s %7s %7s %9s %9s  %s\n"

func raftHeader(w io.Writer) {
	fmt.Fprintf(w, raftColumns, "clusters × clients", "commits/s", "p50 µs", "p99 µs", "p99.9", "cpu s/M", "sync/com.",
		"dev B/B", "RSS MB", "allocs", "dev p50", "writes/s", "goal")
}

func raftLine(w io.Writer, r *raftRow, x *raftResult) {
	if r.Failovers > 0 {
		what := "new leader's first commit"
		if r.Nodes == nodesProcess {
			what = "all clusters have a new leader"
		}
		fmt.Fprintf(w, "%-28s %s after %s ms (p50), %s ms (p99), %s ms (most); %d commands, each applied once\n",
			r.label(), what, fixed(x.FailoverP50, 1), fixed(x.FailoverP99, 1), fixed(x.FailoverMax, 1), x.Acknowledged)
		if r.Nodes == nodesProcess {
			fmt.Fprintf(w, "%-28s messages/s of the nodes that live on: %s before, %s meanwhile (most)\n", "", limit(x.MessagesPerS),
				limit(x.FailoverMessagesPerS))
		}
		return
	}
	fmt.Fprintf(w, raftColumns, r.label(), count(x.CommitsPerS), fixed(x.P50, 0), fixed(x.P99, 0), fixed(x.P999, 0),
		fixed(x.CPUPerM, 1), fixed(&x.SyncsPerCommit, 4), fixed(x.DeviceBytesPerByte, 1), fixed(x.RSSMB, 0),
		fixed(&x.AllocsPerCommit, 1), fixed(x.DeviceP50, 0), limit(x.DeviceWrites), r.goal)
	if r.Nodes == nodesProcess {
		fmt.Fprintf(w, "%-28s wire %s B/B and follower, %s messages/s, ping p50 %s µs\n", "", fixed(x.WireBytesPerByte, 2),
			limit(x.MessagesPerS), fixed(x.PingP50, 0))
	}
	if x.UnpreparedRolls > 0 {
		fmt.Fprintf(w, "%-28s note: %d rolls to unprepared files\n", "", x.UnpreparedRolls)
	}
}
