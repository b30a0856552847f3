package main

import (
	"fmt"
	"io"

	"github.com/rawl-db/rawl/engine"
)

// pins says what holds which bytes.
func (c *command) pins() (int, error) {
	in, err := c.inspect()
	if err != nil {
		return 0, err
	}
	code := soundOr(len(in.Damage) > 0)
	if c.json {
		return code, writeJSON(c.out, allPins(in))
	}
	return code, writePins(c.out, allPins(in))
}

// pin is what one holder keeps on the disk.
type pin struct {
	UID string `json:"uid,omitempty"`
	// Holder is log, live, slot, snapshot, checkpoint, recovery or wal.
	Holder string `json:"holder"`
	Name   string `json:"name,omitempty"` // of a slot, or the entry of a state
	Bytes  int64  `json:"bytes"`
	Files  int    `json:"files"`
	Note   string `json:"note,omitempty"`
}

// allPins gives each file one holder: a segment belongs to its log while it has entries above what
// is released, else to the slot that is furthest behind, else to the live entries in it.
func allPins(in *engine.Inspection) []pin {
	all := []pin{}
	for _, l := range in.Logs {
		all = append(all, logPins(l)...)
	}
	files := pin{Holder: "wal", Note: "shared by all logs"}
	for _, f := range in.WAL {
		files.Bytes += f.Bytes
		files.Files++
	}
	return append(all, files)
}

func logPins(l engine.LogInfo) (all []pin) {
	own := pin{UID: string(l.UID), Holder: "log", Note: fmt.Sprintf("entries from %d on", l.First)}
	live := pin{UID: string(l.UID), Holder: "live", Note: fmt.Sprintf("%d entries below %d", l.Live, l.First)}
	if l.LiveUnknown {
		live.Note = "the snapshot that names the live entries is damaged"
	}
	slot := pin{UID: string(l.UID), Holder: "slot"}
	slowest, held := slowestSlot(l)
	if held {
		slot.Name, slot.Note = slowest.Name, fmt.Sprintf("acknowledged %v", slowest.Acked)
	}
	for _, s := range l.Segments {
		p := &live
		switch {
		case s.Range.Last >= l.First:
			p = &own
		case held && s.Range.Last > slowest.Acked.Index:
			p = &slot
		}
		p.Bytes += s.Bytes
		p.Files++
	}
	for _, p := range []pin{own, slot, live} {
		if p.Files > 0 {
			all = append(all, p)
		}
	}
	for _, s := range l.Snapshots {
		all = append(all, pin{UID: string(l.UID), Holder: s.Kind.String(), Name: s.ID.String(), Bytes: s.Bytes, Files: 1})
	}
	return all
}

// slowestSlot returns the valid slot that is furthest behind.
func slowestSlot(l engine.LogInfo) (slowest engine.SlotClaim, ok bool) {
	for _, s := range l.Slots {
		if !s.Invalid && (!ok || s.Acked.Index < slowest.Acked.Index) {
			slowest, ok = s, true
		}
	}
	return slowest, ok
}

func writePins(w io.Writer, all []pin) error {
	t := newTable(w)
	fmt.Fprintln(t, "UID\tHOLDER\tNAME\tBYTES\tFILES\tNOTE")
	total := int64(0)
	for _, p := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\n", dash(p.UID), p.Holder, dash(p.Name), p.Bytes, p.Files, dash(p.Note))
		total += p.Bytes
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "total %s\n", size(total))
	return err
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
