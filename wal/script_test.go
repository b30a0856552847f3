package wal

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the scripts in testdata with what they print now")

// TestScripts runs testdata/writer: commands, ----, what they print, an empty line. Each
// script has a world of its own; its first command is open.
func TestScripts(t *testing.T) {
	names, err := filepath.Glob("testdata/writer/*.txt")
	must(t, err)
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			must(t, err)
			var x *world
			var out strings.Builder
			for _, block := range strings.Split(strings.TrimRight(string(text), "\n"), "\n\n") {
				input, want, isCase := strings.Cut(block, "\n----")
				if !isCase {
					fmt.Fprintf(&out, "%s\n\n", block)
					continue
				}
				var got strings.Builder
				for _, line := range strings.Split(input, "\n") {
					if strings.HasPrefix(line, "#") {
						continue
					}
					if x == nil {
						x = openScript(t, line)
						continue
					}
					x.command(line, &got)
				}
				result := strings.TrimRight(got.String(), "\n")
				if want = strings.TrimPrefix(want, "\n"); result != want && !*rewrite {
					t.Errorf("%s\n---- got\n%s\n---- want\n%s", input, result, want)
				}
				fmt.Fprintf(&out, "%s\n----\n%s\n\n", input, result)
			}
			if *rewrite {
				must(t, os.WriteFile(name, []byte(strings.TrimRight(out.String(), "\n")+"\n"), 0o600))
			}
		})
	}
}

// arguments splits "command log key=value …".
func arguments(line string) (command, log string, arg func(key string, otherwise int) int) {
	fields := strings.Fields(line)
	if len(fields) > 1 && !strings.Contains(fields[1], "=") {
		log = fields[1]
	}
	return fields[0], log, func(key string, otherwise int) int {
		for _, f := range fields[1:] {
			if v, ok := strings.CutPrefix(f, key+"="); ok {
				n, _ := strconv.Atoi(v)
				return n
			}
		}
		return otherwise
	}
}

func openScript(t *testing.T, line string) *world {
	_, _, arg := arguments(line)
	return newWorld(t, func(o *Options) {
		o.FileSize = int64(arg("size", MinFileSize))
		o.MaxBatchBytes = arg("batch", 0)
		o.NextBatch = raftlog.Batch(arg("nextbatch", 1))
		o.NextNumber = uint64(arg("nextnumber", 1))
		o.Spares = arg("spares", 1)
		o.Strategy = Strategy(arg("strategy", 0))
		o.Prealloc = Prealloc(arg("prealloc", 0))
	})
}

func (x *world) command(line string, out *strings.Builder) {
	command, name, arg := arguments(line)
	switch command {
	case "append":
		if err := x.log(name).append(arg("n", 1), arg("bytes", 10)); err != nil {
			fmt.Fprintln(out, err)
		}
	case "truncate":
		x.log(name).truncate(raftlog.Index(arg("index", 0)))
	case "control", "lazy":
		x.log(name).control(Control{Kind: frame.Kind(arg("kind", int(KindHardState))), Index: raftlog.Index(arg("index", 0)),
			Term: raftlog.Term(arg("term", 0)), Lazy: command == "lazy"})
	case "step":
		fmt.Fprintln(out, "step", x.w.Step())
	case "idle":
		if err := x.w.Idle(); err != nil {
			fmt.Fprintln(out, err)
		}
	case "zero":
		fmt.Fprintln(out, "zero", x.w.ZeroAhead())
	case "pool":
		x.fill()
	case "now":
		must(x.t, x.w.pool.Fill())
	case "return":
		x.w.pool.Return(uint64(arg("n", 0)))
	case "fail":
		durable := arg("durable", 1) == 1
		x.fs.Arm(errorfs.Plan{K: arg("k", 1), Fault: errorfs.Fault(arg("fault", 1)), Sticky: arg("sticky", 0) == 1,
			Match: func(op errorfs.Op) bool { return !durable || op.Durable }})
	case "heal":
		x.fs.Heal()
	case "retry":
		x.w.Retry()
	case "close":
		fmt.Fprintln(out, "close", x.w.Close())
	case "dump":
		out.WriteString(x.print(uint64(arg("n", 1))))
	default:
		x.t.Fatalf("unknown command %q", line)
	}
	x.flush(out)
}

// flush prints what happened since the last command.
func (x *world) flush(out *strings.Builder) {
	for _, op := range x.ops {
		fmt.Fprintf(out, "  %s\n", strings.ReplaceAll(op, "wal/0000000000000", ""))
	}
	for _, e := range x.events {
		fmt.Fprintf(out, "  ack %s\n", e)
	}
	for _, s := range x.sealed {
		fmt.Fprintf(out, "  sealed %d batches %d-%d bytes %d failed %t\n", s.Number, s.First, s.Last, s.Bytes, s.Failed)
		for _, l := range s.Logs {
			fmt.Fprintf(out, "    log %d controls %d cut %t %d:", l.Log.ID(), l.Controls, l.HasCut, l.Cut)
			for _, sp := range l.Spans {
				fmt.Fprintf(out, " %d<[%d,%d]", sp.Prev, sp.First, sp.Last)
			}
			fmt.Fprintln(out)
		}
	}
	for _, h := range x.health {
		fmt.Fprintf(out, "  health %s\n", h)
	}
	x.ops, x.events, x.sealed, x.health = nil, nil, nil, nil
}
