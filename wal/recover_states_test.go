package wal

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// recState is what may be found of one frame, and where it stands.
type recState struct {
	place           string
	header, trailer bool
	records         string
}

func (s recState) String() string {
	return fmt.Sprintf("%s header=%t trailer=%t records=%s", s.place, s.header, s.trailer, s.records)
}

var (
	// below: a later watermark covers it. above: nothing does. again: a later file holds
	// it again and durable. torn: a later file holds a torn copy of it.
	recPlaces  = []string{"below", "above", "again", "torn"}
	recRecords = []string{"sound", "payload", "header"}
)

// recRow says what recovery does; fields that are empty in the condition match everything.
type recRow struct {
	place, header, trailer, records string

	visited string // of the frame's two entries, of logs 1 and 2
	tail    bool
	lost    []raftlog.LogID // for sure
	maybe   []raftlog.LogID
	healed  bool
	torn    int // frames reported, the torn copy of the later file not counted
	super   int // frames reported as superseded
}

var recTable = []recRow{
	{place: "below", header: "true", trailer: "true", records: "sound", visited: "1 2"},
	{place: "below", header: "false", trailer: "true", records: "sound", visited: "1 2", healed: true},
	{place: "below", header: "true", trailer: "false", records: "sound", visited: "1 2", healed: true},
	{place: "below", header: "true", records: "payload", visited: "1", lost: []raftlog.LogID{2}},
	{place: "below", header: "false", trailer: "true", records: "payload", visited: "1", lost: []raftlog.LogID{2}},
	{place: "below", trailer: "true", records: "header", visited: "1", lost: []raftlog.LogID{2}},
	{place: "below", header: "true", trailer: "false", records: "header", visited: "1", maybe: []raftlog.LogID{1, 2, 3}},
	{place: "below", header: "false", trailer: "false", maybe: []raftlog.LogID{1, 2, 3}},

	{place: "above", header: "true", trailer: "true", records: "sound", visited: "1 2", tail: true},
	{place: "above", header: "true", trailer: "true", records: "payload", torn: 1},
	{place: "above", header: "true", trailer: "true", records: "header", torn: 1},
	{place: "above", header: "true", trailer: "false", torn: 1},
	{place: "above", header: "false", trailer: "true", torn: 1},
	{place: "above", header: "false", trailer: "false"},

	{place: "again", header: "true", visited: "1 2", super: 1},
	{place: "again", header: "false", trailer: "true", visited: "1 2", super: 1},
	{place: "again", header: "false", trailer: "false", visited: "1 2"},

	{place: "torn", header: "true", trailer: "true", records: "sound", visited: "1 2", tail: true},
	{place: "torn", header: "true", trailer: "true", records: "payload", torn: 1},
	{place: "torn", header: "true", trailer: "true", records: "header", torn: 1},
	{place: "torn", header: "true", trailer: "false", torn: 1},
	{place: "torn", header: "false", trailer: "true", torn: 1},
	{place: "torn", header: "false", trailer: "false"},
}

func (r recRow) matches(s recState) bool {
	is := func(cond string, value any) bool { return cond == "" || cond == fmt.Sprint(value) }
	return is(r.place, s.place) && is(r.header, s.header) && is(r.trailer, s.trailer) && is(r.records, s.records)
}

// build makes the state: batch 3 is the frame in question, behind a frame without records.
func (s recState) build() *recImage {
	im := newRecImage()
	f := im.file(1, 1, 6, nil)
	f.put(1, recEntry(1, 1, 1, "a"), recEntry(2, 1, 1, "b"), recEntry(3, 1, 1, "c"))
	f.put(2)
	ops := []recOp{recEntry(1, 2, 1, "aa"), recEntry(2, 2, 1, "bb")}
	fr := f.put(3, ops...)
	switch s.place {
	case "below":
		f.put(4)
	case "again":
		g := im.file(2, 3, 5, nil)
		g.put(3, ops...)
		g.put(4)
	case "torn":
		g := im.file(2, 3, 5, nil)
		copied := g.put(3, ops...)
		g.data[copied.at[len(copied.at)-1]] ^= 1
	}
	if !s.header {
		f.data[fr.begin()] ^= 1
	}
	if !s.trailer {
		f.data[fr.limit()-1] ^= 1
	}
	switch s.records {
	case "payload":
		f.data[fr.at[1]+frame.RecordHeaderSize] ^= 1
	case "header":
		f.data[fr.at[1]] ^= 1
	}
	return im
}

// TestRecoverStates builds every combination of facts, each of which has exactly one row.
func TestRecoverStates(t *testing.T) {
	for _, place := range recPlaces {
		for i := range 4 {
			for _, records := range recRecords {
				s := recState{place, i&1 == 0, i&2 == 0, records}
				rows := slices.DeleteFunc(slices.Clone(recTable), func(r recRow) bool { return !r.matches(s) })
				if len(rows) != 1 {
					t.Fatalf("%v matches %d rows", s, len(rows))
				}
				rows[0].check(t, s)
			}
		}
	}
}

func (r recRow) check(t *testing.T, s recState) {
	t.Helper()
	got := recMust(t, s.build(), nil)
	fail := func(what string) { t.Errorf("%v: %s\n%s\n%+v", s, what, strings.Join(got.script, "\n"), got.report) }
	var visited []string
	for id := raftlog.LogID(1); id <= 3; id++ {
		lines := got.logs[id]
		if n := len(got.tail[id]); r.tail && id < 3 && n != 1 || !r.tail && n != 0 {
			fail("tail")
		}
		if len(lines) == 2 {
			visited = append(visited, fmt.Sprint(id))
		} else if len(lines) != 1 {
			fail("first entries")
		}
	}
	if strings.Join(visited, " ") != r.visited {
		fail("visited " + strings.Join(visited, " "))
	}
	var maybe []raftlog.LogID
	for _, l := range got.lost {
		if l.Maybe {
			maybe = append(maybe, l.ID)
		}
	}
	if !slices.Equal(got.sure(), r.lost) || !slices.Equal(maybe, r.maybe) {
		fail("lost")
	}
	torn := r.torn
	if s.place == "torn" {
		torn++
	}
	if len(got.report.Torn) != torn || got.report.Superseded != r.super {
		fail("torn or superseded")
	}
	damaged := len(r.lost)+len(r.maybe) > 0 || r.healed
	if (got.report.DamageCount > 0) != damaged || damaged && got.report.Damage[0].Healed != r.healed {
		fail("damage")
	}
	durable := map[string]raftlog.Batch{"below": 3, "above": 2, "again": 3, "torn": 2}[s.place]
	if !s.header && !s.trailer && s.place == "above" {
		durable = 1 // the watermark is gone with the frame
	}
	if got.report.LastDurable != durable || got.report.NextBatch != durable+1 {
		fail("last durable")
	}
}
