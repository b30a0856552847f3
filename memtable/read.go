package memtable

import "github.com/rawl-db/rawl/internal/raftlog"

// Get returns the entry at i with the CRC-32C of its payload; ok is false when the
// table does not hold it. Data aliases the table's memory: it must not be modified, and
// stays valid after a release. An empty payload is nil.
func (t *Table) Get(i raftlog.Index) (e raftlog.Entry, crc uint32, ok bool) {
	if tl, s := t.find(i); s != nil {
		if data, ok := tl.payload(s); ok {
			return raftlog.Entry{Index: i, Term: s.term, Type: s.kind, Data: data}, s.crc, true
		}
	}
	if s := t.findSparse(i); s != nil {
		return s.entry, s.crc, true
	}
	return raftlog.Entry{}, 0, false
}

// Peek is Get for who will be done with Data before the entry is released, and knows it: the memory
// may then be used again at once.
func (t *Table) Peek(i raftlog.Index) (e raftlog.Entry, crc uint32, ok bool) {
	tl, s := t.find(i)
	if s == nil || s.length == 0 {
		return t.Get(i)
	}
	c := tl.chunk(s.chunk)
	if c == nil {
		return t.Get(i)
	}
	return raftlog.Entry{Index: i, Term: s.term, Type: s.kind, Data: c.slice(s)}, s.crc, true
}

// Term returns the term of the entry at i; ok is false when the table does not hold it.
func (t *Table) Term(i raftlog.Index) (term raftlog.Term, ok bool) {
	if _, s := t.find(i); s != nil {
		return s.term, true
	}
	if s := t.findSparse(i); s != nil {
		return s.entry.Term, true
	}
	return 0, false
}

// Contains reports whether the table holds the entry at i.
func (t *Table) Contains(i raftlog.Index) bool {
	_, ok := t.Term(i)
	return ok
}

// find returns the slot of i and its tail, nil when i is not held there. The loads are in the
// order that the package comment explains.
func (t *Table) find(i raftlog.Index) (*tail, *slot) {
	if uint64(i) > t.last.Load() || uint64(i) < t.first.Load() {
		return nil, nil
	}
	tl := t.tail.Load()
	if tl == nil {
		return nil, nil
	}
	return tl, tl.find(i)
}

// Each hands the entries of [first, last] to fn in order, with the CRC-32C of each payload,
// until fn returns false or an entry is not held; those kept by PutSparse are not
// visited. It returns the first index that was not handed over. Data aliases the
// table's memory as with Get. It costs less per entry than Get and allocates nothing itself.
func (t *Table) Each(first, last raftlog.Index, fn func(e raftlog.Entry, crc uint32) bool) (next raftlog.Index) {
	w, i := t.walk(first, last)
	for {
		slots := w.slots(i)
		if len(slots) == 0 {
			return i
		}
		for k := range slots {
			s := &slots[k]
			data, ok := w.payload(s)
			if !ok {
				return i
			}
			i++
			if !fn(raftlog.Entry{Index: i - 1, Term: s.term, Type: s.kind, Data: data}, s.crc) {
				return i
			}
		}
	}
}

// Fill is Each into slices: from first on it sets entries[k] and crcs[k] until the shorter of both
// is full, an entry is not held, or their payloads would exceed budget, in bytes; a longer entry comes
// alone. It returns how many it set, and the bytes of their payloads. crcs is nil when nobody asks
// for them.
func (t *Table) Fill(first raftlog.Index, entries []raftlog.Entry, crcs []uint32, budget int) (n, bytes int) {
	if crcs != nil {
		entries = entries[:min(len(entries), len(crcs))]
	}
	w, i := t.walk(first, MaxIndex)
	for n < len(entries) && bytes <= budget {
		slots := w.slots(i + raftlog.Index(n))
		slots = slots[:min(len(slots), len(entries)-n)]
		var rest []uint32
		if crcs != nil {
			rest = crcs[n : n+len(slots)]
		}
		k, more := w.fill(slots, entries[n:], rest, i+raftlog.Index(n))
		n += k
		bytes += more
		if k == 0 || k < len(slots) {
			break
		}
	}
	for bytes > budget && n > 1 {
		n--
		bytes -= len(entries[n].Data)
	}
	return n, bytes
}

