package memtable_test

import (
	"fmt"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/memtable"
)

func Example() {
	table := memtable.New(7)
	err := table.Append([]raftlog.Entry{
		{Index: 7, Term: 2, Data: []byte("seven")},
		{Index: 8, Term: 2, Data: []byte("eight")},
		{Index: 9, Term: 3, Data: []byte("nine")},
	})
	fmt.Println(table.Range(), err)

	entry, crc, ok := table.Get(8)
	fmt.Printf("%v %s %08x %v\n", entry.ID(), entry.Data, crc, ok)

	table.Release(8)
	fmt.Println(table.Range(), table.Contains(8), string(entry.Data))

	fmt.Println(table.Append([]raftlog.Entry{{Index: 12}}))
	// Output:
	// [7,9] <nil>
	// 2/8 eight 1f06c0ea true
	// [9,9] false eight
	// memtable: index out of sequence: got 12 after 9
}
