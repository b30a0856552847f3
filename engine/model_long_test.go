package engine_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"pgregory.net/rapid"
)

// longOp is one operation of the long model: what to do, and the seed of all that is drawn for
// it. Since each has a seed of its own, one that is taken away leaves the others what they are,
// so that a failing history can be shrunk.
type longOp struct {
	Kind longKind
	Seed uint32
}

type longKind uint8

const (
	opNothing longKind = iota // what shrinking makes of an operation that does not matter
	opChange                  // append, overwrite, truncate, release, commit, create, delete
	opCommit
	opPool
	opFlush
	opRoll
	opIdle
	opMonitor
	opState // hard state, applied
	opCapture
	opPromote
	opCaptured // run a capture or a promotion
	opCompact
	opPlan
	opExecute
	opRead // by an external reader
	opSlot
	opInstall
	opLook
	opRestart // close or power cut, and open
	longKinds
)

// longWeights says how often each kind comes.
var longWeights = [longKinds]int{
	opChange: 70, opCommit: 30, opPool: 8, opFlush: 20, opRoll: 5, opIdle: 2, opMonitor: 2, opState: 8, opCapture: 8,
	opPromote: 3, opCaptured: 10, opCompact: 3, opPlan: 8, opExecute: 8, opRead: 24, opSlot: 12, opInstall: 10, opLook: 3, opRestart: 1,
}

func (k longKind) String() string {
	return [...]string{"nothing", "change", "commit", "pool", "flush", "roll", "idle", "monitor", "state", "capture",
		"promote", "captured", "compact", "plan", "execute", "read", "slot", "install", "look", "restart"}[k]
}

// longChoices holds each kind as often as its weight says.
func longChoices() (kinds []longKind) {
	for k, n := range longWeights {
		kinds = append(kinds, slices.Repeat([]longKind{longKind(k)}, n)...)
	}
	return kinds
}

// longWorld is a world in which everything happens that the engine can do.
type longWorld struct {
	*readerWorld
	promises []promise
	met      [longKinds]int // operations that came to something
	// whole makes each part come to rest when it is stepped: how much one step does depends on
	// the device, what is there in the end does not. Then no power is cut, either.
	whole bool
}

func newLongWorld(t testing.TB, seed uint64) *longWorld {
	w := &longWorld{readerWorld: newReaderWorld(t, seed)}
	w.o.SegmentEntries, w.o.CompactionBytesPerSecond, w.o.MinorsPerMajor, w.o.MaxCheckpoints = 16, -1, 3, 3
	w.readers = make([]*modelReader, 6)
	return w
}

// do carries out an operation.
func (w *longWorld) do(op longOp) {
	w.t.Helper()
	w.rng = rand.New(rand.NewPCG(uint64(op.Seed), uint64(op.Kind)))
	switch op.Kind {
	case opChange:
		w.change()
	case opCommit, opPool, opFlush, opIdle, opMonitor:
		w.stepPart(op.Kind.String())
	case opRoll:
		_ = w.e.Flush(canceled()) // asks for it
	case opCaptured:
		w.captured(w.stepPart)
	case opRead:
		w.read(w.rng.IntN(len(w.readers)))
	case opExecute:
		w.execute()
	case opRestart:
		w.restartWithPlans()
	case opNothing:
	default:
		h := w.hist[w.uids[w.rng.IntN(len(w.uids))]]
		if l := w.logOf(h); l != nil {
			w.use(op.Kind, l, h)
		}
		return
	}
	w.met[op.Kind]++
}

// use does something with a log.
func (w *longWorld) use(kind longKind, l *engine.Log, h *history) {
	w.t.Helper()
	switch kind {
	case opState:
		w.setState(l, h)
	case opCapture:
		w.commitWritten(l, h)
		w.capture(l, h)
	case opPromote:
		if w.promote(l, h); w.logs[l].pending.id.Index == 0 {
			return
		}
	case opCompact:
		_ = l.Compact(canceled()) // asks for it
	case opPlan:
		w.plan(l, h)
	case opSlot:
		w.slot(l, h)
		w.committed[lifeOf{h.uid, h.now.life}] = l.Committed()
	case opInstall:
		if !w.replace(l, h) {
			return
		}
	case opLook:
		w.look(l, h)
	}
	w.met[kind]++
}

// stepPart steps a part of the engine once, or until it comes to rest.
func (w *longWorld) stepPart(name string) bool {
	more := w.step(name)
	for n := 0; w.whole && more && name != "snapshots" && name != "monitor" && n < 2000; n++ {
		more = w.step(name)
	}
	return more
}

// commitWritten commits all that is durable of a log: only that is captured, and never truncated.
func (w *longWorld) commitWritten(l *engine.Log, h *history) {
	w.t.Helper()
	k := lifeOf{h.uid, h.now.life}
	i := min(l.LastWritten().Index, h.now.last().Index)
	if i <= w.committed[k] {
		return
	}
	if err := l.SetCommitted(i); err != nil {
		w.fatalf("commit %d: %v", i, err)
	}
	w.committed[k] = i
}

// replace installs a snapshot, and reports whether that came to its record.
func (w *longWorld) replace(l *engine.Log, h *history) bool {
	w.t.Helper()
	n := len(h.recs)
	w.install(l, h)
	w.committed[lifeOf{h.uid, h.now.life}] = l.Committed()
	w.learn(h)
	return len(h.recs) > n
}

