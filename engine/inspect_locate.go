package engine

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/wal"
)

// walPlace is where an entry's payload begins in its WAL file.
type walPlace struct {
	offset int64 // -1 when it cannot be seen
	data   []byte
	err    error
}

// locate finds entries of one file in it, in their order. errMoved means that the file was
// overwritten since the survey was taken.
func (d *dumper) locate(entries []walEntry) ([]walPlace, error) {
	f, err := d.s.files.file(entries[0].file)
	if err != nil {
		return nil, errMoved
	}
	content, err := f.load(d.fs)
	if err != nil {
		return nil, fmt.Errorf("engine: dump: %w", err)
	}
	defer content.free()
	frames := frame.Scan(content.bytes, frame.NewIdentity(d.s.manifest.Stream(), f.number))
	l := &locator{id: d.log.id, payload: d.o.Payload, numbers: declarations(frames), entries: entries,
		found: make([]walPlace, 0, len(entries))}
	for i := range frames {
		l.frame(&frames[i])
	}
	for len(l.found) < len(entries) {
		l.found = append(l.found, walPlace{offset: -1})
	}
	for i := range l.found {
		p := &l.found[i]
		lost := p.offset < 0 || d.o.Payload && (len(p.data) != entries[i].size || frame.Checksum(p.data) != entries[i].crc)
		if lost && !d.inService(f.number) {
			return nil, errMoved
		}
		if lost && d.o.Payload {
			p.data, p.err = nil, fmt.Errorf("%w: entry %v: damage to its frame hides the payload", ErrCorrupt, entries[i].id)
		}
	}
	return l.found, nil
}

// inService reports whether the manifest, read anew, still names the file.
func (d *dumper) inService(number uint64) bool {
	m, _, err := readManifest(d.fs, d.dir)
	return err == nil && slices.Contains(m.WALFiles(), number)
}

// locator walks the frames of a file along the entries that are to be found in it.
type locator struct {
	id      raftlog.LogID
	payload bool
	numbers map[uint32]raftlog.LogID
	entries []walEntry
	found   []walPlace // of entries[:len(found)]
	chain   walPlace   // the entry that is being put together
}

func (l *locator) frame(f *frame.Frame) {
	for n := len(l.found); n < len(l.entries) && uint64(l.entries[n].batch) < f.Batch; n++ {
		l.found = append(l.found, walPlace{offset: -1}) // its frame lost what names its place
	}
	off := int64(f.Block)*frame.BlockSize + frame.HeaderSize
	f.Records(func(r *frame.Record) bool {
		if r.Kind == wal.KindEntry && l.numbers[r.Log] == l.id && len(l.found) < len(l.entries) {
			l.record(r, off+frame.RecordHeaderSize, f.Batch)
		}
		off += int64(r.Size())
		return true
	})
}

// record takes an entry of the log, or a fragment of one. Those that were cut are in no list.
func (l *locator) record(r *frame.Record, at int64, batch uint64) {
	part, last := r.Payload, true
	if r.Flags&wal.FlagFragment == 0 {
		l.chain = walPlace{offset: at, data: []byte{}}
	} else {
		part, last = part[min(fragmentPrefix, len(part)):], r.Flags&wal.FlagLast != 0
		if r.Flags&wal.FlagFirst != 0 {
			l.chain = walPlace{offset: at, data: []byte{}}
		}
	}
	if l.payload {
		l.chain.data = append(l.chain.data, part...)
	}
	e := &l.entries[len(l.found)]
	if last && uint64(e.batch) == batch && uint64(e.id.Index) == r.Index && uint64(e.id.Term) == r.Term {
		l.found = append(l.found, l.chain)
	}
}

// fragmentPrefix is what precedes the part of the payload in a fragment, in bytes; see wal.FlagFragment.
const fragmentPrefix = 12

// declarations returns the logs that the file-local numbers of a file stand for.
func declarations(frames []frame.Frame) map[uint32]raftlog.LogID {
	ids := make(map[uint32]raftlog.LogID)
	for i := range frames {
		f := &frames[i]
		if f.HasTrailer {
			for t, err := range f.Trailer.Touches() {
				if err == nil && t.ID != 0 {
					ids[t.Number] = raftlog.LogID(t.ID)
				}
			}
			continue
		}
		f.Records(func(r *frame.Record) bool {
			if r.Kind == wal.KindDeclare && len(r.Payload) >= 8 && r.PayloadOK() {
				ids[r.Log] = raftlog.LogID(binary.LittleEndian.Uint64(r.Payload))
			}
			return true
		})
	}
	return ids
}
