package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"path/filepath"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/wal"
)

// WALRecord is a frame of a WAL file, or a record of the frame before.
type WALRecord struct {
	// Kind is "frame", or that of the record: declare, entry, fragment, hard-state, create,
	// delete, release, truncate, applied, snapshot, slot, or a number.
	Kind string
	// Offset is where the frame or record begins, in bytes from the start of the file.
	Offset int64
	// Batch is the frame's. The watermark and the length in bytes are a frame's only, and what is wrong with it:
	// empty when header and trailer verify and all records were found.
	Batch, Watermark uint64
	Bytes            int64
	Fault            string
	// The rest is a record's. UID and ID are known once the file has declared them.
	Number      uint32 // the log's number in this file
	UID         UID
	ID          uint64
	Prev, Index Index
	Term        Term
	Type        uint8
	Size        int
	CRC         uint32
	// Sound says that the payload matches CRC.
	Sound bool
	// Data is the payload, vote or name when it was asked for, else nil. It belongs to the caller.
	Data []byte
}

// DumpWAL yields the frames and records of one WAL file in the order of their place,
// committed or not, up to the physical end. The file need not be named by the manifest. It takes no
// lock and writes nothing; the frame that a running engine writes at that moment may look damaged.
// Errors end the sequence: fs.ErrNotExist, ErrVersion, ErrCorrupt when nothing says which stream
// the file belongs to, and those of reading.
func DumpWAL(dir string, number uint64, o DumpOptions) iter.Seq2[WALRecord, error] {
	return func(yield func(WALRecord, error) bool) {
		from, err := offlineFS()
		if err != nil {
			yield(WALRecord{}, err)
			return
		}
		DumpWALOn(from, dir, number, o)(yield)
	}
}

// DumpWALOn is DumpWAL on any file system. It is for tests.
func DumpWALOn(from vfs.FS, dir string, number uint64, o DumpOptions) iter.Seq2[WALRecord, error] {
	return func(yield func(WALRecord, error) bool) {
		walDir := o.WALDir
		if walDir == "" {
			walDir = filepath.Join(dir, walDirName)
		}
		w := &walFiles{FS: from, dir: walDir, files: make(map[string]*walFile), direct: true}
		defer w.close()
		frames, free, err := rawFrames(w, dir, number)
		if err != nil {
			yield(WALRecord{}, fmt.Errorf("engine: dump: %w", err))
			return
		}
		defer free()
		d := &rawDumper{o: o, ids: declarations(frames), uids: make(map[uint32]UID), yield: yield}
		for i := range frames {
			if !d.frame(&frames[i]) {
				return
			}
		}
	}
}

// rawFrames reads a file. A damaged header block is made up for by the manifest's stream.
func rawFrames(w *walFiles, dir string, number uint64) ([]frame.Frame, func(), error) {
	f, err := w.file(number)
	if err != nil {
		return nil, nil, err
	}
	id := frame.Identity{}
	h, err := frame.DecodeFileHeader(f.header)
	switch {
	case errors.Is(err, frame.ErrVersion):
		return nil, nil, err
	case err == nil:
		id = h.Identity()
	default:
		m, _, manifestErr := readManifest(w.FS, dir)
		if manifestErr != nil {
			return nil, nil, errors.Join(err, manifestErr)
		}
		id = frame.NewIdentity(m.Stream(), number)
	}
	content, err := f.load(w.FS)
	if err != nil {
		return nil, nil, err
	}
	return frame.Scan(content.bytes, id), content.free, nil
}

type rawDumper struct {
	o     DumpOptions
	ids   map[uint32]raftlog.LogID
	uids  map[uint32]UID
	yield func(WALRecord, error) bool
}

// frame yields a frame and its records; false ends the dump.
func (d *rawDumper) frame(f *frame.Frame) bool {
	head := WALRecord{Kind: "frame", Offset: int64(f.Block) * frame.BlockSize, Batch: f.Batch, Watermark: f.Watermark,
		Bytes: int64(f.Blocks) * frame.BlockSize}
	n := uint32(0)
	f.Records(func(*frame.Record) bool { n++; return true })
	switch {
	case !f.HasHeader:
		head.Fault = "header does not verify"
	case !f.HasTrailer:
		head.Fault = "trailer does not verify"
	case n < f.Header.Records:
		head.Fault = fmt.Sprintf("record %d of %d does not verify", n+1, f.Header.Records)
	}
	if !d.yield(head, nil) {
		return false
	}
	off, more := head.Offset+frame.HeaderSize, true
	f.Records(func(r *frame.Record) bool {
		more = d.record(r, off, f.Batch)
		off += int64(r.Size())
		return more
	})
	return more
}

func (d *rawDumper) record(r *frame.Record, off int64, batch uint64) bool {
	rec := WALRecord{Kind: kindName(r), Offset: off, Batch: batch, Number: r.Log, ID: uint64(d.ids[r.Log]), Prev: Index(r.Prev),
		Index: Index(r.Index), Term: Term(r.Term), Type: r.Type, Size: len(r.Payload), CRC: r.CRC, Sound: r.PayloadOK()}
	if r.Kind == wal.KindDeclare && rec.Sound && len(r.Payload) > 8 {
		if uid := UID(r.Payload[8:]); uid.Validate() == nil {
			d.uids[r.Log], rec.ID = uid, binary.LittleEndian.Uint64(r.Payload)
		}
	}
	rec.UID = d.uids[r.Log]
	if d.o.Payload {
		rec.Data = append([]byte{}, r.Payload...)
	}
	return d.yield(rec, nil)
}

func kindName(r *frame.Record) string {
	switch r.Kind {
	case wal.KindDeclare:
		return "declare"
	case wal.KindEntry:
		if r.Flags&wal.FlagFragment != 0 {
			return "fragment"
		}
		return "entry"
	case wal.KindHardState:
		return "hard-state"
	case wal.KindCreate:
		return "create"
	case wal.KindDelete:
		return "delete"
	case wal.KindRelease:
		return "release"
	case wal.KindTruncate:
		return "truncate"
	case wal.KindApplied:
		return "applied"
	case wal.KindSnapshot:
		return "snapshot"
	case wal.KindSlot:
		return "slot"
	case wal.KindInstall:
		return "install"
	}
	return fmt.Sprint(uint8(r.Kind))
}
