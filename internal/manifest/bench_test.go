package manifest

import (
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// manyLogs returns the logs of a large engine with short names.
func manyLogs(n int) []Log {
	logs := make([]Log, n)
	for i := range logs {
		logs[i] = Log{
			ID: raftlog.LogID(i + 1), UID: raftlog.UID(fmt.Sprintf("group-%05d", i)),
			HardState: raftlog.HardState{Term: 12, Vote: "node-1"}, Applied: 100_000,
			Released: raftlog.EntryID{Term: 11, Index: 99_000}, Last: raftlog.EntryID{Term: 12, Index: 100_010},
			AsOf: 5_000_000, NextSegment: 30,
			Segments: []raftlog.Segment{
				{Number: 28, Bytes: 1 << 20, Entries: 4096, Range: raftlog.Range{First: 99_001, Last: 99_900}},
				{Number: 29, Bytes: 1 << 17, Entries: 110, Range: raftlog.Range{First: 99_901, Last: 100_010}},
			},
		}
	}
	return logs
}

// TestSizeOfImage holds 10,000 logs to 2 MiB.
func TestSizeOfImage(t *testing.T) {
	fs := newFS(t)
	m, err := Create(fs, testDir, testStream)
	must(t, err)
	must(t, m.Apply(Edit{Put: manyLogs(10_000)}))
	if image := int64(m.writer.tail.block) * 4096; image > 2<<20 {
		t.Errorf("image of %d bytes", image)
	}
	must(t, m.Close())
}

func BenchmarkOpen10000(b *testing.B) {
	fs := newFS(b)
	m, err := Create(fs, testDir, testStream)
	must(b, err)
	must(b, m.Apply(Edit{Put: manyLogs(10_000)}))
	must(b, m.Close())
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Open(fs, testDir); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRewrite10000(b *testing.B) {
	m, err := Create(newFS(b), testDir, testStream)
	must(b, err)
	must(b, m.Apply(Edit{Put: manyLogs(10_000)}))
	for b.Loop() {
		must(b, m.Rewrite())
	}
	b.ReportMetric(float64(m.writer.tail.block)*4096, "image-B")
}

func BenchmarkApplyOne(b *testing.B) {
	m, err := Create(newFS(b), testDir, testStream)
	must(b, err)
	logs := manyLogs(100)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		must(b, m.Apply(Edit{Put: logs[i%100 : i%100+1]}))
	}
}
