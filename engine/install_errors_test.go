package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestInstallRefusals hands over what is wrong in every way there is; the install goes on after each.
func TestInstallRefusals(t *testing.T) {
	s := ship(t, 30, always(2), 3<<20, 5, 9)
	other := ship(t, 31, always(2), 3<<20)
	e, l := receiverLog(t, memfs.New(1), 60, false)
	defer closeEngine(t, e)
	flipped := bytes.Clone(s.header)
	flipped[len(flipped)/2] ^= 1
	_, err := l.Install(flipped)
	wantErr(t, "flipped header", err, engine.ErrCorrupt)
	in, err := l.Install(s.header)
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Install(other.header)
	wantErr(t, "second install", err, engine.ErrSnapshotRunning)
	err = l.Capture(engine.Capture{Kind: engine.KindSnapshot, At: engine.EntryID{Term: 1, Index: 5}, State: noState})
	wantErr(t, "capture beside an install", err, engine.ErrSnapshotRunning)
	wantErr(t, "release beside an install", l.Release(3), engine.ErrSnapshotRunning)

	bad := bytes.Clone(s.chunks[0])
	bad[100] ^= 1
	wantErr(t, "flipped chunk", in.Accept(0, bad, s.sums[0]), engine.ErrCorrupt)
	wantErr(t, "short chunk", in.Accept(0, bad[:10], s.sums[0]), engine.ErrCorrupt)
	wantErr(t, "later chunk", in.Accept(1, s.chunks[1], s.sums[1]), engine.ErrChunkOrder)
	wantErr(t, "chunk below 0", in.Accept(-1, s.chunks[1], s.sums[1]), engine.ErrChunkOrder)
	wantErr(t, "foreign chunk", in.Accept(0, other.chunks[0], other.sums[0]), engine.ErrOtherSnapshot)
	for range 2 {
		wantErr(t, "chunk", in.Accept(0, s.chunks[0], s.sums[0]), nil)
	}
	_, err = in.Finish(t.Context())
	wantErr(t, "finish without all chunks", err, engine.ErrChunkMissing)
	for n := range s.chunks {
		wantErr(t, "chunk", in.Accept(n, s.chunks[n], s.sums[n]), nil)
	}
	if in.Next() != in.Chunks() || in.Info().ID != s.id || string(in.Context()) != "context" {
		t.Fatalf("next %d of %d, info %+v", in.Next(), in.Chunks(), in.Info())
	}
	refuseLive(t, s, in)
	wantErr(t, "live entries", in.PutLive(s.live, s.crcs), nil)
	wantErr(t, "live entries again", in.PutLive(s.live, s.crcs), engine.ErrChunkOrder)
	_, err = in.Finish(canceled())
	wantErr(t, "canceled", err, context.Canceled)
	got, err := in.Finish(t.Context())
	wantErr(t, "finish", err, nil)
	if list := l.Snapshots(); len(list) != 1 || list[0] != got {
		t.Fatalf("snapshots %v, installed %v", list, got)
	}
	s.checkInstalled(t, l, s.id)
	wantErr(t, "accept after the end", in.Accept(0, s.chunks[0], s.sums[0]), engine.ErrInstallEnded)
	wantErr(t, "live after the end", in.PutLive(s.live, s.crcs), engine.ErrInstallEnded)
	_, err = in.Finish(t.Context())
	wantErr(t, "finish after the end", err, engine.ErrInstallEnded)
	wantErr(t, "abort and close after the end", errors.Join(in.Abort(), in.Close()), nil)
	_, err = l.Install(s.header)
	wantErr(t, "install of the same", err, engine.ErrSnapshotOld)
	_, err = l.Install(ship(t, 20, always(2), 10).header)
	wantErr(t, "install of an older one", err, engine.ErrSnapshotOld)
}

func refuseLive(t *testing.T, s *shipment, in *engine.Install) {
	t.Helper()
	_, err := in.Finish(t.Context())
	wantErr(t, "finish without live entries", err, engine.ErrLiveMissing)
	if lacks, err := in.Live(); err != nil || lacks.Len() != 2 {
		t.Fatalf("lacks %v, %v", lacks, err)
	}
	one := func(change func(*engine.Entry)) []engine.Entry {
		e := s.live[0]
		change(&e)
		return []engine.Entry{e}
	}
	wantErr(t, "dead entry", in.PutLive(one(func(e *engine.Entry) { e.Index++ }), s.crcs[:1]), engine.ErrOutOfRange)
	wantErr(t, "term of the future", in.PutLive(one(func(e *engine.Entry) { e.Term = 3 }), s.crcs[:1]), engine.ErrGap)
	wantErr(t, "flipped entry", in.PutLive(one(func(e *engine.Entry) { e.Data = []byte("x") }), s.crcs[:1]), engine.ErrCorrupt)
	wantErr(t, "an entry left out", in.PutLive(s.live[1:], s.crcs[1:]), engine.ErrLiveMissing)
	wantErr(t, "no sums", in.PutLive(s.live, nil), engine.ErrOptions)
}

