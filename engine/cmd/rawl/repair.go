package main

import (
	"fmt"
	"io"

	"github.com/rawl-db/rawl/engine"
)

// repair plans, and with -yes does it.
func (c *command) repair() (int, error) {
	r, err := engine.Repair(c.dir(), engine.RepairOptions{WALDir: c.walDir, DryRun: !c.yes, AcceptLoss: c.uids(), AcceptAllLoss: c.all})
	if c.json && err == nil {
		err = writeJSON(c.out, repairJSON(r))
	} else if !c.json {
		writeRepair(c.out, r) // also what was done before an error
	}
	if err != nil {
		return 0, err
	}
	return soundOr(len(r.Quarantined) > 0 || r.DryRun && len(r.Actions) > 0), nil
}

var actionText = map[string]string{
	"format":      "write FORMAT anew",
	"manifest":    "rebuild the manifest",
	"log":         "find again",
	"accept-loss": "give up the damaged end of",
}

func writeRepair(w io.Writer, r engine.RepairReport) {
	for _, a := range r.Actions {
		fmt.Fprint(w, actionText[a.What])
		if a.UID != "" {
			fmt.Fprintf(w, " log %s (%d), keeps %v", a.UID, a.ID, a.Range)
		}
		if a.Lost.First != 0 {
			fmt.Fprintf(w, ", loses %s", lost(a.Lost))
		}
		if a.Note != "" {
			fmt.Fprintf(w, ": %s", a.Note)
		}
		fmt.Fprintln(w)
	}
	for _, text := range r.Warnings {
		fmt.Fprintf(w, "warning: %s\n", text)
	}
	writeQuarantined(w, r.Quarantined)
	switch {
	case len(r.Actions) == 0:
		fmt.Fprintln(w, "nothing to repair")
	case r.DryRun:
		fmt.Fprintln(w, "nothing was written; -yes does it")
	case r.Kept != "":
		fmt.Fprintf(w, "done; the manifest before is kept as %s\n", r.Kept)
	default:
		fmt.Fprintln(w, "done")
	}
	if len(r.Quarantined) > 0 {
		fmt.Fprintln(w, "quarantined logs need -accept-loss UID or -all")
	}
}

type jsonRepair struct {
	Dir         string            `json:"dir"`
	DryRun      bool              `json:"dry_run"`
	Actions     []jsonAction      `json:"actions"`
	Warnings    []string          `json:"warnings,omitempty"`
	Kept        string            `json:"kept,omitempty"`
	Quarantined []*jsonQuarantine `json:"quarantined,omitempty"`
}

type jsonAction struct {
	What string     `json:"what"`
	UID  string     `json:"uid,omitempty"`
	ID   uint64     `json:"id,omitempty"`
	Keep *jsonRange `json:"keep,omitempty"`
	Lost *jsonRange `json:"lost,omitempty"`
	Note string     `json:"note,omitempty"`
}

func repairJSON(r engine.RepairReport) jsonRepair {
	j := jsonRepair{Dir: r.Dir, DryRun: r.DryRun, Actions: []jsonAction{}, Warnings: r.Warnings, Kept: r.Kept,
		Quarantined: quarantinesJSON(r.Quarantined)}
	for _, a := range r.Actions {
		j.Actions = append(j.Actions, jsonAction{a.What, string(a.UID), a.ID, rangeJSON(a.Range), rangeJSON(a.Lost), a.Note})
	}
	return j
}
