package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// tortureCommand is the name of the subcommand.
const tortureCommand = "torture"

const tortureText = `Works on many logs, at random and as hard as it can, until it is killed, stopped or -duration is
over, and writes every intent and every acknowledgement to the file -acks, and all that the logs'
tail readers get. With -verify it opens the directory instead and proves, from that file, that every
acknowledged fact is there, that nothing is invented and that order holds; that captured states hold
what was captured and their live entries can be read; and that every committed entry reached, or
can still reach, every tail reader, in order, without gaps but for what was released, with equal
bytes, and repeated only behind its last durable cursor; that a slot's durable position stands, with
all that it keeps, that one which was given up says so, and that one which was dropped stays away.
Either way no file of the directory is left open at the end, by whoever had read it.
A directory can be tortured again and again.`

// tortureCase is what one run of bench torture does.
type tortureCase struct {
	row      row
	dir      string
	acks     string
	owners   int
	readers  int // of each log
	slots    int // of each log, each with a reader
	seed     uint64
	memory   int64
	duration time.Duration
	verify   bool
	out      io.Writer // is told that the torture begins; nil for nobody
}

func runTorture(ctx context.Context, args []string) error {
	c := tortureCase{out: os.Stdout}
	fs := newFlags(tortureCommand, tortureText)
	c.row.storeFlags(fs)
	fs.StringVar(&c.dir, "dir", "", "the engine's directory")
	fs.StringVar(&c.acks, "acks", "", "the journal of intents and acknowledgements; it must lie outside -dir")
	fs.BoolVar(&c.verify, "verify", false, "prove what is left, and change nothing but what recovery does")
	fs.IntVar(&c.row.Logs, "logs", 64, "number of names that logs may have")
	fs.IntVar(&c.owners, "owners", 8, "goroutines; each owns a part of the logs")
	fs.IntVar(&c.readers, "readers", 1, "tail readers of each log")
	fs.IntVar(&c.slots, "slots", 2, "slots of each log, each with a tail reader that acknowledges, some seldom")
	fs.Uint64Var(&c.seed, "seed", 0, "seed of what is done; 0 draws one")
	fs.Int64Var(&c.row.WALFile, "walsize", 4<<20, "size of a WAL file, bytes")
	fs.Int64Var(&c.memory, "memory", 24<<20, "memory budget of the engine, bytes")
	fs.DurationVar(&c.duration, "duration", 0, "stop after that time; 0 goes on until a signal")
	if err := parse(fs, args); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	o, err := c.options()
	if err != nil {
		return err
	}
	open := func(o engine.Options) (*engine.Engine, error) { return engine.Open(c.dir, o) }
	if c.verify {
		w, err := readWorld(c.acks)
		if err != nil {
			return err
		}
		v, err := verifyTorture(w, open, o)
		if err = errors.Join(err, leftOpen(c.dir)); err == nil {
			fmt.Println(v)
		}
		return err
	}
	return errors.Join(c.runOnDisk(ctx, open, o), leftOpen(c.dir))
}

// openEngine opens the engine that is tortured or verified, wherever its directory is.
type openEngine func(engine.Options) (*engine.Engine, error)

// runOnDisk tortures with the journal in a file.
func (c *tortureCase) runOnDisk(ctx context.Context, open openEngine, o engine.Options) error {
	w, err := readWorld(c.acks)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(c.acks, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = c.run(ctx, w, file, open, o)
	return errors.Join(err, file.Close())
}

func (c *tortureCase) check() error {
	if c.dir == "" || c.acks == "" || c.row.Logs < 1 || c.owners < 1 || c.readers < 0 || c.slots < 0 {
		return errors.New("torture needs -dir and -acks, and at least one log and owner")
	}
	dir, err := filepath.Abs(c.dir)
	if err != nil {
		return err
	}
	acks, err := filepath.Abs(c.acks)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(dir, acks); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return fmt.Errorf("-acks %s lies in -dir %s", acks, dir)
	}
	return nil
}

func (c *tortureCase) options() (engine.Options, error) {
	o, err := c.row.options()
	o.MemoryBytes = c.memory
	o.SegmentEntries, o.SegmentBytes, o.OpenSegments = 512, 1<<20, 32
	o.SlotMaxBytes, o.SlotMaxAge = tortureSlotBytes, tortureSlotAge
	if c.verify { // a proof takes its time
		o.SlotMaxBytes, o.SlotMaxAge, o.SlotMaxIdle = -1, -1, -1
	}
	return o, err
}

// tortured is one run.
type tortured struct {
	e       *engine.Engine
	journal *journal
	stop    atomic.Bool
	failed  atomic.Pointer[error]
	names   map[engine.UID]*tortureLog // never changes
	maxSize int
	ended   context.Context // of the readers; ends when the owners have
	readers sync.WaitGroup  // their goroutines
	losses  losses
}