// TestInstallKeepsCommitted refuses to replace what is committed or applied.
func TestInstallKeepsCommitted(t *testing.T) {
	s := ship(t, 30, always(2), 10)
	e, l := receiverLog(t, memfs.New(1), 60, false)
	defer closeEngine(t, e)
	wantErr(t, "commit", l.SetCommitted(30), nil)
	_, err := l.Install(s.header)
	wantErr(t, "over committed entries", err, engine.ErrCommitted)
	wantErr(t, "applied", l.SetApplied(31), nil)
	_, err = l.Install(s.header)
	wantErr(t, "over applied entries", err, engine.ErrSnapshotOld)
}

// TestInstallUsesOwnEntries asks for those live entries only that the log lacks, or may have otherwise.
func TestInstallUsesOwnEntries(t *testing.T) {
	term := func(i engine.Index) engine.Term { return 1 + engine.Term(i/20) }
	s := ship(t, 30, term, 10, 2, 8, 15, 25)
	e, l := receiverLog(t, memfs.New(1), 60, true)
	defer closeEngine(t, e)
	wantErr(t, "commit", l.SetCommitted(8), nil)
	in, err := l.Install(s.header)
	if err != nil {
		t.Fatal(err)
	}
	if lacks, err := in.Live(); err != nil || !lacks.Equal(seqOf(15, 25)) {
		t.Fatalf("lacks %v, %v", lacks, err)
	}
	wantErr(t, "send", s.send(in), nil)
	_, err = in.Finish(t.Context())
	wantErr(t, "finish", err, nil)
	if l.Committed() != 30 {
		t.Fatalf("committed %d", l.Committed())
	}
	s.checkInstalled(t, l, s.id)
}

// TestInstallResumes interrupts a transfer by Close, by an abort, and by the end of the engine.
func TestInstallResumes(t *testing.T) {
	s := ship(t, 30, always(2), 3<<20, 5, 9)
	m := memfs.New(1)
	e, l := receiverLog(t, m, 60, true)
	begin := func(next int) *engine.Install {
		t.Helper()
		in, err := l.Install(s.header)
		if err != nil {
			t.Fatal(err)
		}
		if in.Next() != next {
			t.Fatalf("goes on with chunk %d, want %d", in.Next(), next)
		}
		return in
	}
	in := begin(0)
	wantErr(t, "chunk", in.Accept(0, s.chunks[0], s.sums[0]), nil)
	wantErr(t, "live entries", s.sendLive(in), nil)
	wantErr(t, "close", in.Close(), nil)
	in = begin(1)
	wantErr(t, "chunk", in.Accept(1, s.chunks[1], s.sums[1]), nil)
	wantErr(t, "close", in.Close(), nil)
	closeEngine(t, e)
	e = openMem(t, m, small())
	var err error
	if l, err = e.Log("a"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "flush", e.Flush(t.Context()), nil)
	in = begin(2)
	checkRange(t, l, 1, 60, 1)
	wantErr(t, "abort", in.Abort(), nil)
	in = begin(0)
	wantErr(t, "send", s.send(in), nil)
	wantErr(t, "close", in.Close(), nil)
	in = begin(len(s.chunks))
	wantErr(t, "live entries", s.sendLive(in), nil)
	_, err = in.Finish(t.Context())
	wantErr(t, "finish", err, nil)
	s.checkInstalled(t, l, s.id)
	closeEngine(t, e)
}

// TestInstallEndsQuarantine installs over a damaged log, which goes on from there, also after reopening.
func TestInstallEndsQuarantine(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		s := ship(t, 30, always(2), 10, 5, 9)
		m := damagedLog(t, engine.Options{WALFileBytes: 1 << 20})
		e := openMem(t, m, small())
		l, err := e.Log("a")
		if err != nil {
			t.Fatal(err)
		}
		wantErr(t, "append", l.Append(l.Last(), nil), engine.ErrQuarantined)
		if flushed {
			wantErr(t, "flush", e.Flush(t.Context()), nil)
		}
		if err := s.install(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		s.checkInstalled(t, l, s.id)
		for range 3 {
			if err := l.AppendSync(t.Context(), l.Last(), entries(l.Last(), 3, 10)); err != nil {
				t.Fatal(err)
			}
			last := l.Last()
			closeEngine(t, e)
			m = m.Crash(memfs.CrashOptions{})
			e = openMem(t, m, small())
			if l, err = e.Log("a"); err != nil {
				t.Fatal(err)
			}
			s.checkInstalled(t, l, last)
			wantErr(t, "flush", e.Flush(t.Context()), nil)
			s.checkInstalled(t, l, last)
		}
		closeEngine(t, e)
	}
}

