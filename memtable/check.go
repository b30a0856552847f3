package memtable

import (
	"fmt"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// check panics when the positions contradict what is held: the lowest and the
// highest index held must be found. The writer calls it in builds with the tag invariants.
func (t *Table) check() {
	first, last := t.First(), t.Last()
	if first == 0 || first > last+1 || t.Bytes() < 0 {
		panic(fmt.Sprintf("memtable: first %d, last %d, %d bytes", first, last, t.Bytes()))
	}
	if first > last {
		return
	}
	for _, i := range [...]raftlog.Index{first, last} {
		tl, s := t.find(i)
		if s == nil {
			panic(fmt.Sprintf("memtable: [%d,%d] is held without %d", first, last, i))
		}
		if s.length > 0 && tl.chunk(s.chunk) == nil {
			panic(fmt.Sprintf("memtable: [%d,%d] is held without the payload of %d", first, last, i))
		}
	}
}