func (w *longWorld) setState(l *engine.Log, h *history) {
	w.t.Helper()
	if w.rng.IntN(3) > 0 {
		w.setHard(l, h)
		return
	}
	i := h.now.released.Index + engine.Index(w.rng.IntN(len(h.now.terms)+1))
	if i > h.now.applied && w.did(l.SetApplied(i)) {
		w.control(l, h, rec{kind: recApplied, id: engine.EntryID{Index: i}})
	}
}

// plan keeps a plan of some stretch of a log, or of indexes here and there.
func (w *longWorld) plan(l *engine.Log, h *history) {
	w.t.Helper()
	if len(w.promises) > 20 {
		return
	}
	end := int(h.now.last().Index)
	indexes := from(engine.Index(w.rng.IntN(end+1)), engine.Index(end+1))
	if w.rng.IntN(2) == 0 {
		var some []engine.Index
		for range w.rng.IntN(30) {
			some = append(some, engine.Index(w.rng.IntN(end+3)))
		}
		slices.Sort(some)
		indexes = slices.Values(some)
	}
	if p, ok := w.promise(l, h, indexes, engine.PlanOptions{Depth: 1 + w.rng.IntN(40)}); ok {
		w.promises = append(w.promises, p)
	}
}

// execute executes one of the plans, and may keep it for later.
func (w *longWorld) execute() {
	w.t.Helper()
	if len(w.promises) == 0 {
		return
	}
	n := w.rng.IntN(len(w.promises))
	w.keeps(w.promises[n])
	if w.rng.IntN(3) > 0 {
		w.promises[n].plan.Close()
		w.promises = slices.Delete(w.promises, n, n+1)
	}
}

// restartWithPlans executes all plans a last time, for they end with the engine, and opens it anew.
func (w *longWorld) restartWithPlans() {
	w.t.Helper()
	for _, p := range w.promises {
		w.keeps(p)
		p.plan.Close()
	}
	w.promises = nil
	w.restartBy(w.whole || w.rng.IntN(2) == 0)
}

// finishAll brings everything to rest and looks at all of it.
func (w *longWorld) finishAll() {
	w.t.Helper()
	for _, p := range w.promises {
		w.keeps(p)
		p.plan.Close()
	}
	for n, m := range w.readers {
		if m == nil {
			continue
		}
		if w.read(n); w.readers[n] != nil {
			m.r.Close()
		}
	}
	w.rest()
	w.lookAtAll()
	w.plansAll()
}

// shrinking is the test that a rapid check runs in: what fails it ends the try, not the test.
type shrinking struct {
	testing.TB
	r *rapid.T
}

func (s shrinking) Helper()                      {}
func (s shrinking) Fatal(args ...any)            { s.r.Fatal(args...) }
func (s shrinking) Fatalf(f string, args ...any) { s.r.Fatalf(f, args...) }
func (s shrinking) Error(args ...any)            { s.r.Error(args...) }
func (s shrinking) Errorf(f string, args ...any) { s.r.Errorf(f, args...) }

// setFlag sets a flag of rapid until the test ends.
func setFlag(t *testing.T, name, value string) {
	t.Helper()
	f := flag.Lookup(name)
	before := f.Value.String()
	if err := f.Value.Set(value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Value.Set(before) })
}

// longRun is how many operations are drawn for one history; some of them are nothing.
const longRun = 1200

// drawHistory draws a history. Its operations follow from a seed, and each of them has a mark of
// its own, for rapid's numbers prefer some values: where shrinking makes the mark 0 the operation is gone.
func drawHistory(r *rapid.T) []longOp {
	ops := longHistory(rapid.Uint64().Draw(r, "seed"), rapid.Uint64().Draw(r, "stream"), longRun)
	for k, mark := range rapid.SliceOfN(rapid.Byte(), longRun, longRun).Draw(r, "marks") {
		if mark == 0 {
			ops[k] = longOp{}
		}
	}
	return ops
}

// longHistory is the history of a seed.
func longHistory(seed1, seed2 uint64, n int) []longOp {
	rng := rand.New(rand.NewPCG(seed1, seed2))
	choices := longChoices()
	ops := make([]longOp, n)
	for k := range ops {
		ops[k] = longOp{Kind: choices[rng.IntN(len(choices))], Seed: rng.Uint32()}
	}
	return ops
}

// TestLongModel runs random histories of all that the engine does against the model, 20,000
// operations in all, and a million with -scale 50.
func TestLongModel(t *testing.T) {
	checks := tries(20)
	if testing.Short() {
		checks *= 5 // rapid divides by as much then
	}
	setFlag(t, "rapid.checks", fmt.Sprint(checks))
	setFlag(t, "rapid.seed", fmt.Sprint(1+*firstSeed))
	setFlag(t, "rapid.nofailfile", "true")
	var met [longKinds]int
	done := 0
	rapid.Check(t, func(r *rapid.T) {
		ops := drawHistory(r)
		w := newLongWorld(shrinking{t, r}, 1)
		w.open()
		for _, op := range ops {
			if w.do(op); op.Kind != opNothing {
				done++
			}
		}
		w.finishAll()
		w.noneUnnamed()
		w.close()
		for k, n := range w.met {
			met[k] += n
		}
	})
	for k := opChange; k < longKinds; k++ {
		if met[k] == 0 {
			t.Errorf("never: %v", k)
		}
	}
	if t.Logf("%d operations, with effect of each kind: %v", done, met); done < 1000*tries(20) {
		t.Error("these are too few")
	}
}
