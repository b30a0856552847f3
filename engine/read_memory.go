package engine

import "slices"

// ReadMemory appends to dst the entries from first to last that are in memory, up to the first that is not,
// and as long as their payloads are at most maxBytes together; one is taken whatever its size. It reads no disk and takes
// no lock. Data is as that of Read: it stays valid and must not be modified. Nothing says why an entry
// is missing: Read does.
func (l *Log) ReadMemory(dst []Entry, first, last Index, maxBytes int) []Entry {
	v := l.view.Load()
	if l.broken.Load() != nil || first <= v.released.Index {
		return dst
	}
	if first <= last {
		dst = slices.Grow(dst, int(min(last-first+1, readBatchEntries)))
	}
	bytes := 0
	for i := first; i <= last; i++ {
		t := v.at(i)
		if t == nil {
			break
		}
		e, _, ok := t.Get(i)
		if !ok || i > first && bytes+len(e.Data) > maxBytes {
			break
		}
		bytes += len(e.Data)
		dst = append(dst, e)
	}
	return dst
}
