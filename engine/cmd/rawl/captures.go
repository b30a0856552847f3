package main

import (
	"fmt"
	"io"

	"github.com/rawl-db/rawl/engine"
)

// writeSnapshots lists the captured states, when there are any.
func writeSnapshots(w io.Writer, logs []engine.LogInfo) error {
	t := newTable(w)
	empty := true
	for _, l := range logs {
		for _, s := range l.Snapshots {
			if empty {
				empty = false
				fmt.Fprintln(t, "\nUID\tSTATE\tENTRY\tBYTES\tLIVE")
			}
			fmt.Fprintf(t, "%s\t%v\t%v\t%d\t%d\n", l.UID, s.Kind, s.ID, s.Bytes, s.Live)
		}
	}
	return t.Flush()
}

// writeSlots lists the claims of named readers, when there are any.
func writeSlots(w io.Writer, logs []engine.LogInfo) error {
	t := newTable(w)
	empty := true
	for _, l := range logs {
		for _, s := range l.Slots {
			if empty {
				empty = false
				fmt.Fprintln(t, "\nUID\tSLOT\tACKNOWLEDGED\tLAG\tSTATE")
			}
			fmt.Fprintf(t, "%s\t%s\t%v\t%d\t%s\n", l.UID, s.Name, s.Acked, lag(l, s), slotState(s))
		}
	}
	return t.Flush()
}

// lag is how many entries the slot's reader has not acknowledged.
func lag(l engine.LogInfo, s engine.SlotClaim) uint64 {
	if s.Acked.Index >= l.Last.Index {
		return 0
	}
	return uint64(l.Last.Index - s.Acked.Index)
}

func slotState(s engine.SlotClaim) string {
	if s.Invalid {
		return "invalid"
	}
	return "ok"
}

type jsonSnapshot struct {
	Kind  string `json:"kind"`
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
	Bytes int64  `json:"bytes"`
	Live  uint64 `json:"live"`
}

func snapshotsJSON(all []engine.Snapshot) []jsonSnapshot {
	var list []jsonSnapshot
	for _, s := range all {
		list = append(list, jsonSnapshot{s.Kind.String(), uint64(s.ID.Index), uint64(s.ID.Term), s.Bytes, s.Live})
	}
	return list
}

type jsonSlot struct {
	Name      string `json:"name"`
	Acked     uint64 `json:"acked"`
	AckedTerm uint64 `json:"acked_term"`
	Lag       uint64 `json:"lag_entries"`
	Invalid   bool   `json:"invalid,omitempty"`
}

func slotsJSON(l engine.LogInfo) []jsonSlot {
	var list []jsonSlot
	for _, s := range l.Slots {
		list = append(list, jsonSlot{s.Name, uint64(s.Acked.Index), uint64(s.Acked.Term), lag(l, s), s.Invalid})
	}
	return list
}