// fill sets the entries of slots, the first of which is that of i, until one was released, and
// crcs unless they are nil. It returns how many, and the bytes of their payloads.
func (w *walker) fill(slots []slot, entries []raftlog.Entry, crcs []uint32, i raftlog.Index) (n, bytes int) {
	for n < len(slots) {
		k := oneChunk(slots[n:])
		var mem []byte
		if s := &slots[n]; s.length > 0 {
			if w.chunk == nil || w.number != s.chunk {
				if w.chunk = w.tail.lend(s.chunk); w.chunk == nil {
					return n, bytes
				}
				w.number = s.chunk
			}
			mem = w.chunk.mem
		}
		var rest []uint32
		if crcs != nil {
			rest = crcs[n:]
		}
		bytes += set(slots[n:n+k], entries[n:], rest, mem, i+raftlog.Index(n))
		n += k
	}
	return n, bytes
}

// oneChunk returns how many of the first slots, which are not none, have their payloads in one chunk,
// or have none. Chunks are in the order of the indexes they hold, so the last slot answers for all,
// as a rule.
func oneChunk(slots []slot) int {
	first, last := &slots[0], &slots[len(slots)-1]
	if first.length > 0 && last.length > 0 && first.chunk == last.chunk {
		return len(slots)
	}
	for k := range slots {
		if s := &slots[k]; (s.length > 0) != (first.length > 0) || s.length > 0 && s.chunk != first.chunk {
			return k
		}
	}
	return len(slots)
}

// set sets the entries of slots, whose payloads are all in mem, and crcs unless they are nil, and
// returns the bytes of the payloads. Its loop is the whole cost of reading in batches.
func set(slots []slot, entries []raftlog.Entry, crcs []uint32, mem []byte, i raftlog.Index) (bytes int) {
	entries = entries[:len(slots)]
	for k := range slots {
		s, e := &slots[k], &entries[k]
		e.Index, e.Term, e.Type = i+raftlog.Index(k), s.term, s.kind
		if k < len(crcs) {
			crcs[k] = s.crc
		}
		if s.length == 0 {
			e.Data = nil
			continue
		}
		end := s.offset + s.length
		e.Data = mem[s.offset:end:end]
		bytes += int(s.length)
	}
	return bytes
}

// walker visits consecutive slots of one tail with one directory lookup per block
// and per chunk. What was published before walk stays reachable unless it is released.
type walker struct {
	tail   *tail
	blocks *directoryView[block]
	last   raftlog.Index
	number uint32 // of chunk, when that is not nil
	chunk  *chunk
}

// walk returns a walker over [first, last] and the index to begin at, which is
// first. The walker has no slots when first is not held.
func (t *Table) walk(first, last raftlog.Index) (walker, raftlog.Index) {
	last = min(last, t.Last())
	tl := t.tail.Load()
	if tl == nil || first > last || first < t.First() {
		return walker{}, first
	}
	return walker{tail: tl, blocks: tl.blocks.view.Load(), last: last}, first
}

// slots returns the slots from i to the end of its block, or to the walker's
// last index; none beyond that, or when i was released.
func (w *walker) slots(i raftlog.Index) []slot {
	if w.blocks == nil || i > w.last || i < w.tail.origin {
		return nil
	}
	n := uint64(i - w.tail.origin)
	b := w.blocks.get(n >> blockShift)
	if b == nil {
		return nil
	}
	from := n & blockMask
	return b.slots[from:min(blockSlots, from+uint64(w.last-i)+1)]
}

func (w *walker) payload(s *slot) (data []byte, ok bool) {
	if s.length == 0 {
		return nil, true
	}
	if w.chunk == nil || w.number != s.chunk {
		if w.chunk = w.tail.lend(s.chunk); w.chunk == nil {
			return nil, false
		}
		w.number = s.chunk
	}
	return w.chunk.slice(s), true
}
