package main

import (
	"fmt"
	"io"

	"github.com/rawl-db/rawl/engine"
)

// recover opens the engine, which recovers it, and moves what is in the write-ahead log to segments.
func (c *command) recover() (int, error) {
	r, err := engine.Recover(c.dir(), c.walDir)
	if err != nil {
		return 0, err
	}
	code := soundOr(len(r.Quarantined) > 0)
	if c.json {
		return code, writeJSON(c.out, recoveryJSON(r))
	}
	writeRecovery(c.out, r)
	return code, nil
}

func writeRecovery(w io.Writer, r engine.RecoveryReport) {
	fmt.Fprintf(w, "recovered %d records, %d of them entries with %s, from %d WAL files\n", r.Records, r.Entries, size(int64(r.Bytes)), r.Files)
	fmt.Fprintf(w, "above watermark: %d batches committed again, %d cut\n", r.Tail, r.Torn)
	if r.ManifestTorn {
		fmt.Fprintln(w, "the manifest's last edit was cut")
	}
	if r.Damage > 0 {
		fmt.Fprintf(w, "damaged in %d places of the write-ahead log\n", r.Damage)
	}
	writeQuarantined(w, r.Quarantined)
}

type jsonRecovery struct {
	Files        int               `json:"wal_files"`
	Records      uint64            `json:"records"`
	Entries      uint64            `json:"entries"`
	Bytes        uint64            `json:"bytes"`
	Tail         int               `json:"tail_batches"`
	Torn         int               `json:"torn_batches"`
	ManifestTorn bool              `json:"manifest_torn"`
	Damage       int               `json:"damage"`
	Quarantined  []*jsonQuarantine `json:"quarantined,omitempty"`
}

func recoveryJSON(r engine.RecoveryReport) jsonRecovery {
	return jsonRecovery{r.Files, r.Records, r.Entries, r.Bytes, r.Tail, r.Torn, r.ManifestTorn, r.Damage, quarantinesJSON(r.Quarantined)}
}
