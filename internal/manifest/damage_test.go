package manifest

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// sample is a small manifest file and what it holds, before and after its last edit.
type sample struct {
	fs           *memfs.FS
	name         string
	file         []byte
	before, want model
}

// makeSample writes an image of the given number of logs, at least 7, and some edits. The
// last one is proven when marked.
func makeSample(t testing.TB, logs raftlog.LogID, marked bool) *sample {
	t.Helper()
	s := &sample{fs: newFS(t), name: testDir + "/" + FileName(2), want: newModel()}
	m, err := create(s.fs, testDir, testStream, 24<<10)
	must(t, err)
	ed := newEditor(5)
	apply := func(e Edit) {
		must(t, m.Apply(e))
		s.before, s.want = s.want, s.want.with(e)
	}
	first := Edit{AddWAL: []uint64{1, 2}, ReserveIDs: 100}
	for id := range logs {
		first.Put = append(first.Put, ed.log(id+1))
	}
	apply(first)
	must(t, m.Rewrite())
	apply(Edit{Delete: []raftlog.LogID{3}, DropWAL: []uint64{1}})
	apply(Edit{PutHard: []Hard{{ID: 4, State: raftlog.HardState{Term: 20, Vote: "x"}}, {ID: 5, State: raftlog.HardState{Term: 9}}}})
	apply(Edit{Put: []Log{ed.log(6), ed.log(71)}, AddWAL: []uint64{3}})
	apply(Edit{Put: []Log{ed.log(72)}, Delete: []raftlog.LogID{7}, NextFile: 9})
	if marked {
		must(t, m.Mark())
	}
	s.file, err = s.fs.ReadFile(s.name)
	must(t, err)
	return s
}

// decode reads a damaged copy of the file.
func (s *sample) decode(file []byte) (*Manifest, Report, error) {
	var r Report
	im, stream, err := decodeFile(file, 2, &r)
	m := &Manifest{stream: stream}
	m.mu.image = im
	return m, r, err
}

// whole returns the model of m, with the damaged logs as their last known values.
func whole(m *Manifest) model {
	got := modelOf(m)
	for _, d := range m.Damaged() {
		if d.Known {
			got.logs[d.ID] = d.Last
		}
	}
	return got
}

func TestEveryFlippedByte(t *testing.T) {
	for _, marked := range []bool{false, true} {
		s := makeSample(t, 7, marked)
		step := 1
		if testing.Short() {
			step = 31
		}
		for i := 0; i < len(s.file); i += step {
			s.flip(t, i, 1<<(i%8), marked)
		}
	}
}

func (s *sample) flip(t *testing.T, i int, bits byte, marked bool) {
	t.Helper()
	s.file[i] ^= bits
	defer func() { s.file[i] ^= bits }()
	m, r, err := s.decode(s.file)
	if err != nil {
		t.Fatalf("byte %d: %v", i, err)
	}
	got := modelOf(m)
	switch {
	case got.equal(s.want) && !r.Unnamed && len(r.Damaged) == 0:
		if r.Clean() && s.file[i]^bits != 0 {
			t.Fatalf("byte %d: not noticed", i)
		}
	case r.Torn && !marked && got.equal(s.before) && len(r.Damaged) == 0 && !r.Unnamed:
	case len(r.Damaged) == 1 && !r.Unnamed:
		id := r.Damaged[0].ID
		want := s.want.with(Edit{Delete: []raftlog.LogID{id}})
		if !got.equal(want) {
			t.Fatalf("byte %d: damage to log %d changed others: %s", i, id, got.diff(want))
		}
	default:
		t.Fatalf("byte %d: %s\n%+v", i, got.diff(s.want), r)
	}
}

