package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
)

var errRecUnreadable = errors.New("unreadable")

// recFS is a read-only file system in memory with unreadable blocks; any other use crashes the test.
type recFS struct {
	vfs.FS
	files map[string][]byte
	// refuse makes reads that overlap the block fail; a positive count is used up.
	refuse map[string]map[int]int
	allocs int64 // bytes handed out by Alloc
	direct int   // files opened direct
}

func (im *recImage) fs() *recFS {
	s := &recFS{files: map[string][]byte{}, refuse: map[string]map[int]int{}}
	for _, f := range im.files {
		s.files[FileName("wal", f.number)] = f.data
	}
	return s
}

func (s *recFS) Open(name string, o vfs.OpenOptions) (vfs.File, error) {
	data, ok := s.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if o.Direct {
		s.direct++
	}
	return &recFSFile{fs: s, name: name, data: data}, nil
}

func (s *recFS) Alloc(size int) ([]byte, func(), error) {
	s.allocs += int64(size)
	return make([]byte, size), func() {}, nil
}

func (s *recFS) NewQueue(int) (vfs.Queue, error) { return &recFSQueue{}, nil }

type recFSFile struct {
	vfs.File
	fs   *recFS
	name string
	data []byte
}

func (f *recFSFile) Name() string         { return f.name }
func (f *recFSFile) Size() (int64, error) { return int64(len(f.data)), nil }
func (f *recFSFile) Close() error         { return nil }

func (f *recFSFile) ReadAt(b []byte, off int64) (int, error) {
	for block, left := range f.fs.refuse[f.name] {
		if at := int64(block) * vfs.BlockSize; at < off+int64(len(b)) && off < at+vfs.BlockSize && left != 0 {
			f.fs.refuse[f.name][block]--
			return 0, fmt.Errorf("read %s: %w", f.name, errRecUnreadable)
		}
	}
	n := 0
	if off < int64(len(f.data)) {
		n = copy(b, f.data[off:])
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// recFSQueue completes the newest operation first.
type recFSQueue struct{ ops []*vfs.Op }

func (q *recFSQueue) Submit(op *vfs.Op) error { q.ops = append(q.ops, op); return nil }

func (q *recFSQueue) Reap(least int, done []*vfs.Op) (int, error) {
	n := 0
	for len(q.ops) > 0 && n < len(done) && (n < least || len(q.ops)%2 == 0) {
		op := q.ops[len(q.ops)-1]
		q.ops = q.ops[:len(q.ops)-1]
		op.N, op.Err = op.File.ReadAt(op.Buf, op.Off)
		done[n] = op
		n++
	}
	return n, nil
}

func (q *recFSQueue) Outstanding() int { return len(q.ops) }
func (q *recFSQueue) Close() error     { return nil }

// recGot is a visitor that writes down what it gets.
type recGot struct {
	report Report
	logs   map[raftlog.LogID][]string // all records, the tail's included
	tail   map[raftlog.LogID][]string
	lost   []Loss
	script []string // everything in order
	uids   map[raftlog.LogID]raftlog.UID
	// asked are the live logs, hit those that a loss names or with ID 0 does not except.
	asked, hit []raftlog.LogID
}

func (g *recGot) Record(r *Record) error {
	line := recLine(r.Kind, r.Type, uint64(r.Index), uint64(r.Term), uint64(r.Prev), uint64(r.Batch), r.Payload)
	g.logs[r.ID] = append(g.logs[r.ID], line)
	if r.Tail {
		g.tail[r.ID] = append(g.tail[r.ID], line)
		line += " tail"
	}
	g.uids[r.ID] = r.UID
	g.script = append(g.script, fmt.Sprintf("log %d %s", r.ID, line))
	return nil
}

func (g *recGot) Lost(l Loss) error {
	if l.ID == 0 {
		for _, id := range g.asked {
			if !l.Except(id) {
				g.hit = append(g.hit, id)
			}
		}
	} else {
		g.hit = append(g.hit, l.ID)
	}
	g.lost = append(g.lost, l)
	g.script = append(g.script, l.String())
	return nil
}

func (g *recGot) FileDone(number uint64, first, last raftlog.Batch) error {
	g.script = append(g.script, fmt.Sprintf("file %x %d-%d", number, first, last))
	return nil
}

// lostIDs are the logs that were hit, each once.
func (g *recGot) lostIDs() []raftlog.LogID {
	return slices.Compact(slices.Sorted(slices.Values(g.hit)))
}

// sure are the logs that were hit without a maybe.
func (g *recGot) sure() []raftlog.LogID {
	ids := map[raftlog.LogID]bool{}
	for _, l := range g.lost {
		if !l.Maybe {
			ids[l.ID] = true
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

// recRun recovers the files of s; asked are the live logs.
func recRun(s vfs.FS, numbers []uint64, change func(*RecoverOptions)) (*recGot, error) {
	g := &recGot{
		logs: map[raftlog.LogID][]string{}, tail: map[raftlog.LogID][]string{},
		uids: map[raftlog.LogID]raftlog.UID{}, asked: []raftlog.LogID{1, 2, 3, 4, 77},
	}
	o := RecoverOptions{FS: s, Dir: "wal", Stream: recStream, Files: numbers, Serial: true}
	if change != nil {
		change(&o)
	}
	var err error
	g.report, err = Recover(o, g)
	return g, err
}

// recMust is recRun of an image that must not fail.
func recMust(t testing.TB, im *recImage, change func(*RecoverOptions)) *recGot {
	t.Helper()
	g, err := recRun(im.fs(), im.numbers(), change)
	if err != nil {
		t.Fatalf("recover: %v", err)
	}
	return g
}

// recSame fails unless got holds exactly what want says.
func recSame(t testing.TB, got, want map[raftlog.LogID][]string) {
	t.Helper()
	if !maps.EqualFunc(got, want, slices.Equal[[]string]) {
		t.Fatalf("records differ\n got %v\nwant %v", got, want)
	}
}
