package readplan

import (
	"cmp"
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
)

const (
	groupBytes = 8 << 20 // of pieces, unless one entry is larger
	groupItems = 16384
	groupFiles = 128
	pieceBytes = 1 << 20 // unless one entry is larger
)

// stretchBytes is the most that is located at once: a piece with the blocks that it begins and
// ends in.
const stretchBytes = pieceBytes - 2*blockSize

// group is a part of a plan, in the order of yielding, that is read at once. It belongs to the
// execution that has its lane.
type group struct {
	number uint64 // its place in the lane
	items  []item // in memory, missing, or what one of reads holds
	next   int    // first of items that was not taken

	files    []openFile
	reads    []wanted // the items in segments, in their order
	read     int      // first of reads that was not taken wholly
	places   []uint32 // positions in reads, by place on disk
	unsorted bool     // places are not in their order yet
	pieces   []piece
	arena    *arena // of the pieces; nil before the first
	cost     int    // bytes that the pieces may take
}

// openFile is a segment in use by a group.
type openFile struct {
	segment uint32 // position in the plan
	ref     Ref
	file    vfs.File // that its pieces are read from
	near    int      // where in the segment's index the last entry was
	err     error    // why there is no ref
}

// wanted is neighbours to be read, as far as they were not taken yet.
type wanted struct {
	segment.Stretch
	file  uint32
	piece uint32 // none when all payloads are empty
	err   error  // why the entry, which is only one then, cannot be read
}

func (g *group) more() bool { return g.next < len(g.items) }

// reset makes the group one of nothing. What it had open is released, what is in its arena lost.
func (g *group) reset() {
	for k := range g.files {
		if f := &g.files[k]; f.err == nil {
			f.ref.Release()
		}
	}
	clear(g.files)
	clear(g.reads)
	clear(g.pieces)
	g.items, g.files, g.reads, g.places, g.pieces = g.items[:0], g.files[:0], g.reads[:0], g.places[:0], g.pieces[:0]
	g.next, g.read, g.cost, g.unsorted = 0, 0, 0, false
	if g.arena.size() > 2*groupBytes {
		g.arena.release()
		g.arena = nil
	}
}

// add locates n entries of a segment, from index i on, or those of them that lie together, and
// returns how many.
func (g *group) add(b *body, i raftlog.Index, n int, at uint32) int {
	k := g.open(b, at)
	w := wanted{file: uint32(k), err: g.files[k].err}
	if w.err == nil {
		w.Stretch, w.err = g.files[k].ref.Reader().Stretch(i, n, stretchBytes, &g.files[k].near)
	}
	count := 1
	if w.err == nil {
		count = w.Len()
	}
	if w.Bytes > 0 {
		g.cost += g.distance(&w, int(b.o.gap()))
		if k := len(g.places) - 1; k >= 0 && g.compare(&g.reads[g.places[k]], &w) > 0 {
			g.unsorted = true
		}
		g.places = append(g.places, uint32(len(g.reads)))
	}
	g.reads = append(g.reads, w)
	g.items = append(g.items, item{index: i, kind: inSegment, at: at, n: uint16(count)})
	return count
}

// room reports whether the group takes more.
func (g *group) room() bool {
	return g.cost < groupBytes && len(g.files) < groupFiles && len(g.items) < groupItems
}

// distance is what the entries add to the pieces at most.
func (g *group) distance(w *wanted, gap int) int {
	if k := len(g.reads) - 1; k >= 0 && g.reads[k].err == nil && g.reads[k].file == w.file {
		before := &g.reads[k].Stretch
		d := w.Offset - before.Offset - int64(before.Bytes)
		if d >= 0 && d <= int64(gap) {
			return w.Bytes + int(d)
		}
	}
	return w.Bytes + gap
}

