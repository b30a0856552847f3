package manifest

import (
	"errors"
	iofs "io/fs"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

func TestBadEdits(t *testing.T) {
	seg := func(first, last raftlog.Index, bytes int64) raftlog.Segment {
		return raftlog.Segment{Number: 1, Bytes: bytes, Range: raftlog.Range{First: first, Last: last}}
	}
	with := func(s ...raftlog.Segment) Edit { return Edit{Put: []Log{{ID: 1, UID: "u", Segments: s}}} }
	long := raftlog.HardState{Vote: strings.Repeat("v", raftlog.MaxVoteLen+1)}
	fs := newFS(t)
	m := mustCreate(t, fs)
	before := fs.Ops()
	for name, e := range map[string]Edit{
		"id 0":           {Put: []Log{{UID: "u"}}},
		"no uid":         {Put: []Log{{ID: 1}}},
		"bad uid":        {Put: []Log{{ID: 1, UID: "a/b"}}},
		"long vote":      {Put: []Log{{ID: 1, UID: "u", HardState: long}}},
		"long hard vote": {PutHard: []Hard{{ID: 1, State: long}}},
		"WAL file 0":     {AddWAL: []uint64{0}},
		"empty range":    with(seg(0, 5, 1)),
		"overlap":        with(seg(1, 5, 1), seg(5, 6, 1)),
		"descending":     with(seg(7, 8, 1), seg(1, 2, 1)),
		"negative bytes": with(seg(1, 2, -1)),
	} {
		if err := m.Apply(e); !errors.Is(err, ErrBadEdit) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if fs.Ops() != before || m.Len() != 0 {
		t.Error("a refused edit changed something")
	}
	must(t, m.Apply(with(seg(1, 5, math.MaxInt64), seg(6, math.MaxUint64, 0))))
	must(t, m.Close())
	reopen(t, fs)
}

func TestMergeHardState(t *testing.T) {
	h := func(term raftlog.Term, vote string) raftlog.HardState {
		return raftlog.HardState{Term: term, Vote: vote}
	}
	for _, c := range []struct{ a, b, want raftlog.HardState }{
		{h(1, "a"), h(2, ""), h(2, "")},
		{h(2, ""), h(1, "a"), h(2, "")},
		{h(2, ""), h(2, "b"), h(2, "b")},
		{h(2, "a"), h(2, ""), h(2, "a")},
		{h(2, "a"), h(2, "b"), h(2, "a")},
	} {
		if got := MergeHardState(c.a, c.b); got != c.want {
			t.Errorf("merging %v and %v: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// TestOneEditManyFields names one log in several fields.
func TestOneEditManyFields(t *testing.T) {
	fs := newFS(t)
	m := mustCreate(t, fs)
	hard := func(id raftlog.LogID, term raftlog.Term) Hard {
		return Hard{ID: id, State: raftlog.HardState{Term: term}}
	}
	must(t, m.Apply(Edit{
		Put:     []Log{{ID: 1, UID: "a"}, {ID: 2, UID: "b"}, {ID: 1, UID: "a", Applied: 5}},
		PutHard: []Hard{hard(1, 4), hard(1, 3), hard(9, 1)},
		Delete:  []raftlog.LogID{2, 7},
		AddWAL:  []uint64{4, 4, 5}, DropWAL: []uint64{5},
	}))
	must(t, m.Apply(Edit{PutHard: []Hard{hard(1, 6), hard(1, 5)}}))
	for range 2 {
		want := Log{ID: 1, UID: "a", Applied: 5, HardState: raftlog.HardState{Term: 6}}
		if l, ok := m.Log(1); !ok || l.ID != want.ID || l.Applied != 5 || l.HardState != want.HardState || m.Len() != 1 {
			t.Errorf("log 1 is %+v, of %d", l, m.Len())
		}
		if w := m.WALFiles(); len(w) != 1 || w[0] != 4 || m.NextFile() != 6 || m.ReservedIDs() != 2 {
			t.Errorf("WAL files %v, next %d, reserved %d", w, m.NextFile(), m.ReservedIDs())
		}
		must(t, m.Close())
		m = reopen(t, fs)
	}
}

func TestExistsAndCreate(t *testing.T) {
	fs := newFS(t)
	if ok, err := Exists(fs, testDir); ok || err != nil {
		t.Errorf("Exists in an empty directory: %t, %v", ok, err)
	}
	if _, err := Exists(fs, "/none"); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("Exists without a directory: %v", err)
	}
	if _, _, err := Open(fs, testDir); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("Open without a manifest: %v", err)
	}
	m, err := Create(fs, testDir, testStream)
	must(t, err)
	if _, err := Create(fs, testDir, 2); !errors.Is(err, iofs.ErrExist) {
		t.Errorf("Create over a manifest: %v", err)
	}
	if ok, err := Exists(fs, testDir); !ok || err != nil {
		t.Errorf("Exists: %t, %v", ok, err)
	}
	must(t, m.Close())
	for name, err := range map[string]error{
		"Apply": m.Apply(Edit{NextFile: 2}), "Rewrite": m.Rewrite(), "Mark": m.Mark(), "Close": m.Close(),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}

// TestReadOnlyOpen shows that Open and Close of what was only read write nothing.
func TestReadOnlyOpen(t *testing.T) {
	fs := newFS(t)
	m := mustCreate(t, fs)
	must(t, m.Apply(Edit{Put: []Log{{ID: 1, UID: "a"}}}))
	before := fs.Ops()
	reader := reopen(t, fs) // beside the writer
	must(t, reader.Mark())
	must(t, reader.Close())
	if fs.Ops() != before {
		t.Error("a reader wrote")
	}
	must(t, m.Close())
}

// TestConcurrentEdits edits from many goroutines, through replacements, beside readers.
func TestConcurrentEdits(t *testing.T) {
	const writers, edits = 4, 40
	fs := newFS(t)
	m := mustCreate(t, fs)
	var wg, readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for l := range m.Logs() {
					if l.HardState.Term != raftlog.Term(l.Applied) {
						t.Errorf("half an edit: %+v", l)
						return
					}
				}
			}
		})
	}
	for w := range writers {
		wg.Go(func() {
			for i := range edits {
				id := raftlog.LogID(w*1000 + i%10 + 1)
				l := Log{ID: id, UID: "x", Applied: raftlog.Index(i), HardState: raftlog.HardState{Term: raftlog.Term(i)}}
				if err := m.Apply(Edit{Put: []Log{l}}); err != nil {
					t.Error(err)
				}
				if got, ok := m.Log(id); !ok || got.Applied != l.Applied {
					t.Errorf("own edit not seen: %+v", got)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	readers.Wait()
	crashed := reopen(t, fs.Crash(memfs.CrashOptions{}))
	check(t, crashed, modelOf(m))
	if m.Len() != writers*10 {
		t.Errorf("%d logs", m.Len())
	}
	must(t, m.Close())
}

// TestLongReason finds the same after reopening as before: what is kept of a reason is bounded.
func TestLongReason(t *testing.T) {
	fs := newFS(t)
	m := mustCreate(t, fs)
	given := &Quarantine{Lost: raftlog.Range{First: 1, Last: 2}, Reason: strings.Repeat("r", 2*MaxReasonLen)}
	must(t, m.Apply(Edit{Put: []Log{{ID: 1, UID: "a", Quarantine: given}}}))
	for range 2 {
		l, ok := m.Log(1)
		if !ok || l.Quarantine == nil || len(l.Quarantine.Reason) != MaxReasonLen || l.Quarantine.Lost != given.Lost {
			t.Errorf("log %+v", l)
		}
		must(t, m.Close())
		m = reopen(t, fs)
	}
	if len(given.Reason) != 2*MaxReasonLen {
		t.Error("the caller's value was modified")
	}
}
