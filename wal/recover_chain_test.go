package wal

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// TestRecoverFragments runs chains of log 1, one frame per element, and says which entries come out.
func TestRecoverFragments(t *testing.T) {
	a := recFragments(1, 1, 1, "aaaa", "bbbb", "cc")
	b := recFragments(1, 2, 1, "only")
	again := recFragments(1, 1, 1, "a", "aaabbbbcc")
	newer := recFragments(1, 1, 2, "zz", "yy")
	other := recEntry(2, 1, 1, "other")
	for _, test := range []struct {
		name   string
		ops    []recOp
		want   []string // index and payload of the entries of log 1
		lost   []raftlog.LogID
		chains int
	}{
		{"whole", []recOp{a[0], other, a[1], a[2], b[0]}, []string{"1 aaaabbbbcc", "2 only"}, nil, 0},
		{"started again", []recOp{a[0], a[1], again[0], again[1]}, []string{"1 aaaabbbbcc"}, nil, 1},
		{"started again by a newer term", []recOp{a[0], newer[0], newer[1]}, []string{"1 zzyy"}, nil, 1},
		{"unfinished", []recOp{b[0], a[0], a[1]}, []string{"2 only"}, nil, 1},
		{"interrupted by an entry", []recOp{a[0], recEntry(1, 1, 1, "x")}, []string{"1 x"}, nil, 1},
		{"interrupted and continued", []recOp{a[0], recEntry(1, 1, 1, "x"), a[1], a[2]}, []string{"1 x"}, []raftlog.LogID{1}, 1},
		{"first part missing", []recOp{a[1], a[2], b[0]}, []string{"2 only"}, []raftlog.LogID{1}, 0},
		{"middle part missing", []recOp{a[0], a[2], b[0]}, []string{"2 only"}, []raftlog.LogID{1}, 0},
		{"end of one, begin of the next missing", []recOp{a[0], a[1], newer[1]}, nil, []raftlog.LogID{1}, 0},
		{"missing part of an unfinished one", []recOp{a[1], b[0]}, []string{"2 only"}, nil, 1},
		{"part twice", []recOp{a[0], a[1], a[1], a[2]}, nil, []raftlog.LogID{1}, 0},
	} {
		im := newRecImage()
		f := im.file(1, 1, len(test.ops)+3, nil)
		batch := uint64(1)
		for _, op := range test.ops {
			f.put(batch, op)
			batch++
		}
		f.put(batch)
		got := recMust(t, im, nil)
		var entries []string
		for _, line := range got.logs[1] {
			index, rest, _ := strings.Cut(line[strings.IndexByte(line, '/')+1:], "<")
			entries = append(entries, index+" "+strings.Trim(rest[strings.IndexByte(rest, ' ')+1:], `"`))
		}
		if !slices.Equal(entries, test.want) || !slices.Equal(got.sure(), test.lost) || got.report.Chains != test.chains {
			t.Errorf("%s: %q, lost %v, %d dropped", test.name, entries, got.sure(), got.report.Chains)
		}
	}
}

// TestRecoverFragmentsAcrossFiles: a chain goes on in the next file; in the tail a broken one is no loss.
func TestRecoverFragmentsAcrossFiles(t *testing.T) {
	parts := recFragments(1, 1, 1, "aaaa", "bbbb", "cc")
	im := newRecImage()
	im.file(1, 1, 4, nil).put(1, parts[0])
	im.file(2, 2, 4, nil).put(2, parts[1])
	im.file(3, 3, 4, nil).put(3, parts[2])
	got := recMust(t, im, nil)
	if len(got.tail[1]) != 1 || !strings.Contains(got.tail[1][0], `"aaaabbbbcc"`) || len(got.lost) != 0 {
		t.Fatalf("%v", got.script)
	}
	im.files[1].data[im.frames[1].at[1]+frame.RecordHeaderSize+fragmentPrefix] ^= 1
	got = recMust(t, im, nil)
	if len(got.logs[1]) != 0 || len(got.lost) != 0 || got.report.Chains != 1 || got.report.Damage[0].Healed {
		t.Fatalf("%v %+v", got.script, got.report)
	}
}

// TestRecoverHostileLengths: lengths that only a forged file holds cost no memory and no panic.
func TestRecoverHostileLengths(t *testing.T) {
	huge := recFragments(1, 1, 1, "x", "y")
	for i := range huge {
		binary.LittleEndian.PutUint32(huge[i].payload[4:], 1<<30)
	}
	over := recFragments(2, 1, 1, "x", "y")
	for i := range over {
		binary.LittleEndian.PutUint32(over[i].payload[4:], 1<<32-1)
		binary.LittleEndian.PutUint32(over[i].payload[8:], 1<<31)
	}
	short := recFragments(3, 1, 1, "x")
	short[0].payload = short[0].payload[:5]
	declare := recOp{id: 4, kind: KindDeclare, payload: []byte("short")}
	im := newRecImage()
	f := im.file(1, 1, 8, nil)
	f.numbers[5] = 1<<31 + 5 // never declared
	f.numbers[6] = 0xfffffffe
	f.put(1, huge[0], over[0], short[0], declare, recEntry(5, 1, 1, "x"), recEntry(6, 1, 1, "y"))
	f.put(2, huge[1], over[1])
	f.putAt(3, 1<<64-1)
	allocated := testing.AllocsPerRun(1, func() { recMust(t, im, nil) })
	got := recMust(t, im, nil)
	if got.report.Records != 0 || !slices.Equal(got.sure(), []raftlog.LogID{1, 2, 3}) || allocated > 1000 {
		t.Fatalf("%v, %v allocations", got.script, allocated)
	}

	// First batches that contradict each other.
	for _, first := range []uint64{0, 1, 5, 1<<64 - 1} {
		for _, second := range []uint64{0, 1, 3, 1<<64 - 1} {
			im := newRecImage()
			im.file(1, first, 5, nil).put(1, recEntry(1, 1, 1, "x"))
			f := im.file(2, second, 5, nil)
			f.put(1<<64-1, recEntry(1, 1, 1, "x"))
			f.put(0, recEntry(1, 1, 1, "x"))
			recMust(t, im, nil)
		}
	}
}

// TestRecoverClash: a number that two logs claim is nobody's.
func TestRecoverClash(t *testing.T) {
	im := newRecImage()
	f := im.file(1, 1, 8, nil)
	f.put(1, recEntry(1, 1, 1, "x"), recEntry(2, 1, 1, "y"))
	delete(f.numbers, 2)
	f.put(2, recEntry(3, 1, 1, "z")) // declares number 2 again
	f.put(3)
	got := recMust(t, im, nil)
	if !slices.Equal(got.sure(), []raftlog.LogID{2, 3}) || len(got.logs[1]) != 1 || len(got.logs) != 1 {
		t.Fatalf("%v", got.script)
	}
}
