package wal

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

func TestRecoverMissingFile(t *testing.T) {
	im, _ := recSample()
	for _, f := range im.files {
		fs := im.fs()
		delete(fs.files, FileName("wal", f.number))
		_, err := recRun(fs, im.numbers(), nil)
		var missing *MissingError
		if !errors.Is(err, ErrMissingWAL) || !errors.As(err, &missing) || missing.Number != f.number || missing.Foreign {
			t.Fatalf("file %x: %v", f.number, err)
		}
	}
}

func TestRecoverForeignFile(t *testing.T) {
	for name, h := range map[string]frame.FileHeader{
		"stream": {Kind: frame.WALFile, Stream: recStream + 1, Number: 0x12},
		"number": {Kind: frame.WALFile, Stream: recStream, Number: 0x13},
		"kind":   {Kind: frame.ManifestFile, Stream: recStream, Number: 0x12},
	} {
		im, _ := recSample()
		h.Encode(im.files[1].data)
		_, err := recRun(im.fs(), im.numbers(), nil)
		var missing *MissingError
		if !errors.As(err, &missing) || missing.Number != 0x12 || !missing.Foreign {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// TestRecoverDamagedHeader: frames verify without the header block of their file.
func TestRecoverDamagedHeader(t *testing.T) {
	im, _ := recSample()
	for _, f := range im.files {
		clear(f.data[:frame.BlockSize])
	}
	got := recMust(t, im, nil)
	recSame(t, got.logs, recWantOf(im.frames, nil))
	for _, f := range got.report.Files {
		if !errors.Is(f.HeaderErr, frame.ErrMagic) {
			t.Fatalf("%+v", f)
		}
	}
}

// TestRecoverUnordered: the numbers may come in any order and more than once.
func TestRecoverUnordered(t *testing.T) {
	im, _ := recSample()
	numbers := append(im.numbers(), im.numbers()...)
	slices.Reverse(numbers)
	got, err := recRun(im.fs(), numbers, nil)
	if err != nil {
		t.Fatal(err)
	}
	recSame(t, got.logs, recWantOf(im.frames, nil))
	if n := len(got.report.Files); n != 4 {
		t.Fatalf("%d files reported", n)
	}
}

// TestRecoverOrder: files end in order, the tail comes last of all.
func TestRecoverOrder(t *testing.T) {
	im, _ := recSample()
	got := recMust(t, im, nil)
	var order []string
	for _, line := range got.script {
		switch {
		case strings.HasPrefix(line, "file"):
			order = append(order, line)
		case strings.HasSuffix(line, "tail"):
			order = append(order, "tail")
		}
	}
	want := []string{"file 11 1-5", "file 12 6-9", "file 14 10-11", "tail", "tail"}
	if !slices.Equal(order, want) {
		t.Fatalf("%q", order)
	}
	r := got.report
	if r.LastDurable != 11 || r.NextBatch != 12 || r.TailFirst != 12 || r.TailLast != 12 || r.Records != 27 || r.Entries != 19 {
		t.Fatalf("%+v", r)
	}
}

// TestRecoverNothing: no files, or none that was used.
func TestRecoverNothing(t *testing.T) {
	im := newRecImage()
	for range 2 {
		got := recMust(t, im, func(o *RecoverOptions) { o.Flushed = 41 })
		if len(got.script) != 0 || got.report.LastDurable != 41 || got.report.NextBatch != 42 {
			t.Fatalf("%+v", got)
		}
		im.file(3, 0, 5, nil)
		im.file(4, 0, 5, nil)
	}
}

// TestRecoverFailedTwice: two files fail at the same batch, the third one has it.
func TestRecoverFailedTwice(t *testing.T) {
	im := newRecImage()
	a := im.file(1, 1, 6, nil)
	a.put(1, recEntry(1, 1, 1, "first"))
	lost := recEntry(1, 2, 1, "copy")
	first := a.put(2, lost)
	second := im.file(2, 2, 5, nil).put(2, lost)
	im.file(3, 2, 5, nil) // its write left no trace
	c := im.file(4, 2, 5, nil)
	c.put(2, lost)
	c.put(3, recEntry(1, 3, 1, "third"))
	whole := recWantOf(slices.DeleteFunc(slices.Clone(im.frames), func(f *recTestFrame) bool { return f == first || f == second }), nil)
	got := recMust(t, im, nil)
	recSame(t, got.logs, whole)
	if got.report.Superseded != 2 || len(got.lost) != 0 || got.report.LastDurable != 2 {
		t.Fatalf("%+v", got.report)
	}

	// The last copy is torn: the one before it is as good.
	c.data[c.image.frames[3].begin()] ^= 1
	clear(c.data[2*frame.BlockSize:])
	got = recMust(t, im, nil)
	recSame(t, got.logs, recWantOf(im.frames[:2], nil))
	if r := got.report; len(got.tail[1]) != 1 || r.Superseded != 1 || len(r.Torn) != 1 || r.Torn[0].File != 4 {
		t.Fatalf("%+v", r)
	}
}

// TestRecoverWipedFile: a file whose frames are all gone is missed by its neighbours' batches.
func TestRecoverWipedFile(t *testing.T) {
	im, _ := recSample()
	for i, f := range im.files[:2] {
		saved := slices.Clone(f.data)
		clear(f.data[frame.BlockSize:])
		got := recMust(t, im, nil)
		if err := im.recJudge(got); err != nil {
			t.Fatal(err)
		}
		if !got.report.UnknownLogs || !slices.Equal(got.lostIDs(), []raftlog.LogID{1, 2, 3, 4, 77}) {
			t.Fatalf("%+v", got)
		}
		flushed := recMust(t, im, func(o *RecoverOptions) { o.Flushed = 5 })
		// Log 3 has an entry of which a part was in the first file.
		if clean := slices.Equal(flushed.lostIDs(), []raftlog.LogID{3}); clean != (i == 0) {
			t.Fatalf("file %d, 5 batches flushed: %v", i, flushed.script)
		}
		copy(f.data, saved)
	}
}

// TestRecoverLostDeclaration: records of a number that nobody explains stand for unknown logs,
// which are those that the file does not declare otherwise.
func TestRecoverLostDeclaration(t *testing.T) {
	im, _ := recSample()
	fr := im.frames[2] // declares log 3
	clear(fr.bytes())
	got := recMust(t, im, nil)
	if err := im.recJudge(got); err != nil {
		t.Fatal(err)
	}
	if got.hit = slices.Compact(slices.Sorted(slices.Values(got.hit))); !got.report.UnknownLogs || !slices.Equal(got.hit, []raftlog.LogID{1, 2, 3, 4, 77}) {
		t.Fatalf("hit %v", got.hit)
	}
	// A log that is declared only behind the damage cannot be hit.
	im, _ = recSample()
	clear(im.frames[1].bytes())
	got = recMust(t, im, nil)
	if slices.Contains(got.lostIDs(), 3) || !slices.Contains(got.lostIDs(), 1) {
		t.Fatalf("hit %v", got.lostIDs())
	}
}

// TestRecoverSkip: what the manifest holds is neither visited nor lost.
func TestRecoverSkip(t *testing.T) {
	im, _ := recSample()
	clear(im.frames[1].bytes())
	asked := map[raftlog.LogID]int{}
	got := recMust(t, im, func(o *RecoverOptions) {
		o.Skip = func(id raftlog.LogID) raftlog.Batch {
			asked[id]++
			return map[raftlog.LogID]raftlog.Batch{1: 9, 2: 2, 77: 9}[id]
		}
	})
	for id, n := range asked {
		if n != 1 {
			t.Errorf("log %d: asked %d times", id, n)
		}
	}
	if !slices.Equal(got.lostIDs(), []raftlog.LogID{2, 4}) { // batch 2 declared 2, or perhaps 4
		t.Errorf("hit %v", got.lostIDs())
	}
	if want := recWantOf(im.frames, nil)[1]; len(got.logs[1]) != 2 || !slices.Equal(got.logs[1], want[len(want)-2:]) {
		t.Errorf("log 1: %v", got.logs[1])
	}
	if got.report.Skipped == 0 {
		t.Errorf("%+v", got.report)
	}
}

// TestRecoverUnknownKind: a kind that may be skipped is, any other refuses the file.
func TestRecoverUnknownKind(t *testing.T) {
	for _, tail := range []bool{false, true} {
		for _, op := range []recOp{
			{id: 1, kind: 99}, {id: 1, kind: KindEntry, flags: 0x40}, {id: 1, kind: frame.Optional | 99},
		} {
			im := newRecImage()
			f := im.file(1, 1, 5, nil)
			f.put(1, op, recEntry(1, 1, 1, "x"))
			if !tail {
				f.put(2)
			}
			got, err := recRun(im.fs(), im.numbers(), nil)
			if op.kind.MustUnderstand() {
				if !errors.Is(err, frame.ErrVersion) || errors.Is(err, frame.ErrCorrupt) || !strings.Contains(err.Error(), "0000000000000001") {
					t.Errorf("kind %d: %v", op.kind, err)
				}
			} else if err != nil || got.report.Ignored != 1 || len(got.logs[1]) != 1 {
				t.Errorf("kind %d: %v, %+v", op.kind, err, got)
			}
		}
	}
}
