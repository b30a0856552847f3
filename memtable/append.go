package memtable

import (
	"fmt"

	"github.com/rawl-db/rawl/internal/invariants"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// Append stores entries with consecutive indexes from Last()+1 and then shows all
// of them to readers at once. Payloads are copied, and their CRC-32C computed. It does not
// wait. Errors, before anything is stored: ErrGap, ErrTooLarge. Writer only.
func (t *Table) Append(entries []raftlog.Entry) error {
	last := t.Last()
	for k := range entries {
		if err := accept(&entries[k], last+raftlog.Index(k)); err != nil {
			return err
		}
	}
	if len(entries) == 0 {
		return nil
	}
	tl, held := t.writable()
	for k := range entries {
		tl.put(&entries[k], 0, false)
	}
	t.publish(tl, held, last+raftlog.Index(len(entries)))
	return nil
}

// Add is Append for one entry. It returns the table's copy of the payload, as Get does, and its
// CRC-32C. Writer only.
func (t *Table) Add(e *raftlog.Entry) (stored []byte, crc uint32, err error) {
	if err := accept(e, t.Last()); err != nil {
		return nil, 0, err
	}
	tl, held := t.writable()
	stored, crc = tl.put(e, 0, false)
	t.publish(tl, held, e.Index)
	return stored, crc, nil
}

// AppendChecked is Append for one entry whose payload has the CRC-32C crc, which
// the caller has verified. Writer only.
func (t *Table) AppendChecked(e raftlog.Entry, crc uint32) error {
	if err := accept(&e, t.Last()); err != nil {
		return err
	}
	if invariants.Enabled && sum(e.Data) != crc {
		panic(fmt.Sprintf("memtable: entry %v does not have checksum %#08x", e.ID(), crc))
	}
	tl, held := t.writable()
	tl.put(&e, crc, true)
	t.publish(tl, held, e.Index)
	return nil
}

// accept reports why e cannot follow the index last.
func accept(e *raftlog.Entry, last raftlog.Index) error {
	if e.Index == last+1 && e.Index <= MaxIndex && len(e.Data) <= MaxPayload {
		return nil
	}
	return refusal(e, last)
}

func refusal(e *raftlog.Entry, last raftlog.Index) error {
	if len(e.Data) > MaxPayload {
		return fmt.Errorf("%w: %d bytes at index %d, at most %d", ErrTooLarge, len(e.Data), e.Index, MaxPayload)
	}
	return fmt.Errorf("%w: got %d after %d", ErrGap, e.Index, last)
}

// writable returns the tail to append to and the bytes it held before.
func (t *Table) writable() (*tail, int64) {
	tl := t.tail.Load()
	if tl == nil {
		tl = newTail(t.Last()+1, t.pool)
		t.tail.Store(tl)
	}
	return tl, tl.held
}

// publish accounts for what was stored and makes it readable up to last.
func (t *Table) publish(tl *tail, held int64, last raftlog.Index) {
	if tl.held != held {
		t.bytes.Add(tl.held - held)
	}
	t.last.Store(uint64(last))
	if invariants.Enabled {
		t.check()
	}
}
