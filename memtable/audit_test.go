package memtable

import "testing"

// present lists the pointers in the directory, in order.
func (d *directory[T]) present() []*T {
	var out []*T
	if v := d.view.Load(); v != nil {
		for k := range v.ptrs {
			if p := v.ptrs[k].Load(); p != nil {
				out = append(out, p)
			}
		}
	}
	return out
}

// audit counts all memory afresh and checks the order of the chunks.
func audit(t *testing.T, tb *Table) {
	t.Helper()
	tb.check()
	var held int64
	if sp := tb.sparse.Load(); sp != nil {
		for _, s := range sp.entries {
			held += s.bytes()
		}
	}
	if tl := tb.tail.Load(); tl != nil {
		held += tl.audit(t)
	}
	if held != tb.Bytes() {
		t.Fatalf("%d bytes held, %d accounted", held, tb.Bytes())
	}
}

func (tl *tail) audit(t *testing.T) int64 {
	t.Helper()
	var held int64
	blocks := tl.blocks.present()
	for k, b := range blocks {
		held += int64(len(b.slots)) * slotBytes
		if len(b.slots) != blockSlots && k != len(blocks)-1 {
			t.Fatalf("block %d of %d has %d slots", k, len(blocks), len(b.slots))
		}
	}
	var last uint64
	for _, c := range tl.chunks.present() {
		held += c.charge
		if c.last != 0 && uint64(c.last) < last {
			t.Fatalf("a chunk up to %d follows one up to %d", c.last, last)
		}
		last = max(last, uint64(c.last))
	}
	if held != tl.held {
		t.Fatalf("tail holds %d bytes, accounts for %d", held, tl.held)
	}
	return held
}