func TestEveryTruncation(t *testing.T) {
	s := makeSample(t, 7, true)
	for n := range s.file {
		if _, _, err := s.decode(s.file[:n]); !errors.Is(err, frame.ErrCorrupt) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

// TestLostFrame wipes out each frame, which the next one then names.
func TestLostFrame(t *testing.T) {
	s := makeSample(t, 70, true)
	frames := frame.Scan(s.file, frame.NewIdentity(testStream, 2))
	if len(frames) != 7 {
		t.Fatalf("%d frames", len(frames))
	}
	hit := [][]raftlog.LogID{nil, {65, 66, 67, 68, 69, 70}, {3}, {4, 5}, {6, 71}, {7, 72}, nil}
	for id := range raftlog.LogID(64) {
		hit[0] = append(hit[0], id+1)
	}
	healed := []raftlog.LogID{3, 6, 7} // put or deleted by later edits
	for i, f := range frames {
		file := bytes.Clone(s.file)
		clear(file[f.Block*frame.BlockSize:][:f.Blocks*frame.BlockSize])
		m, r, err := s.decode(file)
		must(t, err)
		var ids []raftlog.LogID
		for _, d := range r.Damaged {
			ids = append(ids, d.ID)
		}
		want := hit[i]
		if i == 0 {
			want = slices.DeleteFunc(slices.Clone(want), func(id raftlog.LogID) bool { return slices.Contains(healed, id) })
		}
		if !slices.Equal(ids, want) || r.Unnamed {
			t.Errorf("frame %d lost: damaged %v, want %v; unnamed %t", i, ids, want, r.Unnamed)
		}
		if got := m.WALFiles(); !slices.Equal(got, []uint64{2, 3}) || m.NextFile() != 9 {
			t.Errorf("frame %d lost: WAL files %v, next %d", i, got, m.NextFile())
		}
	}
}

// TestTwoLostFrames loses also the frame that would name what the first one held.
func TestTwoLostFrames(t *testing.T) {
	s := makeSample(t, 70, true)
	frames := frame.Scan(s.file, frame.NewIdentity(testStream, 2))
	for _, f := range frames[3:5] {
		clear(s.file[f.Block*frame.BlockSize:][:f.Blocks*frame.BlockSize])
	}
	m, r, err := s.decode(s.file)
	must(t, err)
	if !r.Unnamed || len(r.Damaged) != 69 {
		t.Fatalf("unnamed %t, %d damaged", r.Unnamed, len(r.Damaged))
	}
	if l, ok := m.Log(72); !ok || l.ID != 72 {
		t.Error("a log put after the loss is damaged")
	}
}

// TestDamageSurvives reopens twice, and heals by Put, Delete and Repaired.
func TestDamageSurvives(t *testing.T) {
	s := makeSample(t, 70, true)
	frames := frame.Scan(s.file, frame.NewIdentity(testStream, 2))
	for _, f := range frames[3:5] {
		clear(s.file[f.Block*frame.BlockSize:][:f.Blocks*frame.BlockSize])
	}
	must(t, s.fs.WriteFile(s.name, s.file))
	m, first, err := Open(s.fs, testDir)
	must(t, err)
	known := whole(m)
	for range 2 {
		must(t, m.Rewrite())
		must(t, m.Close())
		var r Report
		m, r, err = Open(s.fs, testDir)
		must(t, err)
		if len(r.Damaged) != len(first.Damaged) || !r.Unnamed || !m.Unnamed() || len(r.Faults) > 0 {
			t.Fatalf("after a rewrite: %+v", r)
		}
		if got := whole(m); !got.equal(known) {
			t.Fatalf("last known values changed: %s", got.diff(known))
		}
	}
	must(t, m.Apply(Edit{PutHard: []Hard{{ID: 2, State: raftlog.HardState{Term: 99}}}}))
	if _, ok := m.Log(2); ok {
		t.Error("a hard state healed a damaged log")
	}
	heal := Edit{Repaired: true, Delete: []raftlog.LogID{1}}
	for _, d := range m.Damaged()[1:] {
		if d.Known {
			heal.Put = append(heal.Put, d.Last)
		} else {
			heal.Delete = append(heal.Delete, d.ID)
		}
	}
	must(t, m.Apply(heal))
	must(t, m.Close())
	m = reopen(t, s.fs)
	if l, _ := m.Log(2); l.HardState.Term != 99 || m.Len() != 68 {
		t.Errorf("healed: %d logs, log 2 %+v", m.Len(), l)
	}
}

func TestWholeFileFaults(t *testing.T) {
	s := makeSample(t, 70, true)
	zero := make([]byte, frame.BlockSize)
	headers := bytes.Clone(s.file)
	copy(headers, zero)
	if _, r, err := s.decode(headers); err != nil || len(r.Damaged) > 0 || len(r.Faults) != 1 {
		t.Errorf("one header lost: %v, %+v", err, r)
	}
	copy(headers[frame.BlockSize:], zero)
	for name, file := range map[string][]byte{
		"empty": nil, "no headers": headers, "all zeros": make([]byte, len(s.file)),
		"no frames": append(bytes.Clone(s.file[:2*frame.BlockSize]), make([]byte, len(s.file))...),
	} {
		if _, _, err := s.decode(file); !errors.Is(err, frame.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var r Report
	if _, _, err := decodeFile(s.file, 3, &r); !errors.Is(err, frame.ErrCorrupt) {
		t.Errorf("under another number: %v", err)
	}
}

// TestLastEditWithoutFacts damages both engine records of an edit that nothing proves.
func TestLastEditWithoutFacts(t *testing.T) {
	s := makeSample(t, 7, false)
	frames := frame.Scan(s.file, frame.NewIdentity(testStream, 2))
	f := frames[len(frames)-1]
	at := int(f.Block)*frame.BlockSize + frame.HeaderSize
	s.file[at] ^= 1
	s.file[at+int(f.Body)-1] ^= 1
	m, r, err := s.decode(s.file)
	must(t, err)
	if got := modelOf(m); !r.Torn || len(r.Faults) != 2 || !got.equal(s.before) {
		t.Errorf("%+v: %s", r, got.diff(s.before))
	}
}
