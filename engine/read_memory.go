package engine

// InMemory reports whether all entries from index first to the last one are in memory now, so that
// reading them costs no disk. A flush may change that at any moment: reading is correct all the same.
func (l *Log) InMemory(first Index) bool {
	v := l.view.Load()
	if first <= v.released.Index {
		return false
	}
	next := v.last() + 1
	for _, link := range v.chain {
		if first >= next {
			return true
		}
		if link.table.Last()+1 < next {
			return false
		}
		next = max(link.table.First(), link.start)
		if next > link.start && first < next {
			return false // what was there before is flushed
		}
	}
	return first >= next
}
