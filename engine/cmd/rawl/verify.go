package main

import (
	"fmt"
	"io"

	"github.com/rawl-db/rawl/engine"
)

// verify checks everything. On standard error it says every 1,000 logs how far it is.
func (c *command) verify() (int, error) {
	r, err := engine.Verify(c.dir(), engine.VerifyOptions{WALDir: c.walDir, Progress: func(p engine.VerifyProgress) {
		if p.Logs > 0 && p.Logs%1000 == 0 && !c.json {
			fmt.Fprintf(c.err, "%d of %d logs, %s, damage %d\n", p.Logs, p.AllLogs, size(p.Bytes), p.Damage)
		}
	}})
	if err != nil {
		return 0, err
	}
	code := soundOr(!r.Sound())
	if c.json {
		return code, writeJSON(c.out, verifyJSON(r))
	}
	writeVerify(c.out, r)
	return code, nil
}

func writeVerify(w io.Writer, r engine.VerifyReport) {
	writeDamage(w, r.Damage)
	for _, d := range r.Passed {
		fmt.Fprintf(w, "passed over: %v\n", d)
	}
	for _, name := range r.Orphans {
		fmt.Fprintf(w, "unused: %s\n", name)
	}
	if r.Torn > 0 {
		fmt.Fprintf(w, "cut: %d batches, torn or the last one; never acknowledged unless damaged since\n", r.Torn)
	}
	if r.ManifestTorn {
		fmt.Fprintln(w, "cut: the manifest's last edit, torn or damaged since")
	}
	verdict := "sound"
	if !r.Sound() {
		verdict = fmt.Sprintf("damaged in %d places", len(r.Damage))
	}
	fmt.Fprintf(w, "%s: %d logs, %d entries, %d segments (%s), %d captured states (%s), %d live entries, %d WAL files with %d batches\n",
		verdict, r.Logs, r.Entries, r.Segments, size(r.SegmentBytes), r.Snapshots, size(r.SnapshotBytes), r.Live, r.Files, r.Batches)
}

type jsonVerify struct {
	Dir          string       `json:"dir"`
	Use          string       `json:"use"`
	Sound        bool         `json:"sound"`
	Logs         int          `json:"logs"`
	Entries      uint64       `json:"entries"`
	Segments     int          `json:"segments"`
	SegmentBytes int64        `json:"segment_bytes"`
	Snapshots    int          `json:"snapshots"`
	StateBytes   int64        `json:"state_bytes"`
	Live         uint64       `json:"live_entries"`
	WALFiles     int          `json:"wal_files"`
	Batches      int          `json:"batches"`
	Torn         int          `json:"torn_batches"`
	ManifestTorn bool         `json:"manifest_torn"`
	Damage       []jsonDamage `json:"damage"`
	Passed       []jsonDamage `json:"passed_over,omitempty"`
	Orphans      []string     `json:"unused,omitempty"`
}

func verifyJSON(r engine.VerifyReport) jsonVerify {
	return jsonVerify{Dir: r.Dir, Use: string(r.Use), Sound: r.Sound(), Logs: r.Logs, Entries: r.Entries, Segments: r.Segments,
		SegmentBytes: r.SegmentBytes, Snapshots: r.Snapshots, StateBytes: r.SnapshotBytes, Live: r.Live, Passed: damageJSON(r.Passed), WALFiles: r.Files, Batches: r.Batches, Torn: r.Torn, ManifestTorn: r.ManifestTorn,
		Damage: damageJSON(r.Damage), Orphans: r.Orphans}
}
