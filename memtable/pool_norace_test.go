//go:build !race

package memtable

import (
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// TestReleasedTableAllocatesRarely appends and releases all again and again, as a log does whose
// entries are not needed once they are durable. With the race detector a pool loses chunks at random.
func TestReleasedTableAllocatesRarely(t *testing.T) {
	for _, size := range []int{0, 64, 256, 4096, 16 << 10} {
		tb := (&Pool{}).New(1)
		e := make([]raftlog.Entry, 1)
		e[0] = entry(1, size)
		n := testing.AllocsPerRun(20, func() {
			for k := range 2000 {
				e[0].Index = tb.Last() + 1
				if _, _, err := tb.Add(&e[0]); err != nil {
					t.Fatal(err)
				}
				if k%10 == 9 {
					tb.Release(MaxIndex)
				}
			}
		}) / 2000
		if n > 0.1 {
			t.Errorf("%d bytes: %.3f allocations per entry", size, n)
		}
	}
}
