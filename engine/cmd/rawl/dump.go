package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/rawl-db/rawl/engine"
)

// dump shows a log's entries, or one WAL file.
func (c *command) dump() (int, error) {
	w := bufio.NewWriter(c.out)
	code, err := c.dumpTo(w)
	return code, errors.Join(err, w.Flush())
}

func (c *command) dumpTo(w *bufio.Writer) (int, error) {
	o := engine.DumpOptions{WALDir: c.walDir, Payload: c.payload}
	if c.file != "" {
		number, err := strconv.ParseUint(c.file, 16, 64)
		if err != nil || len(c.args) != 1 {
			return 0, errors.New("-file takes a file's number in hexadecimal, and no log")
		}
		return c.dumpWAL(w, number, o)
	}
	if len(c.args) < 2 {
		return 0, errors.New("which log? see rawl help")
	}
	rng := engine.Range{First: 1, Last: ^engine.Index(0)}
	for i, bound := range []*engine.Index{&rng.First, &rng.Last} {
		if len(c.args) > 2+i {
			n, err := strconv.ParseUint(c.args[2+i], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("bad index %q", c.args[2+i])
			}
			*bound = engine.Index(n)
		}
	}
	rng.First = max(rng.First, 1)
	damaged := false
	lines := json.NewEncoder(w)
	for r, err := range engine.Dump(c.dir(), engine.UID(c.args[1]), rng, o) {
		switch {
		case err != nil && (r.Index == 0 || !errors.Is(err, engine.ErrCorrupt)):
			return 0, err
		case err != nil:
			damaged = true
		}
		if c.json {
			err = lines.Encode(entryJSON(r, err))
		} else {
			err = writeEntry(w, r, err)
		}
		if err != nil {
			return 0, err
		}
	}
	return soundOr(damaged), nil
}

func writeEntry(w io.Writer, r engine.DumpRecord, damage error) error {
	if damage != nil {
		_, err := fmt.Fprintf(w, "damaged up to %d: %v\n", r.Index, damage)
		return err
	}
	_, err := fmt.Fprintf(w, "%d/%d type=%d size=%d crc=%08x file=%s offset=%d", r.Term, r.Index, r.Type, r.Size, r.CRC, r.File, r.Offset)
	if err == nil && r.Batch != 0 {
		_, err = fmt.Fprintf(w, " batch=%d", r.Batch)
	}
	if err == nil && r.Data != nil {
		_, err = fmt.Fprintf(w, " payload=%x", r.Data)
	}
	if err == nil {
		_, err = fmt.Fprintln(w)
	}
	return err
}

type jsonEntry struct {
	UID     string `json:"uid"`
	ID      uint64 `json:"id"`
	Index   uint64 `json:"index"`
	Term    uint64 `json:"term"`
	Type    uint8  `json:"type"`
	Size    int    `json:"size"`
	CRC     string `json:"crc"`
	File    string `json:"file"`
	Offset  int64  `json:"offset"`
	Batch   uint64 `json:"batch,omitempty"`
	Payload []byte `json:"payload,omitempty"`
	Damage  string `json:"damage,omitempty"`
}

func entryJSON(r engine.DumpRecord, damage error) jsonEntry {
	j := jsonEntry{UID: string(r.UID), ID: r.ID, Index: uint64(r.Index), Term: uint64(r.Term), Type: r.Type, Size: r.Size,
		CRC: fmt.Sprintf("%08x", r.CRC), File: r.File, Offset: r.Offset, Batch: r.Batch, Payload: r.Data}
	if damage != nil {
		j.Damage = damage.Error()
	}
	return j
}

func (c *command) dumpWAL(w *bufio.Writer, number uint64, o engine.DumpOptions) (int, error) {
	lines := json.NewEncoder(w)
	for r, err := range engine.DumpWAL(c.dir(), number, o) {
		if err != nil {
			return 0, err
		}
		if c.json {
			err = lines.Encode(recordJSON(r))
		} else {
			err = writeRecord(w, r)
		}
		if err != nil {
			return 0, err
		}
	}
	return exitSound, nil
}

func writeRecord(w io.Writer, r engine.WALRecord) error {
	if r.Kind == "frame" {
		fault := ""
		if r.Fault != "" {
			fault = " fault: " + r.Fault
		}
		_, err := fmt.Fprintf(w, "%d frame batch=%d watermark=%d bytes=%d%s\n", r.Offset, r.Batch, r.Watermark, r.Bytes, fault)
		return err
	}
	_, err := fmt.Fprintf(w, "%d   %s uid=%s id=%d number=%d prev=%d entry=%d/%d type=%d size=%d crc=%08x", r.Offset, r.Kind, r.UID, r.ID,
		r.Number, r.Prev, r.Term, r.Index, r.Type, r.Size, r.CRC)
	if err == nil && !r.Sound {
		_, err = io.WriteString(w, " fault: payload does not verify")
	}
	if err == nil && r.Data != nil {
		_, err = fmt.Fprintf(w, " payload=%x", r.Data)
	}
	if err == nil {
		_, err = fmt.Fprintln(w)
	}
	return err
}

type jsonRecord struct {
	Kind      string `json:"kind"`
	Offset    int64  `json:"offset"`
	Batch     uint64 `json:"batch"`
	Watermark uint64 `json:"watermark,omitempty"`
	Bytes     int64  `json:"bytes,omitempty"`
	Number    uint32 `json:"number,omitempty"`
	UID       string `json:"uid,omitempty"`
	ID        uint64 `json:"id,omitempty"`
	Prev      uint64 `json:"prev,omitempty"`
	Index     uint64 `json:"index,omitempty"`
	Term      uint64 `json:"term,omitempty"`
	Type      uint8  `json:"type,omitempty"`
	Size      int    `json:"size,omitempty"`
	CRC       string `json:"crc,omitempty"`
	Payload   []byte `json:"payload,omitempty"`
	Fault     string `json:"fault,omitempty"`
}

func recordJSON(r engine.WALRecord) jsonRecord {
	j := jsonRecord{Kind: r.Kind, Offset: r.Offset, Batch: r.Batch, Watermark: r.Watermark, Bytes: r.Bytes, Number: r.Number,
		UID: string(r.UID), ID: r.ID, Prev: uint64(r.Prev), Index: uint64(r.Index), Term: uint64(r.Term), Type: r.Type, Size: r.Size,
		Payload: r.Data, Fault: r.Fault}
	if r.Kind != "frame" {
		j.CRC = fmt.Sprintf("%08x", r.CRC)
		if !r.Sound {
			j.Fault = "payload does not verify"
		}
	}
	return j
}