// open returns the position of the segment in files.
func (g *group) open(b *body, at uint32) int {
	for k := len(g.files) - 1; k >= 0; k-- {
		if g.files[k].segment == at {
			return k
		}
	}
	f := openFile{segment: at}
	if b.x.isClosed() {
		f.err = ErrClosed
	} else {
		f.ref, f.err = b.x.o.Cache.Acquire(b.id, b.segments[at])
	}
	if f.err == nil {
		f.file = f.ref.Reader().File()
		if b.x.o.Direct {
			f.file = f.ref.Reader().DirectFile()
		}
	}
	g.files = append(g.files, f)
	return len(g.files) - 1
}

// cut makes the pieces: entries by place, joined over gaps of at most gap bytes, in the order in
// which they are asked for.
func (g *group) cut(fs vfs.FS, gap int64) {
	if g.unsorted {
		slices.SortFunc(g.places, func(x, y uint32) int { return g.compare(&g.reads[x], &g.reads[y]) })
	}
	need := 0
	for k := 0; k < len(g.places); {
		p, n := g.join(k, gap)
		need += alignUp(p.have)
		g.pieces = append(g.pieces, p)
		k += n
	}
	g.allot(fs, need)
}

// compare orders entries by their places on disk.
func (g *group) compare(a, b *wanted) int {
	if a.file != b.file {
		return cmp.Compare(a.file, b.file)
	}
	return cmp.Compare(a.Offset, b.Offset)
}

// join makes the piece that begins with place k, and returns how many places it has. Its buffer is
// of the right length, and not there yet.
func (g *group) join(k int, gap int64) (p piece, n int) {
	w := &g.reads[g.places[k]]
	file := g.files[w.file].file
	direct := file.Direct()
	start, end := w.Offset, w.Offset+int64(w.Bytes)
	if direct {
		start, end = alignDown(start), int64(alignUp(int(end)))
	}
	for ; k+n < len(g.places); n++ {
		v := &g.reads[g.places[k+n]]
		to := v.Offset + int64(v.Bytes)
		if direct {
			to = int64(alignUp(int(to)))
		}
		if n > 0 && (v.file != w.file || v.Offset-end > gap || to-start > pieceBytes && to > end) {
			break
		}
		end = max(end, to)
		v.piece = uint32(len(g.pieces))
	}
	p.op = vfs.Op{Kind: vfs.OpRead, File: file, Off: start, Tag: g.number<<32 | uint64(len(g.pieces))}
	p.have = int(end - start)
	return p, n
}

const blockSize = vfs.BlockSize

func alignDown(n int64) int64 { return n &^ (blockSize - 1) }
func alignUp(n int) int       { return (n + blockSize - 1) &^ (blockSize - 1) }

// data is what was read from the place of w on, w's bytes or more; less when they could not be read.
func (g *group) data(w *wanted) []byte {
	if w.Bytes == 0 {
		return nil
	}
	return g.pieces[w.piece].from(w.Offset)
}

// entry makes the first entry of w, which its bytes alone do not give: they are damaged, or were
// not read. Then it is read by itself.
func (g *group) entry(w *wanted, data []byte) (raftlog.Entry, error) {
	r, at := g.files[w.file].ref.Reader(), w.Head()
	if len(data) >= at.Length {
		return r.Check(w.First, at, data[:at.Length:at.Length])
	}
	e, _, err := r.Get(w.First, nil)
	return e, err
}

// taken moves on behind the present read when nothing of it is left.
func (g *group) taken(w *wanted) {
	if w.Len() == 0 {
		g.next++
		g.read++
	}
}

// allot gives the pieces their buffers, need bytes in all.
func (g *group) allot(fs vfs.FS, need int) {
	if g.arena.size() < need {
		g.arena.release()
		g.arena = newArena(fs, need)
	}
	at := 0
	for k := range g.pieces {
		p := &g.pieces[k]
		p.op.Buf = g.arena.buf[at : at+p.have : at+p.have]
		at += alignUp(p.have)
		p.have = 0
	}
}
