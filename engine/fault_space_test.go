package engine_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

const roomy = 1 << 40

// limit leaves that many bytes free on the world's disk; negative for no limit.
func (w *world) limit(bytes int64) {
	if bytes < 0 {
		w.mem.SetCapacity(-1)
		return
	}
	w.mem.SetCapacity(roomy)
	free, err := w.mem.FreeSpace("/")
	if err != nil {
		w.fatalf("%v", err)
	}
	w.mem.SetCapacity(roomy - int64(free) + bytes)
}

// heals makes space and checks that all that was asked for becomes durable without a reopen.
func (w *world) heals() {
	w.t.Helper()
	w.limit(-1)
	if !w.settle(3000) {
		w.fatalf("does not heal: %s", w.unsettled())
	}
	w.lookAtAll()
}

// fullRun lets the disk become full with that many bytes left.
func fullRun(t *testing.T, budget int64) engine.Health {
	w := newWorld(t, uint64(budget>>12)%7, rolls())
	w.what += fmt.Sprintf(", %d bytes", budget)
	w.open()
	w.work(60)
	w.faulty, w.full = true, true
	w.limit(budget)
	w.work(500)
	w.step("monitor")
	health, cause := w.e.Health()
	if health == engine.HealthFailed {
		w.fatalf("failed: %v", cause)
	}
	for _, o := range []memfs.CrashOptions{{}, {Unsynced: memfs.Random, Seed: uint64(budget)}} {
		image := w.fork(o, fmt.Sprintf("cut %+v", o))
		image.open()
		image.recovered()
		image.faulty = true
		image.work(20)
		image.heals()
		image.fork(memfs.CrashOptions{}, "healed").check(0)
	}
	w.heals()
	w.fork(memfs.CrashOptions{}, "healed").check(0)
	return health
}

// TestFullDisk fills the disk at different moments: nothing acknowledged is lost, the engine opens
// on a full disk, and heals when there is space again.
func TestFullDisk(t *testing.T) {
	seen := map[engine.Health]int{}
	n := int64(0)
	for budget := int64(0); budget < 3<<20; budget += (4 << 10) * (1 + n*slowness/int64(4**scale)) {
		seen[fullRun(t, budget)]++
		n++
	}
	if seen[engine.HealthReadOnly] == 0 {
		t.Error("the engine never was read only")
	}
	t.Logf("%d runs: %v", n, seen)
}

// TestCreateOnFullDisk makes an engine where there is too little space for one.
func TestCreateOnFullDisk(t *testing.T) {
	fits := 0
	for budget := int64(0); budget < 2<<20; budget += 28 << 10 {
		w := newWorld(t, 1, rolls())
		w.what += fmt.Sprintf(", %d bytes", budget)
		w.limit(budget)
		w.faulty = true
		if w.open() != nil {
			w.limit(-1)
			w.open()
			fits--
		}
		fits++
		w.work(50)
		w.heals()
	}
	if fits == 0 {
		t.Error("nothing was enough")
	}
}

// TestReserve fills the disk under a running engine: entries are refused, hard state and deletion
// are not, reads go on, and it heals by itself when there is space.
func TestReserve(t *testing.T) {
	m := memfs.New(1)
	health := make(chan engine.Health, 100)
	e, a := oneLog(t, m, engine.Options{WALFileBytes: 256 << 10, OnEvent: func(ev engine.Event) {
		if ev.Kind == engine.EventHealth {
			health <- ev.Health
		}
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, uid := range []engine.UID{"b", "c"} {
		if _, err := e.CreateSync(ctx, uid); err != nil {
			t.Fatal(err)
		}
	}
	(&world{t: t, mem: m}).limit(0)
	var err error
	for err == nil {
		err = a.Append(a.Last(), []engine.Entry{{Term: 1, Index: a.Last().Index + 1, Data: make([]byte, 5000)}})
	}
	wantErr(t, "append", err, engine.ErrReadOnly)
	awaitHealth(t, health, engine.HealthReadOnly)
	_, cause := e.Health()
	wantErr(t, "cause", cause, engine.ErrReadOnly)
	b, err := e.Log("b")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SetHardStateSync(ctx, engine.HardState{Term: 7, Vote: "x"}); err != nil {
		t.Errorf("hard state on a full disk: %v", err)
	}
	if err := e.Delete(ctx, "c"); err != nil {
		t.Errorf("deletion on a full disk: %v", err)
	}
	_, err = e.Create("d")
	wantErr(t, "create", err, engine.ErrReadOnly)
	wantErr(t, "flush", e.Flush(ctx), engine.ErrReadOnly)
	checkRange(t, a, 1, 10, 1)
	last := a.Last()
	(&world{t: t, mem: m}).limit(-1)
	awaitHealth(t, health, engine.HealthOK)
	if err := a.AppendSync(ctx, last, []engine.Entry{{Term: 1, Index: last.Index + 1}}); err != nil {
		t.Errorf("append after space returned: %v", err)
	}
	closeEngine(t, e)
	e = openMem(t, m, engine.Options{WALFileBytes: 256 << 10})
	defer closeEngine(t, e)
	if a, err = e.Log("a"); err != nil || a.Last().Index != last.Index+1 {
		t.Errorf("%v, %v", a.Last(), err)
	}
	if b, err = e.Log("b"); err != nil || b.HardState().Term != 7 {
		t.Errorf("%v", err)
	}
	_, err = e.Log("c")
	wantErr(t, "deleted log", err, engine.ErrNotFound)
}
