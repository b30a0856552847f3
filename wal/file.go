package wal

import (
	"fmt"
	"path/filepath"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
)

// FileName returns the path of file number in dir.
func FileName(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x.wal", number))
}

// ParseFileName returns the number of a file from the last element of its path.
func ParseFileName(base string) (number uint64, ok bool) {
	if len(base) != 20 {
		return 0, false
	}
	if _, err := fmt.Sscanf(base, "%016x.wal", &number); err != nil {
		return 0, false
	}
	return number, base == fmt.Sprintf("%016x.wal", number)
}

// current is the file that batches go to.
type current struct {
	file   vfs.File
	number uint64
	id     frame.Identity
	first  raftlog.Batch // batch of its first frame, written or to come
	frames uint64
	// off is where the next frame goes, size where the file should end, zeroed up to where
	// all blocks have been written before.
	off, size, zeroed int64
	entries           int64
	logs              []SealedLog // in the order of declaration
	declared          int         // logs[:declared] are declared by durable frames
	spans             []Span      // room for the first span of further logs
}

// spanRoom is for how many logs' first spans room is made at a time.
const spanRoom = 32

// noSpans returns an empty list with room for one span.
func (f *current) noSpans() []Span {
	if len(f.spans) == 0 {
		f.spans = make([]Span, spanRoom)
	}
	s := f.spans[:0:1]
	f.spans = f.spans[1:]
	return s
}

func (f *current) room() int64 { return f.size - f.off }

// open takes a spare into use.
func (w *WAL) open(s spare) {
	w.cur = &current{
		file: s.file, number: s.number, id: frame.NewIdentity(w.o.Stream, s.number), first: w.next,
		off: frame.BlockSize, size: w.o.FileSize, zeroed: s.zeroed,
	}
	if r, ok := w.o.Queue.(vfs.Registrar); ok {
		_ = r.RegisterFile(s.file) // advice: an error changes nothing
	}
	w.wantRoll, w.starving = false, false
	w.count.rolls.Add(1)
	if s.zeroed < w.o.FileSize {
		w.count.unprepared.Add(1)
	}
	w.count.file.Store(s.number)
	w.count.fileBytes.Store(w.cur.off)
}

// seal takes the current file out of use and hands it out. No batch is staged that names
// places in it. last is the last batch that counts in it.
func (w *WAL) seal(failed bool) {
	f := w.cur
	w.cur = nil
	w.count.file.Store(0)
	w.count.fileBytes.Store(0)
	if r, ok := w.o.Queue.(vfs.Registrar); ok {
		r.UnregisterFile(f.file)
	}
	w.pool.retire(f.file, f.number, failed)
	s := Sealed{
		Number: f.number, First: f.first, Last: w.next - 1, Bytes: f.off, Failed: failed,
		Logs: f.logs[:f.declared:f.declared],
	}
	for i := range s.Logs {
		s.Logs[i].Controls = s.Logs[i].Log.controls
	}
	w.o.OnSealed(s)
}

// ensureFile makes room for what is pending: it goes over to a spare when the current file
// may be too small and a spare is ready. It returns false when there is no file at all.
// It does no I/O.
func (w *WAL) ensureFile() bool {
	f := w.cur
	if f != nil && (len(w.chains) > 0 || f.frames == 0) {
		return true
	}
	if f != nil && !w.wantRoll && f.entries < w.o.MaxFileEntries && f.room() >= w.estimate() {
		return true
	}
	s, ok := w.pool.take()
	if !ok {
		return f != nil
	}
	if f != nil {
		w.seal(false)
	}
	w.open(s)
	return true
}

// estimate is the room that the next batch may take, in bytes. It errs on the large side for
// small batches; a batch that needs more takes what fits.
func (w *WAL) estimate() int64 {
	entries, bytes := w.pending()
	n := int64(bytes) + int64(entries)*frame.RecordHeaderSize + 2*frame.BlockSize
	n += int64(w.run.len()+w.lazyRun.len()) * (frame.RecordHeaderSize + 8 + raftlog.MaxUIDLen + maxTouch)
	return min(n, int64(len(w.buf)))
}

// put notes entries that became durable.
func (s *SealedLog) put(o *op) {
	n := len(s.Spans)
	switch {
	case n > 0 && s.Spans[n-1].Source == o.src && s.Spans[n-1].Last == o.prev && o.first == o.prev+1:
		s.Spans[n-1].Last = o.last
	default:
		if n > 0 && s.Spans[n-1].Last >= o.first {
			s.cut(o.prev, 0) // a truncation record precedes it, as a rule, and has the term
		}
		s.Spans = append(s.Spans, Span{Source: o.src, Prev: o.prev, First: o.first, Last: o.last})
	}
	s.Last = raftlog.EntryID{Term: o.term, Index: o.last}
}

// cut notes that the log was truncated: last is the last index kept, term that of its entry.
func (s *SealedLog) cut(last raftlog.Index, term raftlog.Term) {
	if !s.HasCut || last < s.Cut {
		s.Cut, s.CutTerm, s.HasCut = last, term, true
	}
	for n := len(s.Spans); n > 0; n-- {
		x := &s.Spans[n-1]
		if x.Last < last {
			return
		}
		if x.First <= last {
			x.Last = last
			s.Last = raftlog.EntryID{Term: term, Index: last}
			return
		}
		s.Spans = s.Spans[:n-1]
	}
}

// reset notes that nothing written before counts.
func (s *SealedLog) reset() {
	*s = SealedLog{Log: s.Log, Controls: s.Controls, Reset: true}
}
