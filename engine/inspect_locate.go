package engine

import (
	"encoding/binary"
	"fmt"

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

// locate finds entries of one file in it. Their payloads were verified when the survey was taken; what does
// not match any more was overwritten since.
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
	if len(frames) == 0 {
		return nil, errMoved
	}
	numbers := declarations(frames)
	found := make([]walPlace, len(entries))
	next := 0
	var chain walPlace
	for i := range frames {
		off := int64(frames[i].Block)*frame.BlockSize + frame.HeaderSize
		frames[i].Records(func(r *frame.Record) bool {
			at := off + frame.RecordHeaderSize
			off += int64(r.Size())
			if next == len(entries) || r.Kind != wal.KindEntry || numbers[r.Log] != d.log.id {
				return true
			}
			part, last := r.Payload, true
			if r.Flags&wal.FlagFragment != 0 {
				part, last = r.Payload[min(12, len(r.Payload)):], r.Flags&wal.FlagLast != 0
				if r.Flags&wal.FlagFirst != 0 {
					chain = walPlace{offset: at}
				}
			} else {
				chain = walPlace{offset: at}
			}
			if d.o.Payload {
				chain.data = append(chain.data, part...)
			}
			for last && next < len(entries) && uint64(entries[next].batch) < frames[i].Batch {
				found[next].offset = -1 // its frame lost what names its place
				next++
			}
			if e := &entries[min(next, len(entries)-1)]; last && next < len(entries) && uint64(e.batch) == frames[i].Batch &&
				uint64(e.id.Index) == r.Index && uint64(e.id.Term) == r.Term {
				found[next] = chain
				next++
			}
			return true
		})
	}
	for ; next < len(entries); next++ {
		found[next].offset = -1
	}
	return d.checkFound(entries, found)
}

// checkFound refuses payloads that are not those of the entries.
func (d *dumper) checkFound(entries []walEntry, found []walPlace) ([]walPlace, error) {
	if !d.o.Payload {
		return found, nil
	}
	for i := range found {
		p := &found[i]
		if p.data == nil {
			p.data = []byte{}
		}
		if len(p.data) != entries[i].size || frame.Checksum(p.data) != entries[i].crc {
			p.data = nil
			p.err = fmt.Errorf("%w: entry %v: the frame's header is damaged, its payload is not shown", ErrCorrupt, entries[i].id)
		}
	}
	return found, nil
}

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
