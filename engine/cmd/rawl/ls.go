package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/rawl-db/rawl/engine"
)

func (c *command) inspect() (*engine.Inspection, error) {
	return engine.Inspect(c.dir(), engine.InspectOptions{WALDir: c.walDir})
}

// ls lists the logs.
func (c *command) ls() (int, error) {
	in, err := c.inspect()
	if err != nil {
		return 0, err
	}
	code := soundOr(len(in.Damage) > 0)
	if c.json {
		return code, writeJSON(c.out, logsJSON(in.Logs))
	}
	if err := errors.Join(writeLogs(c.out, in.Logs), writeSnapshots(c.out, in.Logs), writeSlots(c.out, in.Logs)); err != nil {
		return 0, err
	}
	writeDamage(c.err, in.Damage)
	return code, nil
}

func writeLogs(w io.Writer, logs []engine.LogInfo) error {
	t := newTable(w)
	fmt.Fprintln(t, "UID\tID\tFIRST\tLAST\tTERM\tVOTE\tAPPLIED\tSEGMENTS\tBYTES\tIN WAL\tSTATE")
	for _, l := range logs {
		state := "ok"
		if l.Quarantine != nil {
			state = "quarantined, lost " + lost(l.Quarantine.Lost)
		}
		vote := l.HardState.Vote
		if vote == "" {
			vote = "-"
		} else if !printable(vote) {
			vote = fmt.Sprintf("%q", vote)
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%v\t%d\t%s\t%d\t%d\t%d\t%d\t%s\n", l.UID, l.ID, l.First, l.Last, l.HardState.Term, vote,
			l.Applied, len(l.Segments), segmentBytes(l), l.WALEntries, state)
	}
	return t.Flush()
}

// printable reports whether s may stand in a table as it is.
func printable(s string) bool {
	for _, r := range s {
		if r <= ' ' || r > '~' {
			return false
		}
	}
	return true
}

func segmentBytes(l engine.LogInfo) (n int64) {
	for _, s := range l.Segments {
		n += s.Bytes
	}
	return n
}

type jsonLog struct {
	UID          string          `json:"uid"`
	ID           uint64          `json:"id"`
	First        uint64          `json:"first"`
	Last         uint64          `json:"last"`
	LastTerm     uint64          `json:"last_term"`
	Released     uint64          `json:"released"`
	ReleasedTerm uint64          `json:"released_term"`
	Term         uint64          `json:"term"`
	Vote         string          `json:"vote,omitempty"`
	Applied      uint64          `json:"applied"`
	WALEntries   uint64          `json:"wal_entries"`
	Live         uint64          `json:"live,omitempty"`
	LiveUnknown  bool            `json:"live_unknown,omitempty"`
	Segments     []jsonSegment   `json:"segments"`
	Snapshots    []jsonSnapshot  `json:"snapshots,omitempty"`
	Slots        []jsonSlot      `json:"slots,omitempty"`
	Quarantine   *jsonQuarantine `json:"quarantine,omitempty"`
}

type jsonSegment struct {
	Number uint64 `json:"number"`
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
	Bytes  int64  `json:"bytes"`
}

func logsJSON(logs []engine.LogInfo) []jsonLog {
	list := make([]jsonLog, 0, len(logs))
	for _, l := range logs {
		j := jsonLog{UID: string(l.UID), ID: l.ID, First: uint64(l.First), Last: uint64(l.Last.Index), LastTerm: uint64(l.Last.Term),
			Released: uint64(l.Released.Index), ReleasedTerm: uint64(l.Released.Term), Term: uint64(l.HardState.Term),
			Vote: l.HardState.Vote, Applied: uint64(l.Applied), WALEntries: l.WALEntries, Segments: []jsonSegment{},
			Live: l.Live, LiveUnknown: l.LiveUnknown, Snapshots: snapshotsJSON(l.Snapshots), Slots: slotsJSON(l),
			Quarantine: quarantineJSON(l.Quarantine)}
		for _, s := range l.Segments {
			j.Segments = append(j.Segments, jsonSegment{s.Number, uint64(s.Range.First), uint64(s.Range.Last), s.Bytes})
		}
		list = append(list, j)
	}
	return list
}
