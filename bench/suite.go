package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/rawl-db/rawl/ring"
)

const suiteText = `Measures durable appends on this machine's disk: six representative rows in under two
minutes, or with -full the whole matrix. Under each row stand the floor and the device's limit.
Other commands: engine, read, snapshot, readers, flush, recover, doctor, torture; each explains itself with -h.`

func runSuite(ctx context.Context, args []string) error {
	fs := newFlags("", suiteText)
	full := fs.Bool("full", false, "the matrix: more sizes, each backend and strategy, each with flush too; some 15 minutes")
	dir := fs.String("dir", "", "where to work; default a new directory under the current one, removed afterwards")
	jsonFile := fs.String("json", "", "write one JSON object per row to this file, - is standard output")
	seconds := fs.Float64("seconds", 0, "measured time of the engine per row; default 3.6, and 1.5 with -full")
	noFio := fs.Bool("nofio", false, "do not ask fio, although it is installed")
	if err := parse(fs, args); err != nil {
		return err
	}
	rows, p := standardRows(), newPlan(3.6)
	if *full {
		rows, p = fullRows(), newPlan(1.5)
	}
	if *seconds > 0 {
		p = newPlan(*seconds)
	}
	w, err := newWorkspace(*dir)
	if err != nil {
		return err
	}
	defer w.remove()
	s := &session{dir: w.dir, plan: p, progress: newProgress(len(rows)), fio: !*noFio && !*full && haveFio()}
	return s.run(ctx, rows, os.Stdout, *jsonFile)
}

// newPlan spreads the engine's time over three slices; floor and device get a little less.
func newPlan(seconds float64) plan {
	d := time.Duration(seconds / 3 * float64(time.Second))
	return plan{slices: 3, engine: d, floor: d * 3 / 4, device: d / 5}
}

// run measures and prints rows in turn.
func (s *session) run(ctx context.Context, rows []row, w io.Writer, jsonFile string) (err error) {
	out, closeOut, err := openJSON(jsonFile)
	if err != nil {
		return err
	}
	defer closeOut()
	fmt.Fprintf(w, "%s\n\n", where(s.dir))
	t := table{w: w}
	t.header()
	for _, r := range rows {
		s.progress.next()
		rep, err := s.measure(ctx, r)
		s.progress.clear()
		if ctx.Err() != nil {
			return fmt.Errorf("stopped")
		}
		if err != nil {
			return fmt.Errorf("row %s: %w", r.label(), err)
		}
		t.report(rep)
		if out != nil {
			if err := writeJSON(out, rep.results()...); err != nil {
				return err
			}
		}
	}
	return nil
}

// openJSON returns nil when no file is asked for.
func openJSON(name string) (w io.Writer, done func(), err error) {
	switch name {
	case "":
		return nil, func() {}, nil
	case "-":
		return os.Stdout, func() {}, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, nil, err
	}
	return f, func() { _ = f.Close() }, nil
}

// where says what the figures were measured on.
func where(dir string) string {
	fsName, _ := fsType(dir)
	return fmt.Sprintf("%s/%s, %d CPUs, %s, kernel %s, %s on %s (%s)", runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU(), runtime.Version(), orDash(ring.Probe().Kernel), fsName, orDash(diskName(dir)), dir)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
