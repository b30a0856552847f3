package engine_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// shipment is a snapshot as its sender sends it.
type shipment struct {
	id     engine.EntryID
	header []byte
	chunks [][]byte
	sums   []engine.ChunkSum
	live   []engine.Entry
	crcs   []uint32
	state  []byte
}

// ship makes a snapshot of log a at some entry: entry i has term terms(i), and those of live live.
func ship(t *testing.T, at engine.Index, term func(engine.Index) engine.Term, stateBytes int, live ...engine.Index) *shipment {
	t.Helper()
	e := openMem(t, memfs.New(9), engine.Options{})
	defer closeEngine(t, e)
	l, err := e.CreateSync(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for i := engine.Index(1); i <= at; i++ {
		if err := l.Append(l.Last(), entries(l.Last(), term(i), 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.AppendSync(t.Context(), l.Last(), entries(l.Last(), l.Last().Term, 1)); err != nil {
		t.Fatal(err)
	}
	s := &shipment{id: engine.EntryID{Term: term(at), Index: at}, state: bytes.Repeat([]byte("state "), stateBytes/6+1)}
	done := make(chan error, 1)
	err = l.Capture(engine.Capture{Kind: engine.KindSnapshot, At: s.id, Context: []byte("context"), Live: seqOf(live...),
		State: func(w io.Writer) error { _, err := w.Write(s.state); return err },
		Done:  func(_ engine.Snapshot, err error) { done <- err }})
	if err == nil {
		err = l.AppendSync(t.Context(), l.Last(), entries(l.Last(), l.Last().Term, 1)) // the record is lazy
	}
	if err != nil {
		t.Fatal(err)
	}
	for waiting := true; waiting; {
		select {
		case err = <-done:
			waiting = false
		default:
			if err := l.AppendSync(t.Context(), l.Last(), entries(l.Last(), l.Last().Term, 1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Restore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s.read(t, l, r)
	return s
}

// read is what a sender does.
func (s *shipment) read(t *testing.T, l *engine.Log, r *engine.SnapshotReader) {
	t.Helper()
	s.header = bytes.Clone(r.Header())
	for n := range r.Chunks() {
		data, sum, err := r.Chunk(n, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.chunks, s.sums = append(s.chunks, data), append(s.sums, sum)
	}
	for i := range r.Live().All() {
		e, err := l.Read(i)
		if err != nil {
			t.Fatal(err)
		}
		e.Data = bytes.Clone(e.Data)
		s.live, s.crcs = append(s.live, e), append(s.crcs, engine.PayloadChecksum(e.Data))
	}
}

func seqOf(is ...engine.Index) (s engine.Seq) {
	for _, i := range is {
		s.Add(i)
	}
	return s
}

// send hands over what is still missing.
func (s *shipment) send(in *engine.Install) error {
	for n := in.Next(); n < len(s.chunks); n++ {
		if err := in.Accept(n, s.chunks[n], s.sums[n]); err != nil {
			return err
		}
	}
	return s.sendLive(in)
}

func (s *shipment) sendLive(in *engine.Install) error {
	lacks, err := in.Live()
	if err != nil {
		return err
	}
	for k, e := range s.live {
		if lacks.Contains(e.Index) {
			if err := in.PutLive(s.live[k:k+1], s.crcs[k:k+1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// install brings a shipment to a log, as one call.
func (s *shipment) install(ctx context.Context, l *engine.Log) error {
	in, err := l.Install(s.header)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := s.send(in); err != nil {
		return err
	}
	_, err = in.Finish(ctx)
	return err
}

// checkInstalled makes sure that the log is what the snapshot says, and behind it has that last entry.
func (s *shipment) checkInstalled(t *testing.T, l *engine.Log, last engine.EntryID) {
	t.Helper()
	if l.First() != s.id.Index+1 || l.Last() != last || l.LastWritten() != last {
		t.Fatalf("log begins at %d, ends at %v, durable %v; want %v to %v", l.First(), l.Last(), l.LastWritten(), s.id, last)
	}
	r, err := l.Restore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	from, err := r.State()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(from); err != nil || !bytes.Equal(b, s.state) || r.Info().ID != s.id {
		t.Fatalf("state of %d bytes at %v, %v; want %d", len(b), r.Info().ID, err, len(s.state))
	}
	for i := engine.Index(1); i <= s.id.Index; i++ {
		k := slices.IndexFunc(s.live, func(e engine.Entry) bool { return e.Index == i })
		e, err := l.Read(i)
		if k < 0 {
			wantErr(t, "read of a released entry", err, engine.ErrCompacted)
		} else if w := s.live[k]; err != nil || e.ID() != w.ID() || !bytes.Equal(e.Data, w.Data) || e.Type != w.Type {
			t.Fatalf("live entry %d: %v %q, %v; want %v %q", i, e.ID(), e.Data, err, w.ID(), w.Data)
		}
	}
	checkRange(t, l, s.id.Index+1, last.Index, last.Term)
}

func always(t engine.Term) func(engine.Index) engine.Term {
	return func(engine.Index) engine.Term { return t }
}

// receiver opens an engine with a log a of n entries of term 1, flushed or not.
func receiverLog(t *testing.T, fs vfs.FS, n int, flushed bool) (*engine.Engine, *engine.Log) {
	t.Helper()
	e, err := engine.OpenOn(fs, "/db", small())
	if err != nil {
		t.Fatal(err)
	}
	l, err := e.CreateSync(t.Context(), "a")
	if err == nil && n > 0 {
		err = l.AppendSync(t.Context(), engine.EntryID{}, entries(engine.EntryID{}, 1, n))
	}
	if err == nil && flushed {
		err = e.Flush(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return e, l
}

// TestInstall installs over logs of all shapes, and looks at them at once, after a reopen, after a flush and
// after both.
func TestInstall(t *testing.T) {
	live := []engine.Index{2, 3, 7, 19, 20, 30}
	for _, tc := range []struct {
		name string
		have int // entries of term 1
		term engine.Term
		live []engine.Index
		kept bool // what follows the snapshot
	}{
		{"empty", 0, 1, live, false},
		{"shorter", 12, 2, live, false},
		{"diverged", 30, 2, live, false},
		{"diverged and longer", 60, 2, live, false},
		{"longer", 60, 1, live, true},
		{"equal", 30, 1, live, true},
		{"no live entries", 60, 2, nil, false},
		{"all live", 60, 2, []engine.Index{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, false},
	} {
		for _, flushed := range []bool{false, true} {
			t.Run(tc.name, func(t *testing.T) {
				s := ship(t, 30, always(tc.term), 100, tc.live...)
				m := memfs.New(1)
				e, l := receiverLog(t, m, tc.have, flushed)
				if err := s.install(t.Context(), l); err != nil {
					t.Fatal(err)
				}
				last := s.id
				if tc.kept {
					last = engine.EntryID{Term: 1, Index: max(30, engine.Index(tc.have))}
				}
				s.checkInstalled(t, l, last)
				reopen := func() {
					t.Helper()
					closeEngine(t, e)
					m = m.Crash(memfs.CrashOptions{})
					e = openMem(t, m, small())
					var err error
					if l, err = e.Log("a"); err != nil {
						t.Fatal(err)
					}
					s.checkInstalled(t, l, last)
				}
				reopen()
				if err := l.AppendSync(t.Context(), last, entries(last, last.Term, 40)); err != nil {
					t.Fatal(err)
				}
				last = l.Last()
				s.checkInstalled(t, l, last)
				reopen()
				if err := e.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				s.checkInstalled(t, l, last)
				reopen()
				if err := s.install(t.Context(), l); err == nil {
					t.Fatal("the same snapshot was installed twice")
				}
				closeEngine(t, e)
			})
		}
	}
}
