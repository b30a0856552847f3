package engine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestDeletionOvertaken recreates a log whose deletion waits behind many entries. Whatever of both
// lives is durable at a power cut, the engine opens, and the later life wins.
func TestDeletionOvertaken(t *testing.T) {
	o := small()
	o.MaxBatchBytes = 4096
	w := newWorld(t, 1, o)
	w.open()
	h := w.hist["log-0"]
	w.create(h)
	l, err := w.e.Log(h.uid)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		w.append(l, h, h.now.last(), 40)
	}
	w.remove(l, h)
	w.create(h)
	if l, err = w.e.Log(h.uid); err != nil {
		t.Fatal(err)
	}
	w.append(l, h, h.now.last(), 40)
	for n := 0; w.step("commit") || w.step("pool"); n++ {
		if n%slowness == 0 {
			w.fork(memfs.CrashOptions{}, "cut").check(5)
		}
	}
	w.lookAtAll()
}

// TestDirectoryOfNewEngine cuts the power right after the first acknowledgement: the engine's
// directory and all above it must have their names.
func TestDirectoryOfNewEngine(t *testing.T) {
	m := memfs.New(1)
	e, err := engine.OpenParts(m, "/some/new/place", engine.Options{WALDir: "/other/new/place"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Create("a"); err != nil {
		t.Fatal(err)
	}
	e.Parts()[0].Step()
	e, err = engine.OpenParts(m.Crash(memfs.CrashOptions{}), "/some/new/place", engine.Options{WALDir: "/other/new/place"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Log("a"); err != nil {
		t.Fatal(err)
	}
}

// TestFormatCutShort finds what a power cut may leave of the making of an engine.
func TestFormatCutShort(t *testing.T) {
	for _, text := range []string{"", "\x00\x00\x00\x00\x00\x00\x00", "raw\x00\x00\x00\x00", "rawl", "rawl 1\n"} {
		m := memfs.New(1)
		if err := errors.Join(m.MkdirAll("/db/logs"), m.MkdirAll("/db/wal"), m.WriteFile("/db/FORMAT", []byte(text))); err != nil {
			t.Fatal(err)
		}
		closeEngine(t, openMem(t, m, engine.Options{}))
		closeEngine(t, openMem(t, m, engine.Options{}))
	}
}

// TestFlushBehindTruncation flushes a file whose entries a later file has overwritten: no way of
// reading brings the older ones back.
func TestFlushBehindTruncation(t *testing.T) {
	w := newWorld(t, 1, small())
	w.open()
	h := w.hist["log-0"]
	w.create(h)
	l, err := w.e.Log(h.uid)
	if err != nil {
		t.Fatal(err)
	}
	commit := func() {
		for w.step("commit") {
		}
	}
	w.append(l, h, h.now.last(), 10)
	commit()
	for w.step("pool") {
	}
	_ = w.e.Flush(canceled())
	commit()
	w.append(l, h, h.now.at(4), 3)
	w.append(l, h, h.now.at(6), 1)
	w.look(l, h)
	for w.step("flush") {
		w.look(l, h)
	}
	if w.e.Stats().Flushes != 1 {
		t.Fatal("nothing was flushed")
	}
	w.look(l, h)
	commit()
	w.look(l, h)
}

// TestEditThatFailedAndLasts makes all syncs of the manifest, and then of segments, report a failure
// although the device has the bytes: the segments that such an edit names must stay as they are.
func TestEditThatFailedAndLasts(t *testing.T) {
	w := newWorld(t, 1, small())
	fs := errorfs.New(w.mem, errorfs.Plan{})
	w.fs, w.faulty = fs, true
	w.open()
	h := w.hist["log-0"]
	w.create(h)
	l, err := w.e.Log(h.uid)
	if err != nil {
		t.Fatal(err)
	}
	w.append(l, h, h.now.last(), 10)
	w.settle(100)
	edited := false
	fs.Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.SyncKept, Match: func(op errorfs.Op) bool {
		manifest := strings.Contains(op.Name, "manifest-")
		edited = edited || manifest
		return manifest || edited && strings.HasSuffix(op.Name, ".seg")
	}})
	_ = w.e.Flush(canceled())
	w.step("commit")
	for range 30 {
		w.step("flush")
		w.look(l, h) // what no segment is known to hold is still in memory
		w.fork(memfs.CrashOptions{Unsynced: memfs.Kept}, "cut").check(5)
	}
	if !fs.Tripped() {
		t.Fatal("no edit was made")
	}
	fs.Heal()
	if !w.settle(1000) {
		w.fatalf("does not settle: %s", w.unsettled())
	}
	w.lookAtAll()
}

// TestNamesBehindDamage damages the first record of the batch that created some logs: each of
// them is set apart under its name.
func TestNamesBehindDamage(t *testing.T) {
	m := memfs.New(1)
	e, err := engine.OpenParts(m, "/db", engine.Options{WALFileBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	uids := []engine.UID{"a", "b", "c"}
	for range 2 {
		for _, uid := range uids {
			l, err := e.Create(uid)
			if errors.Is(err, engine.ErrExists) {
				l, err = e.Log(uid)
			}
			if err == nil {
				err = l.Append(l.Last(), entries(l.Last(), 1, 2))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		e.Parts()[0].Step()
	}
	m = m.Crash(memfs.CrashOptions{})
	for _, name := range m.Files() {
		if b, _ := m.ReadFile(name); strings.HasSuffix(name, ".wal") && liveBytes(b) > 2*frame.BlockSize {
			flipByte(name, frame.BlockSize+frame.HeaderSize+5, 1)(m)
		}
	}
	e = openMem(t, m, engine.Options{WALFileBytes: 64 << 10})
	defer closeEngine(t, e)
	for _, uid := range uids {
		l, err := e.Log(uid)
		if err != nil {
			t.Errorf("log %s: %v", uid, err)
			continue
		}
		_, err = l.Read(1)
		wantErr(t, "read of "+string(uid), err, engine.ErrQuarantined)
	}
}
