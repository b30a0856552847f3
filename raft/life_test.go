package raft

import "testing"

// A life is above all that are known, and above those that ended before its clock's time.
func TestNextLife(t *testing.T) {
	const now = lifeEpoch + 5_000_000
	for _, c := range []struct {
		what string
		last uint64
		now  int64
		want uint64
	}{
		{"first", 0, now, 5_000_000},
		{"later", 4_000_000, now, 5_000_000},
		{"numbered by counting", 17, now, 5_000_000},
		{"soon", 5_000_000 - 1, now, 5_000_000 - 1 + lifeStep},
		{"again in the same moment", 5_000_000, now, 5_000_000 + lifeStep},
		{"clock went back", 9_000_000, now, 9_000_000 + lifeStep},
		{"clock before all times", 0, -1 << 63, lifeStep},
		{"clock before 2020", 12, 0, 12 + lifeStep},
		{"clock behind all times", 3, 1<<63 - 1, lastLife},
		{"clock behind all times, again", lastLife, 1<<63 - 1, lastLife + lifeStep},
	} {
		if got := nextLife(c.last, c.now); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
	if next := nextLife(lastLife, 0); next<<lifeShift>>lifeShift != next {
		t.Error("numbers of requests run over")
	}
}