// TestInstallAnswersWaiters replaces a log whose newest entries are not durable: who waits for them hears it.
func TestInstallAnswersWaiters(t *testing.T) {
	s := ship(t, 5, always(2), 10)
	d := openDriven(t, memfs.New(1), small())
	l, err := d.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	go func() {
		waiting <- l.AppendSync(context.Background(), engine.EntryID{}, entries(engine.EntryID{}, 1, 9))
	}()
	for l.Last().Index == 0 { // until it is queued
		runtime.Gosched()
	}
	in, err := l.Install(s.header)
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, "send", s.send(in), nil)
	_, err = in.Finish(&ending{Context: canceled()})
	wantErr(t, "finish", err, context.Canceled)
	wantErr(t, "append", <-waiting, engine.ErrTruncated)
	if l.LastWritten().Index != 0 || l.Last() != s.id || l.First() != 6 {
		t.Fatalf("written %v, last %v, first %d", l.LastWritten(), l.Last(), l.First())
	}
	_, err = l.Read(3)
	wantErr(t, "read of the old log", err, engine.ErrCompacted)
	d.drain(t, "commit", "pool", "flush")
	s.checkInstalled(t, l, s.id)
	wantErr(t, "close", d.Close(t.Context()), nil)
}

// TestBootstrap opens a log's newest snapshot and what follows it.
func TestBootstrap(t *testing.T) {
	e, l := receiverLog(t, memfs.New(1), 10, false)
	defer closeEngine(t, e)
	_, _, err := e.Bootstrap("b", engine.ReaderOptions{})
	wantErr(t, "unknown log", err, engine.ErrNotFound)
	follow := func(snapshot, last engine.Index) {
		t.Helper()
		wantErr(t, "commit", l.SetCommitted(last), nil)
		s, r, err := e.Bootstrap("a", engine.ReaderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if s != nil {
			defer s.Close()
		}
		if (s == nil) != (snapshot == 0) || s != nil && s.Info().ID.Index != snapshot {
			t.Fatalf("snapshot %+v", s)
		}
		next := snapshot + 1
		for entry, err := range r.Entries(t.Context()) {
			if err != nil || entry.Index != next {
				t.Fatalf("entry %v, %v, want %d", entry.ID(), err, next)
			}
			next++
		}
		if next != last+1 {
			t.Fatalf("ends before %d, want %d", next, last+1)
		}
	}
	follow(0, 10)
	s := ship(t, 30, always(1), 10)
	wantErr(t, "install", s.install(t.Context(), l), nil)
	wantErr(t, "append", l.AppendSync(t.Context(), s.id, entries(s.id, 1, 4)), nil)
	follow(30, 34)
	wantErr(t, "release", l.Release(32), nil)
	_, _, err = e.Bootstrap("a", engine.ReaderOptions{})
	var gap *engine.GapError
	if !errors.As(err, &gap) || gap.Want != 31 {
		t.Fatalf("bootstrap from a log released beyond its snapshot: %v", err)
	}
}

func noState(io.Writer) error { return nil }

// TestInstallBesideReaders reads a log while it is replaced: every read has the bytes of the old log or of the
// new one, or says that the entry is released.
func TestInstallBesideReaders(t *testing.T) {
	s := ship(t, 30, always(2), 10, 5, 9, 28)
	e, l := receiverLog(t, memfs.New(1), 60, true)
	defer closeEngine(t, e)
	stop, failed := make(chan struct{}), make(chan error, 4)
	for range cap(failed) {
		go func() {
			for i := engine.Index(1); ; i = i%70 + 1 {
				got, err := l.Read(i)
				want := string(fmt.Appendf(nil, "%d/%d", got.Term, i))
				if err == nil && (string(got.Data) != want || got.Term > 3) {
					failed <- fmt.Errorf("entry %v is %q", got.ID(), got.Data)
					return
				}
				if err != nil && !errors.Is(err, engine.ErrCompacted) && !errors.Is(err, engine.ErrOutOfRange) {
					failed <- err
					return
				}
				select {
				case <-stop:
					failed <- nil
					return
				default:
				}
			}
		}()
	}
	wantErr(t, "install", s.install(t.Context(), l), nil)
	wantErr(t, "append", l.AppendSync(t.Context(), s.id, entries(s.id, 3, 30)), nil)
	wantErr(t, "flush", e.Flush(t.Context()), nil)
	close(stop)
	for range cap(failed) {
		wantErr(t, "reader", <-failed, nil)
	}
	s.checkInstalled(t, l, engine.EntryID{Term: 3, Index: 60})
}
