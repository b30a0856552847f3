package manifest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// goldenLogs are the logs of testdata/manifest-v1, which never changes.
func goldenLogs() []Log {
	return []Log{
		{
			ID: 1, UID: "first-log_1", HardState: raftlog.HardState{Term: 7, Vote: "node-2"},
			Applied: 900, Released: raftlog.EntryID{Term: 6, Index: 500},
			Last: raftlog.EntryID{Term: 7, Index: 10_000}, AsOf: 123_456_789, NextSegment: 4,
			Segments: []raftlog.Segment{
				{Number: 1, Bytes: 4 << 20, Entries: 4096, Range: raftlog.Range{First: 501, Last: 4596}},
				{Number: 3, Bytes: 123_457, Entries: 77, Range: raftlog.Range{First: 4600, Last: 10_000}},
			},
		},
		{ID: 3, UID: "c", HardState: raftlog.HardState{Term: 1 << 40}, AsOf: 1},
	}
}

// writeGolden makes the directory whose manifest is the golden file: every kind of record
// is in it.
func writeGolden(t *testing.T) []byte {
	t.Helper()
	fs := newFS(t)
	m, err := create(fs, testDir, testStream, 16<<10)
	must(t, err)
	logs := goldenLogs()
	lost := logs[1]
	lost.ID, lost.UID = 4, "lost"
	must(t, m.Apply(Edit{Put: []Log{logs[0], {ID: 2, UID: "gone"}, logs[1]}, AddWAL: []uint64{1, 2, 300}, ReserveIDs: 1000}))
	m.mu.image.damaged[4] = &Damaged{ID: 4, Known: true, Last: lost}
	m.mu.image.damaged[5] = &Damaged{ID: 5}
	m.mu.image.unnamed = true
	must(t, m.Rewrite())
	must(t, m.Apply(Edit{Delete: []raftlog.LogID{2}, DropWAL: []uint64{1}}))
	must(t, m.Apply(Edit{PutHard: []Hard{{ID: 3, State: raftlog.HardState{Term: 1<<40 + 1, Vote: "me"}}}}))
	must(t, m.Close())
	b, err := fs.ReadFile(testDir + "/" + FileName(2))
	must(t, err)
	return b
}

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	must(t, err)
	return b
}

func TestGolden(t *testing.T) {
	golden := readTestdata(t, "manifest-v1")
	if !bytes.Equal(writeGolden(t), golden) {
		t.Error("the format changed: the same edits give other bytes than version 1 froze")
	}
	fs := newFS(t)
	must(t, fs.WriteFile(testDir+"/"+FileName(2), golden))
	m, r, err := Open(fs, testDir)
	must(t, err)
	logs := goldenLogs()
	lost := logs[1]
	lost.ID, lost.UID = 4, "lost"
	logs[1].HardState = raftlog.HardState{Term: 1<<40 + 1, Vote: "me"}
	var got []Log
	for l := range m.Logs() {
		got = append(got, l)
	}
	if !reflect.DeepEqual(got, logs) {
		t.Errorf("logs\n got %+v\nwant %+v", got, logs)
	}
	want := Report{
		File: FileName(2), Frames: 4, Unnamed: true,
		Damaged: []Damaged{{ID: 4, Known: true, Last: lost}, {ID: 5}},
	}
	if !reflect.DeepEqual(r, want) || !reflect.DeepEqual(m.Damaged(), want.Damaged) {
		t.Errorf("report\n got %+v\nwant %+v", r, want)
	}
	if m.Stream() != testStream || m.NextFile() != 301 || m.ReservedIDs() != 1000 ||
		!reflect.DeepEqual(m.WALFiles(), []uint64{2, 300}) || !m.Unnamed() {
		t.Errorf("engine facts: %+v", m.mu.image.facts)
	}
}

// withVersion returns the file with another version in its sound headers.
func withVersion(file []byte, version uint32) []byte {
	file = bytes.Clone(file)
	for i := range headerBlocks {
		b := file[i*frame.BlockSize:][:frame.BlockSize]
		binary.LittleEndian.PutUint32(b[8:], version)
		binary.LittleEndian.PutUint32(b[frame.BlockSize-4:], frame.Checksum(b[:frame.BlockSize-4]))
	}
	return file
}

func TestNewerVersion(t *testing.T) {
	newer := withVersion(readTestdata(t, "manifest-v1"), 2)
	fs := newFS(t)
	must(t, fs.WriteFile(testDir+"/"+FileName(2), newer))
	if _, _, err := Open(fs, testDir); !errors.Is(err, frame.ErrVersion) || errors.Is(err, frame.ErrCorrupt) {
		t.Errorf("newer version: %v", err)
	}
	newer[0] ^= 1 // the copy still tells
	must(t, fs.WriteFile(testDir+"/"+FileName(2), newer))
	if _, _, err := Open(fs, testDir); !errors.Is(err, frame.ErrVersion) {
		t.Errorf("newer version with one header lost: %v", err)
	}
}

// TestUnknownKinds gives the reader records of kinds that a newer program might write.
func TestUnknownKinds(t *testing.T) {
	for kind, want := range map[frame.Kind]error{9: frame.ErrVersion, 9 | frame.Optional: nil} {
		h := frame.FileHeader{Kind: frame.ManifestFile, Stream: testStream, Number: 1}
		d := delta{facts: newImage().facts, changes: []change{{kind: kind, id: 8}}}
		b, size, _ := encodeFile(h, d, func(int64) int64 { return 0 })
		var r Report
		if _, _, err := decodeFile(b[:size], 1, &r); !errors.Is(err, want) {
			t.Errorf("kind %#x: %v, want %v", kind, err, want)
		}
	}
}

func TestNewestWins(t *testing.T) {
	fs := newFS(t)
	must(t, fs.WriteFile(testDir+"/"+FileName(2), readTestdata(t, "manifest-v1")))
	must(t, fs.WriteFile(testDir+"/"+FileName(1), []byte("older")))
	must(t, fs.WriteFile(testDir+"/"+FileName(3)+tempSuffix, []byte("unfinished")))
	must(t, fs.WriteFile(testDir+"/manifest-2", []byte("not a manifest's name")))
	m, _, err := Open(fs, testDir)
	must(t, err)
	must(t, m.Rewrite())
	must(t, m.Close())
	names, err := fs.List(testDir)
	must(t, err)
	want := []string{FileName(2), FileName(4), "manifest-2"}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
	// A damaged newest one is no reason to fall back in silence.
	must(t, fs.WriteFile(testDir+"/"+FileName(4), make([]byte, 40960)))
	if _, _, err := Open(fs, testDir); !errors.Is(err, frame.ErrCorrupt) {
		t.Errorf("damaged newest: %v", err)
	}
}
