package main

import (
	"bytes"
	"testing"

	"github.com/rawl-db/rawl/engine"
)

var sample = &engine.Inspection{
	Dir: "/data/db", WALDir: "/data/db/wal", Format: 1, Stream: 0xfeed, Manifest: "manifest-0000000000000007", Use: engine.UseOwned,
	Flushed: 17, LastBatch: 99, Tail: 1, Torn: 2,
	WAL: []engine.WALFile{
		{Number: 5, State: "in service", Bytes: 64 << 20, Batches: 40, First: 18, Last: 57, Logs: 3},
		{Number: 6, State: "in service", Bytes: 64 << 20, Batches: 42, First: 58, Last: 99, Logs: 2},
		{Number: 7, State: "prepared", Bytes: 64 << 20},
	},
	Logs: []engine.LogInfo{
		{UID: "orders", ID: 1, First: 11, Last: engine.EntryID{Term: 3, Index: 80}, Released: engine.EntryID{Term: 2, Index: 10},
			HardState: engine.HardState{Term: 4, Vote: "node-2"}, Applied: 70, WALEntries: 16,
			Segments: []engine.SegmentInfo{{Number: 1, Range: engine.Range{First: 1, Last: 64}, Bytes: 20480}, {Number: 3, Range: engine.Range{First: 65, Last: 80}, Bytes: 8192}}, Live: 2,
			Snapshots: []engine.Snapshot{{Kind: engine.KindSnapshot, ID: engine.EntryID{Term: 2, Index: 10}, Bytes: 4321, Live: 2},
				{Kind: engine.KindCheckpoint, ID: engine.EntryID{Term: 3, Index: 60}, Bytes: 1234}},
			Slots: []engine.SlotClaim{{Name: "mirror", Acked: engine.EntryID{Term: 2, Index: 9}}, {Name: "old", Acked: engine.EntryID{Term: 1, Index: 2}, Invalid: true}}},
		{UID: "users", ID: 9, First: 1, Last: engine.EntryID{Term: 1, Index: 3}, HardState: engine.HardState{Term: 1, Vote: "a b"},
			Quarantine: &engine.QuarantineError{UID: "users", Lost: engine.Range{First: 4}, Reason: "lost: payload, in batch 60"}},
	},
	Damage: []engine.Damage{
		{File: "wal/0000000000000006.wal", Offset: 8192, UID: "users", ID: 9, Lost: engine.Range{First: 4}, What: "lost: payload, in batch 60"},
		{File: "FORMAT", Offset: -1, What: "is missing"},
	},
}

func TestGolden(t *testing.T) {
	var b bytes.Buffer
	show := func(name string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
		b.Reset()
	}
	show("ls.txt", writeLogs(&b, sample.Logs))
	show("captures.txt", writeSnapshots(&b, sample.Logs))
	show("slots.txt", writeSlots(&b, sample.Logs))
	show("ls.json", writeJSON(&b, logsJSON(sample.Logs)))
	show("stat.txt", writeStat(&b, sample))
	show("stat.json", writeJSON(&b, statJSON(sample)))

	show("pins.txt", writePins(&b, allPins(sample)))
	show("pins.json", writeJSON(&b, allPins(sample)))
	show("readers.txt", writeReaders(&b, sample.Logs))
	show("readers.json", writeJSON(&b, readersJSON(sample.Logs)))
	one := engine.DumpRecord{UID: "orders", ID: 1, Index: 65, Term: 3, Type: 2, Size: 3, CRC: 0xabc, File: "wal/0000000000000005.wal", Offset: 4300}
	other := one
	other.Term, other.ID = 4, 7
	last := engine.EntryID{Term: 4, Index: 80}
	diffs := []engine.LogDiff{{UID: "carts", InA: true}, {UID: "logs", InB: true},
		{UID: "orders", InA: true, InB: true, Compared: 50, At: 65, A: one, B: other, LastA: last, LastB: last, Damaged: 1},
		{UID: "users", InA: true, InB: true, Compared: 3, LastA: engine.EntryID{Term: 1, Index: 3}, LastB: last}}
	writeDiff(&b, diffs)
	show("diff.txt", nil)
	show("diff.json", writeJSON(&b, diffJSON(diffs)))

	verify := engine.VerifyReport{Dir: "/data/db", Use: engine.UseFree, Files: 3, Batches: 82, Torn: 2, ManifestTorn: true, Logs: 2, Segments: 1,
		Entries: 73, SegmentBytes: 20480, Damage: sample.Damage, Snapshots: 2, SnapshotBytes: 5555, Live: 2,
		Passed:  []engine.Damage{{File: "logs/0000000000000001/checkpoint-0000000000000003-000000000000003c", Offset: 4096, UID: "orders", ID: 1, What: "checkpoint at 3/60: chunk 0: checksum"}},
		Orphans: []string{"logs/0000000000000004/0000000000000001.seg"}}
	writeVerify(&b, verify)
	show("verify.txt", nil)
	show("verify.json", writeJSON(&b, verifyJSON(verify)))

	entry := engine.DumpRecord{UID: "orders", ID: 1, Index: 65, Term: 3, Type: 2, Size: 3, CRC: 0xabc, File: "wal/0000000000000005.wal",
		Offset: 4300, Batch: 18, Data: []byte("xyz")}
	damage := &engine.QuarantineError{UID: "orders", Lost: engine.Range{First: 66, Last: 66}, Reason: "an example"}
	show("entry.txt", writeEntry(&b, entry, nil))
	show("entry-damaged.txt", writeEntry(&b, entry, damage))
	show("entry.json", writeJSON(&b, entryJSON(entry, damage)))
	record := engine.WALRecord{Kind: "entry", Offset: 4160, Batch: 18, Number: 1, UID: "orders", ID: 1, Prev: 64, Index: 65, Term: 3, Type: 2, Size: 3, CRC: 0xabc}
	frame := engine.WALRecord{Kind: "frame", Offset: 4096, Batch: 18, Watermark: 17, Bytes: 4096, Fault: "trailer does not verify"}
	show("frame.txt", writeRecord(&b, frame))
	show("frame.json", writeJSON(&b, recordJSON(frame)))
	show("record.txt", writeRecord(&b, record))
	show("record.json", writeJSON(&b, recordJSON(record)))

	quarantined := []*engine.QuarantineError{sample.Logs[1].Quarantine}
	recovery := engine.RecoveryReport{Files: 3, Records: 20, Entries: 16, Bytes: 40960, Torn: 2, Tail: 1, Damage: 1, Quarantined: quarantined, ManifestTorn: true}
	writeRecovery(&b, recovery)
	show("recover.txt", nil)
	show("recover.json", writeJSON(&b, recoveryJSON(recovery)))

	repair := engine.RepairReport{Dir: "/data/db", Kept: "manifest-0000000000000007.bak", Warnings: []string{"a warning"}, Quarantined: quarantined,
		Actions: []engine.RepairAction{{What: "manifest", Note: "corrupt"}, {What: "format", Note: "is missing"},
			{What: "log", UID: "orders", ID: 1, Range: engine.Range{First: 1, Last: 64}},
			{What: "accept-loss", UID: "carts", ID: 3, Range: engine.Range{First: 1, Last: 5}, Lost: engine.Range{First: 6}, Note: "payload checksum"}}}
	writeRepair(&b, repair)
	show("repair.txt", nil)
	show("repair.json", writeJSON(&b, repairJSON(repair)))
	writeRepair(&b, engine.RepairReport{DryRun: true, Actions: repair.Actions[1:2]})
	show("repair-plan.txt", nil)
}
