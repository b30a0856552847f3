package main

import (
	"fmt"
	"io"

	"github.com/rawl-db/rawl/engine"
)

// stat summarises a directory.
func (c *command) stat() (int, error) {
	in, err := c.inspect()
	if err != nil {
		return 0, err
	}
	code := soundOr(len(in.Damage) > 0)
	if c.json {
		return code, writeJSON(c.out, statJSON(in))
	}
	return code, writeStat(c.out, in)
}

// totals are sums over an inspection.
type totals struct {
	segments, quarantined, service, prepared int
	snapshots, checkpoints, slots            int
	segmentBytes, walBytes, snapshotBytes    int64
	walEntries, oldest, live                 uint64
}

func sum(in *engine.Inspection) (t totals) {
	for _, l := range in.Logs {
		t.segments += len(l.Segments)
		t.segmentBytes += segmentBytes(l)
		t.walEntries += l.WALEntries
		t.live += l.Live
		t.slots += len(l.Slots)
		for _, s := range l.Snapshots {
			t.snapshotBytes += s.Bytes
			if s.Kind == engine.KindSnapshot {
				t.snapshots++
			} else {
				t.checkpoints++
			}
		}
		if l.Quarantine != nil {
			t.quarantined++
		}
	}
	for _, f := range in.WAL {
		t.walBytes += f.Bytes
		switch f.State {
		case "in service":
			t.service++
			if t.oldest == 0 {
				t.oldest = f.Number
			}
		case "prepared":
			t.prepared++
		}
	}
	return t
}

func writeStat(w io.Writer, in *engine.Inspection) error {
	t := sum(in)
	oldest := "none"
	if t.oldest != 0 {
		oldest = fmt.Sprintf("%016x.wal", t.oldest)
	}
	tab := newTable(w)
	for _, line := range [][2]string{
		{"directory", in.Dir},
		{"wal directory", in.WALDir},
		{"owner", ownerText(in.Use)},
		{"format", fmt.Sprint(in.Format)},
		{"stream", fmt.Sprintf("%016x", in.Stream)},
		{"manifest", in.Manifest},
		{"logs", fmt.Sprintf("%d, %d quarantined", len(in.Logs), t.quarantined)},
		{"segments", fmt.Sprintf("%d, %s", t.segments, size(t.segmentBytes))},
		{"states", fmt.Sprintf("%d snapshots, %d checkpoints, %s, %d live entries", t.snapshots, t.checkpoints, size(t.snapshotBytes), t.live)},
		{"slots", fmt.Sprint(t.slots)},
		{"wal", fmt.Sprintf("%s, %d files in service, %d prepared", size(t.walBytes), t.service, t.prepared)},
		{"wal backlog", fmt.Sprintf("%d entries, oldest file %s", t.walEntries, oldest)},
		{"batches", fmt.Sprintf("flushed to %d, last %d", in.Flushed, in.LastBatch)},
		{"above watermark", fmt.Sprintf("%d whole, %d cut", in.Tail, in.Torn)},
		{"damage", fmt.Sprint(len(in.Damage))},
	} {
		fmt.Fprintf(tab, "%s\t%s\n", line[0], line[1])
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	if len(in.WAL) > 0 {
		fmt.Fprintln(w)
		fmt.Fprintln(tab, "WAL FILE\tSTATE\tBYTES\tBATCHES\tFIRST\tLAST\tLOGS")
		for _, f := range in.WAL {
			fmt.Fprintf(tab, "%016x\t%s\t%d\t%d\t%d\t%d\t%d\n", f.Number, f.State, f.Bytes, f.Batches, f.First, f.Last, f.Logs)
		}
		if err := tab.Flush(); err != nil {
			return err
		}
	}
	writeDamage(w, in.Damage)
	return nil
}

func ownerText(u engine.Use) string {
	switch u {
	case engine.UseOwned:
		return "in use"
	case engine.UseFree:
		return "none seen"
	}
	return "unknown"
}

type jsonStat struct {
	Dir          string        `json:"dir"`
	WALDir       string        `json:"wal_dir"`
	Use          string        `json:"use"`
	Format       int           `json:"format"`
	Stream       string        `json:"stream"`
	Manifest     string        `json:"manifest"`
	ManifestTorn bool          `json:"manifest_torn"`
	Logs         int           `json:"logs"`
	Quarantined  int           `json:"quarantined"`
	Segments     int           `json:"segments"`
	SegmentBytes int64         `json:"segment_bytes"`
	Snapshots    int           `json:"snapshots"`
	Checkpoints  int           `json:"checkpoints"`
	StateBytes   int64         `json:"state_bytes"`
	Live         uint64        `json:"live_entries"`
	Slots        int           `json:"slots"`
	WALBytes     int64         `json:"wal_bytes"`
	WALEntries   uint64        `json:"wal_entries"`
	Flushed      uint64        `json:"flushed_batch"`
	LastBatch    uint64        `json:"last_batch"`
	Tail         int           `json:"tail_batches"`
	Torn         int           `json:"torn_batches"`
	WAL          []jsonWALFile `json:"wal"`
	Damage       []jsonDamage  `json:"damage"`
}

type jsonWALFile struct {
	Number  string `json:"number"`
	State   string `json:"state"`
	Bytes   int64  `json:"bytes"`
	Batches int    `json:"batches"`
	First   uint64 `json:"first_batch,omitempty"`
	Last    uint64 `json:"last_batch,omitempty"`
	Logs    int    `json:"logs"`
}

func statJSON(in *engine.Inspection) jsonStat {
	t := sum(in)
	j := jsonStat{Dir: in.Dir, WALDir: in.WALDir, Use: string(in.Use), Format: in.Format, Stream: fmt.Sprintf("%016x", in.Stream),
		Manifest: in.Manifest, ManifestTorn: in.ManifestTorn, Logs: len(in.Logs), Quarantined: t.quarantined, Segments: t.segments,
		SegmentBytes: t.segmentBytes, Snapshots: t.snapshots, Checkpoints: t.checkpoints, StateBytes: t.snapshotBytes, Live: t.live,
		Slots: t.slots, WALBytes: t.walBytes, WALEntries: t.walEntries, Flushed: in.Flushed, LastBatch: in.LastBatch,
		Tail: in.Tail, Torn: in.Torn, WAL: []jsonWALFile{}, Damage: damageJSON(in.Damage)}
	for _, f := range in.WAL {
		j.WAL = append(j.WAL, jsonWALFile{fmt.Sprintf("%016x", f.Number), f.State, f.Bytes, f.Batches, f.First, f.Last, f.Logs})
	}
	return j
}
