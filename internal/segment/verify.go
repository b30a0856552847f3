package segment

import (
	"errors"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
)

// Report is what Verify found.
type Report struct {
	// HeaderErr is what is wrong with the header block, nil for nothing. It hits no entry.
	HeaderErr error
	// Chunks counts the chunks found within the committed length.
	Chunks int
	// Entries counts the entries that count and are sound, Bytes their payloads.
	Entries int
	Bytes   int64
	// Damage lists what is not sound, ascending by range.
	Damage []*CorruptError
}

// Verify reads all that counts of a segment and checks it. The error is one of Open or of
// reading; damage is no error but in the report.
func Verify(fs vfs.FS, name string, id raftlog.LogID, s raftlog.Segment, o ReadOptions) (Report, error) {
	r, err := Open(fs, name, id, s, o)
	if err != nil {
		return Report{}, err
	}
	defer r.Close()
	rep := Report{HeaderErr: r.headerErr, Chunks: r.chunks}
	for e, err := range r.Scan(s.Range) {
		var damage *CorruptError
		switch {
		case err == nil:
			rep.Entries++
			rep.Bytes += int64(len(e.Data))
		case errors.As(err, &damage):
			rep.Damage = append(rep.Damage, damage)
		default:
			return rep, err
		}
	}
	return rep, nil
}

// Survey describes a segment file without a manifest: everything up to the end of its last
// sound chunk. It is for repair: what it finds was written but need not have been committed, and
// an index may have been truncated since. Errors: those of ReadHeader, which names log and
// segment, and of reading.
func Survey(fs vfs.FS, name string) (Header, raftlog.Segment, error) {
	h, err := ReadHeader(fs, name)
	if err != nil {
		return Header{}, raftlog.Segment{}, err
	}
	info, err := fs.Stat(name)
	if err != nil {
		return h, raftlog.Segment{}, err
	}
	all := raftlog.Segment{
		Number: h.Number,
		Bytes:  min(info.Size, (1<<32-1)*BlockSize) &^ (BlockSize - 1),
		Range:  raftlog.Range{First: 1, Last: ^raftlog.Index(0)},
	}
	r, err := Open(fs, name, h.ID, all, ReadOptions{})
	if err != nil {
		return h, raftlog.Segment{}, err
	}
	defer r.Close()
	s := raftlog.Segment{Number: h.Number, Bytes: r.soundEnd, Entries: r.written}
	if n := len(r.index.runs); n > 0 {
		s.Range = raftlog.Range{First: r.index.runs[0].first, Last: r.index.runs[n-1].last()}
	}
	return h, s, nil
}
