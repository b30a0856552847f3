package engine_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
)

var installedAt = engine.EntryID{Term: 7, Index: 500}

// installSample is a record with two segments of live entries, over a quarantined log.
func installSample(t testing.TB) []byte {
	t.Helper()
	b, err := engine.EncodeInstall(engine.Snapshot{Kind: engine.KindSnapshot, ID: installedAt, Bytes: 1 << 20, Live: 40}, []engine.Segment{
		{Number: 1<<63 + 5, Bytes: 8192, Entries: 30, Range: engine.Range{First: 3, Last: 90}},
		{Number: 1<<63 + 6, Bytes: 4096, Entries: 10, Range: engine.Range{First: 200, Last: 500}},
	}, true)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestInstallRecordGolden keeps the bytes of a record of the first version.
func TestInstallRecordGolden(t *testing.T) {
	want, err := os.ReadFile("testdata/install-record-v1.hex")
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(installSample(t)); got != strings.TrimSpace(string(want)) {
		t.Fatalf("record is\n%s, golden\n%s", got, want)
	}
}

func TestInstallRecordRefusals(t *testing.T) {
	b := installSample(t)
	for n := range b {
		if _, _, err := engine.DecodeInstall(b[:n], installedAt); !errors.Is(err, engine.ErrCorrupt) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	_, _, err := engine.DecodeInstall(append(bytes.Clone(b), 0), installedAt)
	wantErr(t, "trailing byte", err, engine.ErrCorrupt)
	_, _, err = engine.DecodeInstall(b, engine.EntryID{Term: 7, Index: 499})
	wantErr(t, "live entries above the snapshot", err, engine.ErrCorrupt)
	b[0] |= 2
	_, _, err = engine.DecodeInstall(b, installedAt)
	wantErr(t, "flags of a later version", err, engine.ErrVersion)
	_, err = engine.EncodeInstall(engine.Snapshot{ID: installedAt, Live: 1}, make([]engine.Segment, 1000), false)
	wantErr(t, "too many segments", err, engine.ErrTooLarge)
}

func FuzzInstallRecord(f *testing.F) {
	f.Add(installSample(f))
	f.Add([]byte{0, 10, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		again, segments, err := engine.DecodeInstall(b, installedAt)
		if errors.Is(err, engine.ErrTooLarge) {
			return
		}
		if err == nil && !bytes.Equal(again, b) {
			t.Fatal("decoding then encoding changed the bytes")
		}
		for _, s := range segments {
			if s.Range.Empty() || s.Range.Last > installedAt.Index {
				t.Fatalf("segment %+v", s)
			}
		}
	})
}
