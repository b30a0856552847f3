package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/rawl-db/rawl/engine"
)

// writeJSON writes one document.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func newTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// jsonRange, jsonDamage and the like are the forms of -json; they may gain fields.
type jsonRange struct {
	First uint64 `json:"first,omitempty"`
	Last  uint64 `json:"last,omitempty"`
}

type jsonDamage struct {
	File   string     `json:"file"`
	Offset *int64     `json:"offset,omitempty"`
	UID    string     `json:"uid,omitempty"`
	ID     uint64     `json:"id,omitempty"`
	Lost   *jsonRange `json:"lost,omitempty"`
	What   string     `json:"what"`
}

func rangeJSON(r engine.Range) *jsonRange {
	if r.First == 0 {
		return nil
	}
	return &jsonRange{uint64(r.First), uint64(r.Last)}
}

func damageJSON(all []engine.Damage) []jsonDamage {
	list := make([]jsonDamage, 0, len(all))
	for _, d := range all {
		j := jsonDamage{File: d.File, UID: string(d.UID), ID: d.ID, Lost: rangeJSON(d.Lost), What: d.What}
		if d.Offset >= 0 {
			j.Offset = &d.Offset
		}
		list = append(list, j)
	}
	return list
}

type jsonQuarantine struct {
	UID    string     `json:"uid"`
	Lost   *jsonRange `json:"lost,omitempty"`
	Reason string     `json:"reason"`
}

func quarantineJSON(q *engine.QuarantineError) *jsonQuarantine {
	if q == nil {
		return nil
	}
	return &jsonQuarantine{string(q.UID), rangeJSON(q.Lost), q.Reason}
}

func quarantinesJSON(all []*engine.QuarantineError) []*jsonQuarantine {
	var list []*jsonQuarantine
	for _, q := range all {
		list = append(list, quarantineJSON(q))
	}
	return list
}

func writeDamage(w io.Writer, all []engine.Damage) {
	for _, d := range all {
		fmt.Fprintf(w, "damaged: %v\n", d)
	}
}

// writeQuarantined names the logs that serve nothing.
func writeQuarantined(w io.Writer, all []*engine.QuarantineError) {
	for _, q := range all {
		fmt.Fprintf(w, "quarantined: %s lost %s: %s\n", q.UID, lost(q.Lost), q.Reason)
	}
}

// lost renders a range whose end may be unknown.
func lost(r engine.Range) string {
	switch {
	case r.First == 0:
		return "unknown"
	case r.Last == 0:
		return fmt.Sprintf("[%d,?]", r.First)
	}
	return r.String()
}

// size renders bytes for people.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
