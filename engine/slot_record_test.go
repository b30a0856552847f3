package engine

import (
	"bytes"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/wal"
)

// TestSlotRecordGolden fixes the bytes of the payload.
func TestSlotRecordGolden(t *testing.T) {
	c := slotControl(slotAcked, raftlog.Slot{Name: "mirror-1", Acked: EntryID{Term: 3, Index: 9}}, true)
	if c.Kind != wal.KindSlot || c.Index != 9 || c.Term != 3 || !c.Lazy || !bytes.Equal(c.Payload, []byte("\x02\x00mirror-1")) {
		t.Fatalf("%+v", c)
	}
}

// FuzzSlotRecord: what is accepted has exactly one form.
func FuzzSlotRecord(f *testing.F) {
	for _, p := range []string{"", "\x01", "\x01\x00", "\x01\x00a", "\x04\x00slot-0", "\x05\x00a", "\x02\x01a", "\x02\x00a b"} {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		change, s, err := decodeSlot(&wal.Record{Kind: wal.KindSlot, Index: 7, Term: 2, Payload: p})
		if err != nil {
			return
		}
		if c := slotControl(change, s, true); !bytes.Equal(c.Payload, p) || c.Index != 7 || c.Term != 2 {
			t.Fatalf("%q becomes %q", p, c.Payload)
		}
	})
}
