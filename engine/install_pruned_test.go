package engine_test

import (
	"io"
	"path"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestInstalledSegmentsGoUnnamed: segments of an installed snapshot that a newer one needs no longer before the manifest
// ever named them leave the disk with the flush that would have named them.
func TestInstalledSegmentsGoUnnamed(t *testing.T) {
	fs := memfs.New(1)
	d, l := slotLog(t, fs, slotOptions(), 5)
	d.flush(t) // and with it the sweep that follows an open
	s := ship(t, 40, always(2), 100, 3, 11, 12, 13, 30)
	in, err := l.Install(s.header)
	slotOK(t, err)
	for n := range s.chunks {
		slotOK(t, in.Accept(n, s.chunks[n], s.sums[n]))
	}
	slotOK(t, s.sendLive(in)) // each call makes a segment or adds to one
	_, err = in.Finish(&ending{Context: canceled()})
	slotErr(t, err, canceled().Err())
	d.drain(t, "commit", "pool")
	made := l.Installed()
	slotTrue(t, len(made) > 1)
	grow2(t, l, 3)
	d.drain(t, "commit", "pool")
	slotOK(t, l.Capture(engine.Capture{Kind: engine.KindSnapshot, At: l.Last(), Live: seqOf(made[0].Range.First),
		State: func(w io.Writer) error { return nil }}))
	d.step("snapshots")
	grow2(t, l, 1)
	d.flush(t)
	for k, seg := range made {
		_, err := fs.Stat(path.Join(l.Dir(), segment.FileName(seg.Number)))
		if gone := err != nil; gone != (k > 0) {
			t.Errorf("segment %d of %d, %v: gone is %v", k, len(made), seg.Range, gone)
		}
	}
}
