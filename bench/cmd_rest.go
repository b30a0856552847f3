package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/rawl-db/rawl/engine"
)

const idleText = `Starts many clusters of three members on three nodes in one process, weighs them at rest, kills the process
and opens the nodes again in another one until every cluster is led. With -nodes process the three nodes are processes of
their own, and what they send each other at rest is counted, with one cluster and with that many.`

// idleCommand is the hidden subcommand of a process that holds the clusters. It reads an idleLife and writes an idleReport.
const idleCommand = "_idle"

// idleLife says what one process does.
type idleLife struct {
	Dir      string
	Clusters int
	Rest     time.Duration // for how long it watches itself at rest
	Reopen   bool          // the clusters are there already
	Store    row
	Profile  row
}

// idleReport is what it found. Members are three for each cluster.
type idleReport struct {
	Suite    string  `json:"suite"` // start or reopen
	Clusters int     `json:"clusters"`
	Seconds  float64 `json:"seconds"` // until all clusters were led
	// HeapPerMember and RSSPerMember are bytes, beside what the nodes take without clusters.
	HeapPerMember float64  `json:"heap_bytes_per_member"`
	RSSPerMember  *float64 `json:"rss_bytes_per_member"`
	// CPUAtRest is the part of one core.
	CPUAtRest    *float64 `json:"cpu_at_rest"`
	Goroutines   int      `json:"goroutines"`
	RestSyncsPer float64  `json:"syncs_per_s_at_rest"`
	// Entries and Terms are by how much, at most, a member's log and term grew from one process to the next.
	Entries uint64 `json:"entries"`
	Terms   uint64 `json:"terms"`
}

// idleAnswer is a report, and where the logs of all members end, in which terms.
type idleAnswer struct {
	Report       idleReport
	Lasts, Terms []uint64
}

func runIdle(ctx context.Context, args []string) error {
	l := idleLife{Store: newRow(1, 1)}
	fs := newFlags("idle", idleText)
	fs.IntVar(&l.Clusters, "clusters", 10_000, "number of clusters")
	fs.DurationVar(&l.Rest, "rest", 5*time.Second, "how long they are watched at rest")
	nodes := fs.String("nodes", nodesInProcess, "where the nodes are: inproc, in one process, or process, each in its own, over TCP")
	l.Store.storeFlags(fs)
	fs.StringVar(&l.Profile.CPUProfile, "cpuprofile", "", "write a CPU profile of the start to this file, and one of the reopening beside it")
	fs.StringVar(&l.Profile.MemProfile, "memprofile", "", "write a profile of the memory at rest to this file, and one after the reopening beside it")
	jsonFile := fs.String("json", "", "write one JSON object per line to this file, - is standard output")
	dir := fs.String("dir", "", "where to work; default a new directory under the current one, removed afterwards")
	if err := parse(fs, args); err != nil {
		return err
	}
	if l.Clusters < 1 || l.Rest < time.Millisecond {
		return fmt.Errorf("clusters must be at least 1, rest at least 1 ms")
	}
	if *nodes != nodesInProcess && *nodes != nodesProcess {
		return fmt.Errorf("-nodes %q is neither %s nor %s", *nodes, nodesInProcess, nodesProcess)
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
	l.Dir = w.dir
	text := io.Writer(os.Stdout)
	if *jsonFile == "-" {
		text = io.Discard
	}
	fmt.Fprintf(text, "%s\n\n%d clusters of three members\n", where(w.dir), l.Clusters)
	if *nodes == nodesProcess {
		return l.traffic(ctx, text, out)
	}
	return l.lives(ctx, text, out)
}

// lives starts the clusters in one process and opens them again in another.
func (l *idleLife) lives(ctx context.Context, text, out io.Writer) error {
	var before idleAnswer
	for _, l.Reopen = range []bool{false, true} {
		a, err := l.live(ctx)
		if err != nil {
			return err
		}
		if l.Reopen {
			a.Report.Entries, a.Report.Terms = growth(before.Lasts, a.Lasts), growth(before.Terms, a.Terms)
		}
		before = a
		a.Report.print(text)
		if out != nil {
			if err := json.NewEncoder(out).Encode(&a.Report); err != nil {
				return err
			}
		}
		l.Profile = secondLife(l.Profile)
	}
	return nil
}

// growth is by how much the member grew that grew most.
func growth(before, after []uint64) (most uint64) {
	for i := range min(len(before), len(after)) {
		most = max(most, after[i]-before[i])
	}
	return most
}

// secondLife names the profiles of the second process.
func secondLife(r row) row {
	for _, name := range []*string{&r.CPUProfile, &r.MemProfile} {
		if *name != "" {
			*name += ".reopen"
		}
	}
	return r
}

// live runs a process until it has reported, and kills it.
func (l *idleLife) live(ctx context.Context) (r idleAnswer, err error) {
	exe, err := os.Executable()
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, exe, idleCommand)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return r, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return r, err
	}
	if err := cmd.Start(); err != nil {
		return r, fmt.Errorf("start process: %w", err)
	}
	err = json.NewEncoder(in).Encode(l)
	if err == nil {
		err = json.NewDecoder(out).Decode(&r)
	}
	_ = cmd.Process.Kill() // it waits for its end, as by a power cut
	_ = cmd.Wait()
	if err != nil {
		return r, fmt.Errorf("process with clusters: %w", err)
	}
	return r, nil
}

