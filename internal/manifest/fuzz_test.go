package manifest

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// FuzzDecodeLog decodes payloads of log records.
func FuzzDecodeLog(f *testing.F) {
	for _, l := range goldenLogs() {
		f.Add(appendLog(nil, &l))
	}
	q := Log{UID: "q", Quarantine: &Quarantine{Lost: raftlog.Range{First: 3, Last: 300}, Reason: "torn"}}
	f.Add(appendLog(nil, &q))
	q.Quarantine = nil
	tooLong := append(appendLog(nil, &q), 3, 4)
	f.Add(appendString(tooLong, strings.Repeat("r", MaxReasonLen+1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeChange(&frame.Record{Kind: kindLog, Index: 1, Payload: b})
		if err == nil && !bytes.Equal(c.appendPayload(nil), b) {
			t.Fatal("decoding then encoding changed the bytes")
		}
		if err != nil && !errors.Is(err, frame.ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

// FuzzDecodeFacts decodes payloads of engine records.
func FuzzDecodeFacts(f *testing.F) {
	f.Add(appendFacts(nil, testStream, facts{nextFile: 9, reserved: 1000, wal: []uint64{1, 7, 8}}))
	f.Add(appendFacts(nil, testStream, facts{nextFile: 9, flushed: 77}))
	f.Add(append(appendFacts(nil, testStream, facts{nextFile: 9}), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := decoder{b: b}
		got := d.facts(testStream)
		if d.finish() == nil && !bytes.Equal(appendFacts(nil, testStream, got), b) {
			t.Fatal("decoding then encoding changed the bytes")
		}
	})
}

// FuzzOpen reads whole files, and edits what it could read.
func FuzzOpen(f *testing.F) {
	golden := readTestdata(f, "manifest-v1")
	f.Add(golden)
	f.Add(withVersion(golden, 2))
	f.Add(makeSample(f, 70, false).file)
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := newFS(t)
		must(t, fs.WriteFile(testDir+"/"+FileName(2), b))
		m, _, err := open(fs, testDir, testRoom)
		if err != nil {
			if !errors.Is(err, frame.ErrCorrupt) && !errors.Is(err, frame.ErrVersion) {
				t.Fatal(err)
			}
			return
		}
		must(t, m.Rewrite())
		again, r, err := open(fs, testDir, testRoom)
		must(t, err)
		if got := modelOf(again); len(r.Faults) > 0 || r.Torn || !got.equal(modelOf(m)) || len(r.Damaged) != len(m.Damaged()) {
			t.Fatalf("rewritten: %+v; %s", r, got.diff(modelOf(m)))
		}
	})
}
