package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
)

// DumpOptions says where to look and what to show.
type DumpOptions struct {
	// WALDir is what Options.WALDir was when the engine was opened.
	WALDir string
	// Payload asks for the payloads. They are the users' secrets: nothing shows them unasked.
	Payload bool
}

// DumpRecord is one entry and where it is.
type DumpRecord struct {
	UID   UID
	ID    uint64
	Index Index
	Term  Term
	Type  uint8
	Size  int    // bytes of the payload
	CRC   uint32 // CRC-32C of the payload, which was verified
	// File is relative to the engine's directory where it lies in it. Offset is where the payload begins, or
	// its first fragment; -1 where damage to the neighbours hides it. Batch is the entry's commit, 0 in a segment.
	File   string
	Offset int64
	Batch  uint64
	// Data is the payload when it was asked for, else nil. It belongs to the caller.
	Data []byte
}

// Dump yields the entries of a log in the range, live ones below a snapshot included, ascending, as an engine that opened the directory now
// would recover them; the zero Range means all. It takes no lock, writes nothing, and works
// beside a running engine: then it goes on behind the entries it has yielded, whatever is released,
// truncated or moved meanwhile. An entry that cannot be had is yielded with an error that
// wraps ErrCorrupt, and the sequence goes on; any other error ends it: ErrNotFound, and those
// of Inspect. A quarantined log is dumped up to where it was set apart.
func Dump(dir string, uid UID, rng Range, o DumpOptions) iter.Seq2[DumpRecord, error] {
	return func(yield func(DumpRecord, error) bool) {
		from, err := offlineFS()
		if err != nil {
			yield(DumpRecord{}, err)
			return
		}
		DumpOn(from, dir, uid, rng, o)(yield)
	}
}

// DumpOn is Dump on any file system. It is for tests.
func DumpOn(from vfs.FS, dir string, uid UID, rng Range, o DumpOptions) iter.Seq2[DumpRecord, error] {
	if rng == (Range{}) {
		rng = Range{First: 1, Last: ^Index(0)}
	}
	return func(yield func(DumpRecord, error) bool) {
		d := &dumper{fs: from, dir: dir, uid: uid, rng: rng, o: o, yield: yield}
		for range surveyTries {
			err := d.run()
			if !errors.Is(err, errMoved) {
				if err != nil && !errors.Is(err, errEnough) {
					yield(DumpRecord{}, err)
				}
				return
			}
		}
		yield(DumpRecord{}, fmt.Errorf("%w: %s", ErrUnsettled, dir))
	}
}

var (
	errEnough = errors.New("engine: the consumer wants no more")
	errMoved  = errors.New("engine: files moved while they were read")
)

// dumper yields the entries of rng, which shrinks from its front as they are yielded.
type dumper struct {
	fs    vfs.FS
	dir   string
	uid   UID
	rng   Range
	o     DumpOptions
	yield func(DumpRecord, error) bool
	s     *survey
	log   *surveyLog
}

func (d *dumper) run() error {
	s, err := takeSurvey(d.fs, d.dir, d.o.WALDir, d.uid)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.unreadable(); err != nil {
		return err
	}
	d.s, d.log = s, nil
	for _, l := range s.logs {
		if l.uid == d.uid {
			d.log = l
		}
	}
	if d.log == nil {
		return fmt.Errorf("%w: %s", ErrNotFound, d.uid)
	}
	first := d.log.released.Index + 1
	if live := d.log.liveEntries(); !live.Empty() {
		first = live.First()
	}
	d.rng.First = max(d.rng.First, first)
	for _, seg := range d.log.segments {
		seg.Range = seg.Range.Intersect(d.rng)
		if seg.Range.Empty() {
			continue
		}
		if err := d.segment(seg); err != nil {
			return err
		}
	}
	return d.wal()
}

// give yields a record, or an error in its place, and goes on behind it.
func (d *dumper) give(r DumpRecord, err error) error {
	r.UID, r.ID = d.uid, uint64(d.log.id)
	if !d.o.Payload {
		r.Data = nil
	}
	if !d.yield(r, err) || r.Index >= d.rng.Last {
		return errEnough
	}
	d.rng.First = r.Index + 1
	return nil
}

// segment yields the entries of a segment's range.
func (d *dumper) segment(seg raftlog.Segment) error {
	name := filepath.Join(d.dir, logsDir, segment.DirName(d.log.id), segment.FileName(seg.Number))
	r, err := openSegment(d.fs, name, d.log.id, seg)
	if errors.Is(err, fs.ErrNotExist) && !(&verifier{s: d.s}).listed(d.log.id, seg.Number) {
		return errMoved
	}
	file := relative(d.dir, name)
	if err != nil && !d.hits(seg.Range) {
		return nil
	}
	if err != nil {
		return d.give(DumpRecord{File: file, Index: seg.Range.Last, Offset: -1},
			fmt.Errorf("%w: entries %v: %w", ErrCorrupt, seg.Range, err))
	}
	defer r.Close()
	for e, err := range r.Scan(seg.Range) {
		var damage *segment.CorruptError
		switch {
		case errors.As(err, &damage) && !d.hits(damage.Range), err == nil && !d.log.readable(e.Index):
			continue
		case errors.As(err, &damage):
			err = d.give(DumpRecord{File: file, Index: damage.Range.Last, Offset: damage.Offset}, err)
		case err == nil:
			var at segment.Location
			if at, err = r.Locate(e.Index); err == nil {
				err = d.give(DumpRecord{File: file, Index: e.Index, Term: e.Term, Type: e.Type, Size: len(e.Data),
					CRC: at.CRC, Offset: at.Offset, Data: d.copy(e.Data)}, nil)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hits reports whether a range holds an entry that the log serves.
func (d *dumper) hits(r Range) bool {
	return r.Last > d.log.released.Index || !d.log.liveEntries().Floor(r.First).Limit(r.Last).Empty()
}

func (d *dumper) copy(b []byte) []byte {
	if !d.o.Payload {
		return nil
	}
	return append([]byte{}, b...)
}

// wal yields the entries that are in WAL files, file by file.
func (d *dumper) wal() error {
	entries := slices.DeleteFunc(slices.Clone(d.log.entries), func(e walEntry) bool { return !d.log.readable(e.id.Index) })
	for len(entries) > 0 && entries[0].id.Index < d.rng.First {
		entries = entries[1:]
	}
	for len(entries) > 0 && entries[0].id.Index <= d.rng.Last {
		n := 0
		for n < len(entries) && entries[n].file == entries[0].file && entries[n].id.Index <= d.rng.Last {
			n++
		}
		if err := d.walFile(entries[:n]); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

func (d *dumper) walFile(entries []walEntry) error {
	found, err := d.locate(entries)
	if err != nil {
		return err
	}
	for i, e := range entries {
		at := found[i]
		r := DumpRecord{File: d.s.walName(e.file), Index: e.id.Index, Term: e.id.Term, Type: e.typ,
			Size: e.size, CRC: e.crc, Offset: at.offset, Batch: uint64(e.batch), Data: at.data}
		if err := d.give(r, at.err); err != nil {
			return err
		}
	}
	return nil
}
