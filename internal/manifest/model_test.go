package manifest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

const (
	testDir    = "/db"
	testStream = 0x1122334455667788
	testRoom   = 24 << 10 // a replacement every few edits
)

// model is what a manifest ought to hold, in the plainest terms.
type model struct {
	nextFile uint64
	reserved raftlog.LogID
	flushed  raftlog.Batch
	wal      map[uint64]bool
	logs     map[raftlog.LogID]Log
}

func newModel() model {
	return model{nextFile: 1, wal: map[uint64]bool{}, logs: map[raftlog.LogID]Log{}}
}

// with returns the model after e.
func (m model) with(e Edit) model {
	m.wal, m.logs = maps.Clone(m.wal), maps.Clone(m.logs)
	m.nextFile, m.reserved = max(m.nextFile, e.NextFile), max(m.reserved, e.ReserveIDs)
	m.flushed = max(m.flushed, e.Flushed)
	for _, n := range e.AddWAL {
		m.wal[n] = true
		m.nextFile = max(m.nextFile, n+1)
	}
	for _, n := range e.DropWAL {
		delete(m.wal, n)
	}
	for _, l := range e.Put {
		m.reserved = max(m.reserved, l.ID)
		if old, ok := m.logs[l.ID]; ok {
			l.HardState = newerHard(old.HardState, l.HardState)
		}
		m.logs[l.ID] = l
	}
	for _, h := range e.PutHard {
		if l, ok := m.logs[h.ID]; ok {
			l.HardState = newerHard(l.HardState, h.State)
			m.logs[h.ID] = l
		}
	}
	for _, id := range e.Delete {
		delete(m.logs, id)
	}
	return m
}

func newerHard(a, b raftlog.HardState) raftlog.HardState {
	switch {
	case a.Term != b.Term && a.Term < b.Term, a.Term == b.Term && a.Vote == "":
		return b
	default:
		return a
	}
}

// modelOf reads a manifest into a model.
func modelOf(m *Manifest) model {
	got := newModel()
	got.nextFile, got.reserved, got.flushed = m.NextFile(), m.ReservedIDs(), m.Flushed()
	for _, n := range m.WALFiles() {
		got.wal[n] = true
	}
	for l := range m.Logs() {
		got.logs[l.ID] = l
	}
	return got
}

func (m model) equal(o model) bool { return reflect.DeepEqual(m, o) }

// diff says in short how m differs from want.
func (m model) diff(want model) string {
	s := fmt.Sprintf("flushed %d want %d, next %d want %d, reserved %d want %d, wal %v want %v;",
		m.flushed, want.flushed, m.nextFile, want.nextFile, m.reserved, want.reserved, m.wal, want.wal)
	for id := range max(m.reserved, want.reserved) + 1 {
		if a, b := m.logs[id], want.logs[id]; !reflect.DeepEqual(a, b) {
			s += fmt.Sprintf("\n\tlog %d: %+v\n\twant   %+v", id, a, b)
		}
	}
	return s
}

// editor draws edits that an engine could make.
type editor struct {
	rng  *rand.Rand
	next raftlog.LogID
	file uint64
}

func newEditor(seed uint64) *editor {
	return &editor{rng: rand.New(rand.NewPCG(seed, 1)), next: 1, file: 1}
}

func (e *editor) hard() raftlog.HardState {
	h := raftlog.HardState{Term: raftlog.Term(e.rng.IntN(9))}
	if e.rng.IntN(2) == 0 {
		h.Vote = fmt.Sprintf("n%d", e.rng.IntN(3))
	}
	return h
}