// run tortures until ctx or the duration ends: w is what the journal says so far, and acks takes
// what follows, a line by each call.
func (c *tortureCase) run(ctx context.Context, w *world, acks io.Writer, open openEngine, o engine.Options) (err error) {
	if c.seed == 0 {
		c.seed = rand.Uint64()
	}
	t := &tortured{names: make(map[engine.UID]*tortureLog), maxSize: int(min(c.row.WALFile/8, 1<<20))}
	for i := range c.row.Logs {
		uid := engine.UID(fmt.Sprintf("torture-%04d", i))
		t.names[uid] = c.name(t, uid)
	}
	var end context.CancelFunc
	t.ended, end = context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	o.Handler, o.OnEvent = t, t.losses.event
	if t.journal, err = newJournal(acks, w.lastOp); err != nil {
		return err
	}
	if t.e, err = open(o); err != nil {
		return err
	}
	if err := t.begin(w); err != nil {
		return errors.Join(err, t.e.Close(context.Background()))
	}
	if c.out != nil {
		fmt.Fprintf(c.out, "torturing, seed %d, backend %s\n", c.seed, t.e.Stats().Backend.Backend)
	}
	return t.work(ctx, c)
}

// name makes a name with its readers, none of which is open.
func (c *tortureCase) name(t *tortured, uid engine.UID) *tortureLog {
	l := &tortureLog{uid: uid, ready: make(chan struct{}, 1), captures: make(map[uint64]*capture)}
	for i := range c.readers {
		x := &tail{t: t, uid: uid, name: fmt.Sprintf("reader-%d", i)}
		x.over.Store(true)
		x.durable.Store(&durableCursor{})
		l.tails = append(l.tails, x)
	}
	for i := range c.slots {
		x := &tail{t: t, uid: uid, name: fmt.Sprintf("slot-%d", i), slotted: true}
		x.over.Store(true)
		l.slots = append(l.slots, x)
	}
	return l
}

// begin says what was found and gives every name its state.
func (t *tortured) begin(w *world) error {
	logs, err := observeLogs(t.e)
	if err != nil {
		return err
	}
	t.journal.opened(logs)
	if err := w.resolve(logs); err != nil {
		return err
	}
	for uid, m := range w.logs {
		l := t.names[uid]
		if l == nil {
			return fmt.Errorf("log %s is not among the names: were there more logs before?", uid)
		}
		l.state = *m.sure
		l.term = max(l.state.last().Term, l.state.hard.Term) + 1
		if l.state.exists {
			if l.log, err = t.e.Log(uid); err != nil {
				return err
			}
			if err := l.resume(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// resume goes on with what was committed and read before.
func (l *tortureLog) resume(m *logModel) error {
	l.captures = m.captures
	y := m.lives[l.state.life]
	if y == nil {
		return fmt.Errorf("log %s has a life that was never begun", l.uid)
	}
	l.committed = y.committed
	for _, t := range l.tails {
		t.life = l.state.life
		if r := y.readers[t.name]; r != nil {
			t.durable.Store(&durableCursor{at: r.durable, text: r.cursor})
		}
	}
	return l.log.SetCommitted(l.committed)
}

// work runs the owners and the flusher until the end.
func (t *tortured) work(ctx context.Context, c *tortureCase) error {
	var owners sync.WaitGroup
	for i := range c.owners {
		o := &owner{t: t, rng: rand.New(rand.NewPCG(c.seed, uint64(i)))}
		for k := i; k < c.row.Logs; k += c.owners {
			o.logs = append(o.logs, t.names[engine.UID(fmt.Sprintf("torture-%04d", k))])
		}
		if len(o.logs) > 0 {
			owners.Go(o.run)
		}
	}
	owners.Go(func() { t.flushNowAndThen(rand.New(rand.NewPCG(c.seed, 1<<40))) })
	if c.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.duration)
		defer cancel()
	}
	ended := make(chan struct{})
	go func() { owners.Wait(); close(ended) }()
	select {
	case <-ctx.Done():
	case <-ended:
	}
	t.stop.Store(true)
	<-ended
	errs := []error{t.e.Close(context.Background()), t.journal.failed()}
	t.readers.Wait() // the engine's end is theirs
	errs = append(errs, t.losses.silent())
	if err := t.failed.Load(); err != nil {
		errs = append(errs, *err)
	}
	return errors.Join(errs...)
}

func (t *tortured) fail(err error) {
	t.failed.CompareAndSwap(nil, &err)
	t.stop.Store(true)
}

func (t *tortured) flushNowAndThen(rng *rand.Rand) {
	for !t.stop.Load() {
		time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
		if rng.IntN(4) == 0 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			if err := t.e.Flush(ctx); err != nil && ctx.Err() == nil {
				t.fail(fmt.Errorf("flush: %w", err))
			}
			cancel()
		}
		t.e.Stats()
	}
}

// Written implements engine.Handler.
func (t *tortured) Written(w engine.Written) {
	if l := t.names[w.Log.UID()]; l != nil && l.open.Load() {
		t.journal.written(l.uid, w.Last, w.HardState)
	}
}

// Ready implements engine.Handler.
func (t *tortured) Ready(l *engine.Log) {
	select {
	case t.names[l.UID()].ready <- struct{}{}:
	default:
	}
}