func (r *idleReport) print(w io.Writer) {
	fmt.Fprintf(w, "  %-8s %8.2f s until all are led (%s members/s); at most %d entries and %d terms more per member\n", r.Suite, r.Seconds,
		count(ratio(float64(houseNodes*r.Clusters), r.Seconds)), r.Entries, r.Terms)
	fmt.Fprintf(w, "           per member %.0f bytes of heap, %s of RSS; at rest %s %% of a core, %.1f syncs/s, %d goroutines\n",
		r.HeapPerMember, fixed(r.RSSPerMember, 0), fixed(scaled(r.CPUAtRest, 100), 2), r.RestSyncsPer, r.Goroutines)
}

// runIdleLife reports, and then waits to be killed, or for the end of its input.
func runIdleLife(ctx context.Context, in io.Reader, out io.Writer) error {
	var l idleLife
	d := json.NewDecoder(in)
	if err := d.Decode(&l); err != nil {
		return err
	}
	a, err := l.run(ctx)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(&a); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, d.Buffered())
	if err == nil {
		_, err = io.Copy(io.Discard, in)
	}
	return err
}

func (l *idleLife) run(ctx context.Context) (a idleAnswer, err error) {
	o, err := l.Store.options()
	if err != nil {
		return a, err
	}
	r := &a.Report
	*r = idleReport{Suite: "start", Clusters: l.Clusters}
	heap, rss, err := emptyNodes(filepath.Join(l.Dir, "empty"), o)
	if err != nil {
		return a, err
	}
	stop, err := profile(row{CPUProfile: l.Profile.CPUProfile})
	if err != nil {
		return a, err
	}
	began := time.Now()
	h, err := newRaftHouse(l.Dir, l.Clusters, o)
	if err != nil {
		return a, err
	}
	if l.Reopen {
		r.Suite = "reopen"
	} else {
		err = h.start(ctx)
	}
	if err == nil {
		err = h.each(func(k int) error { return h.led(ctx, k) })
	}
	r.Seconds = time.Since(began).Seconds()
	if err := errors.Join(err, stop()); err != nil {
		return a, err
	}
	if err := h.settle(ctx); err != nil {
		return a, err
	}
	l.rest(h, r)
	members := float64(houseNodes * l.Clusters)
	r.HeapPerMember = (heapInUse() - heap) / members
	if now := residentBytes(); now != nil && rss != nil {
		r.RSSPerMember = ptr((*now - *rss) / members)
	}
	a.Lasts, a.Terms, err = h.logEnds()
	err = errors.Join(err, writeHeap(l.Profile.MemProfile))
	runtime.KeepAlive(h)
	return a, err
}

// emptyNodes weighs three nodes without clusters.
func emptyNodes(dir string, o engine.Options) (heap float64, rss *float64, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, nil, err
	}
	h, err := newRaftHouse(dir, 0, o)
	if err != nil {
		return 0, nil, err
	}
	heap, rss = heapInUse(), residentBytes()
	return heap, rss, errors.Join(h.close(), os.RemoveAll(dir))
}

// writeHeap writes a profile of the memory in use, if a name is given.
func writeHeap(name string) error {
	if name == "" {
		return nil
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close())
}

// rest watches the process while nothing happens.
func (l *idleLife) rest(h *raftHouse, r *idleReport) {
	time.Sleep(time.Second) // what the start left to be done is done
	cpu, began := cpuSeconds(), time.Now()
	syncs, _ := h.syncs()
	time.Sleep(l.Rest)
	took := time.Since(began).Seconds()
	if now := cpuSeconds(); now != nil && cpu != nil {
		r.CPUAtRest = ptr((*now - *cpu) / took)
	}
	more, _ := h.syncs()
	r.RestSyncsPer = float64(more-syncs) / took
	r.Goroutines = runtime.NumGoroutine()
}