func (e *editor) log(id raftlog.LogID) Log {
	l := Log{
		ID: id, UID: raftlog.UID(fmt.Sprintf("log-%d", id)), HardState: e.hard(),
		Applied: raftlog.Index(e.rng.IntN(1000)), AsOf: raftlog.Batch(e.rng.Uint64N(1 << 40)),
		Released:    raftlog.EntryID{Term: 1, Index: raftlog.Index(e.rng.IntN(500))},
		Last:        raftlog.EntryID{Term: 2, Index: raftlog.Index(e.rng.IntN(5000))},
		NextSegment: e.rng.Uint64N(50),
	}
	first := raftlog.Index(1)
	for range e.rng.IntN(5) {
		r := raftlog.Range{First: first, Last: first + raftlog.Index(e.rng.IntN(4096))}
		l.Segments = append(l.Segments, raftlog.Segment{
			Number: e.rng.Uint64N(99), Bytes: e.rng.Int64N(64 << 20), Entries: e.rng.Uint32N(4097), Range: r,
		})
		first = r.Last + 1 + raftlog.Index(e.rng.IntN(2))
	}
	for k := range e.rng.IntN(3) {
		l.Snapshots = append(l.Snapshots, raftlog.Snapshot{
			Kind: raftlog.SnapshotKind(1 + e.rng.IntN(3)), ID: raftlog.EntryID{Term: 1, Index: raftlog.Index(k + 1)},
			Bytes: e.rng.Int64N(1 << 40), Live: e.rng.Uint64N(1000),
		})
	}
	for k := range e.rng.IntN(3) {
		l.Slots = append(l.Slots, raftlog.Slot{
			Name: fmt.Sprintf("slot-%d", k), Acked: raftlog.EntryID{Term: 1, Index: raftlog.Index(e.rng.IntN(50))}, Invalid: e.rng.IntN(4) == 0,
		})
	}
	if len(l.Slots) > 0 {
		l.SlotsAsOf = raftlog.Batch(e.rng.IntN(1000))
	}
	if e.rng.IntN(6) == 0 {
		l.Quarantine = &Quarantine{Lost: raftlog.Range{First: first, Last: first + 9}, Reason: "torn"}
	}
	return l
}

// edit draws an edit of the manifest that m describes.
func (e *editor) edit(m model) Edit {
	ids := slices.Sorted(maps.Keys(m.logs))
	pick := func() raftlog.LogID { return ids[e.rng.IntN(len(ids))] }
	var d Edit
	for range 1 + e.rng.IntN(3) {
		switch k := e.rng.IntN(9); {
		case k == 0:
			d.AddWAL = append(d.AddWAL, e.file)
			e.file++
		case k == 1 && len(m.wal) > 0:
			d.DropWAL = append(d.DropWAL, slices.Sorted(maps.Keys(m.wal))[0])
			d.Flushed = raftlog.Batch(e.rng.Uint64N(1 << 30))
		case k == 2:
			d.ReserveIDs = e.next + 100
		case k == 3 && len(ids) > 0:
			d.Delete = append(d.Delete, pick())
		case k <= 5 && len(ids) > 0:
			d.PutHard = append(d.PutHard, Hard{ID: pick(), State: e.hard()})
		case k == 6 && len(ids) > 0:
			d.Put = append(d.Put, e.log(pick()))
		case k == 7 && e.rng.IntN(4) == 0: // an edit of several frames
			for range 70 {
				d.Put = append(d.Put, e.log(e.next))
				e.next++
			}
		default:
			d.Put = append(d.Put, e.log(e.next))
			e.next++
		}
	}
	return d
}

func newFS(t testing.TB) *memfs.FS {
	t.Helper()
	fs := memfs.New(1)
	must(t, fs.MkdirAll(testDir))
	must(t, fs.SyncDir("/"))
	return fs
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustCreate(t testing.TB, fs vfs.FS) *Manifest {
	t.Helper()
	m, err := create(fs, testDir, testStream, testRoom)
	must(t, err)
	return m
}

// reopen opens the manifest, which must be sound.
func reopen(t testing.TB, fs vfs.FS) *Manifest {
	t.Helper()
	m, r, err := open(fs, testDir, testRoom)
	must(t, err)
	if !r.Clean() {
		t.Fatalf("report is not clean: %+v", r)
	}
	return m
}

func check(t testing.TB, m *Manifest, want model) {
	t.Helper()
	if got := modelOf(m); !got.equal(want) {
		t.Fatalf("manifest differs: %s", got.diff(want))
	}
	if m.Len() != len(want.logs) {
		t.Fatalf("Len() = %d, want %d", m.Len(), len(want.logs))
	}
}

func TestEditsAndReopen(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			fs := newFS(t)
			m := mustCreate(t, fs)
			ed, want := newEditor(seed), newModel()
			for range 100 {
				e := ed.edit(want)
				must(t, m.Apply(e))
				want = want.with(e)
				check(t, m, want)
				switch ed.rng.IntN(12) {
				case 0:
					must(t, m.Close())
					m = reopen(t, fs)
				case 1:
					m = reopen(t, fs) // as after a kill
				case 2:
					must(t, m.Rewrite())
				case 3:
					must(t, m.Mark())
				}
				check(t, m, want)
			}
			if names, _ := fs.List(testDir); len(names) > 2 {
				t.Errorf("files left: %v", names)
			}
		})
	}
}
