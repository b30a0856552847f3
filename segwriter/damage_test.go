package segwriter_test

import (
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/segwriter"
)

// When any block of a file is lost, nothing that a later chunk superseded comes back, whatever
// holes the later chunks had.
func TestLostBlockRevivesNothing(t *testing.T) {
	fs := newFS(t)
	w, l := writer(t, fs, nil), newLog(5)
	mustFlush(t, fs, w, l, entries(l.id, 1, 30, 1, 40))
	mustFlush(t, fs, w, l, entries(l.id, 20, 22, 2, 40), entries(l.id, 40, 47, 2, 40))
	mustFlush(t, fs, w, l, entries(l.id, 48, 49, 2, 40))
	l.checkNothingRevived(t, fs)
}

// checkNothingRevived loses every block of the log's only segment in turn.
func (l *log) checkNothingRevived(t *testing.T, fs *memfs.FS) {
	t.Helper()
	if len(l.segs) != 1 {
		t.Fatalf("list %v", l.segs)
	}
	s := l.segs[0]
	name := segwriter.Path(dir, l.id, s.Number)
	for off := int64(0); off < s.Bytes; off += segment.BlockSize {
		image := fs.Crash(crashLost)
		f, err := image.Open(name, vfs.OpenOptions{Write: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(make([]byte, segment.BlockSize), off); err != nil {
			t.Fatal(err)
		}
		f.Close()
		r, err := segment.Open(image, name, l.id, s, segment.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := raftlog.Index(1); i <= s.Range.Last; i++ {
			if e, _, err := r.Get(i, nil); err == nil && e.Term != l.want[i].Term {
				t.Errorf("block at %d lost: index %d has term %d, want %d", off, i, e.Term, l.want[i].Term)
			}
		}
		r.Close()
	}
}
