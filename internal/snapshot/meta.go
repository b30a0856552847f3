package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// Kind tells the three kinds of captured state apart.
type Kind = raftlog.SnapshotKind

// Bounds, in bytes.
const (
	MaxContextBytes   = 16 << 20
	MaxLiveBytes      = 16 << 20 // of the set's encoding
	MaxCodecName      = 64
	MinChunkBytes     = 4 << 10
	MaxChunkBytes     = 16 << 20
	DefaultChunkBytes = 1 << 20
)

const (
	metaHeadBytes = 16
	metaSumBytes  = 8
	maxMetaBytes  = metaHeadBytes + MaxContextBytes + MaxLiveBytes + MaxCodecName + metaSumBytes
)

// Meta is what a file says about the state that it holds.
type Meta struct {
	Kind Kind
	// UID and Log name the log that the file belongs to.
	UID raftlog.UID
	Log raftlog.LogID
	// ID is the last entry that the state covers.
	ID raftlog.EntryID
	// Context is the user's: configuration, session table, machine version. At most MaxContextBytes.
	Context []byte
	// Live are the entries at or below ID that are still needed.
	Live raftlog.Seq
	// Codec names what encoded the stored state, empty for nothing. At most MaxCodecName
	// printable characters of ASCII.
	Codec string
	// ChunkBytes is the length of the data of every chunk but the last, MinChunkBytes to
	// MaxChunkBytes.
	ChunkBytes int
	// Salt tells files of the same position apart; see NewSalt.
	Salt uint64
}

// NewSalt draws the salt of a file that is written at the time now, in any unit that does not
// repeat.
func (m *Meta) NewSalt(now int64) uint64 {
	b := append(make([]byte, 0, 64), m.UID...)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.Log))
	b = binary.LittleEndian.AppendUint64(b, uint64(m.ID.Term))
	b = binary.LittleEndian.AppendUint64(b, uint64(m.ID.Index))
	b = append(b, byte(m.Kind))
	return xxhash.Sum64(binary.LittleEndian.AppendUint64(b, uint64(now)))
}

// Validate returns nil, or an error that wraps ErrMeta and joins all violations.
func (m *Meta) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(m.Kind.Valid(), "unknown kind %d", uint8(m.Kind))
	if err := m.UID.Validate(); err != nil {
		errs = append(errs, err)
	}
	check(m.Log != 0, "no log id")
	check(m.ID.Index != 0, "no index")
	check(len(m.Context) <= MaxContextBytes, "context of %d bytes, at most %d", len(m.Context), MaxContextBytes)
	check(m.Live.Last() <= m.ID.Index, "live index %d above %d", m.Live.Last(), m.ID.Index)
	check(validCodecName(m.Codec), "codec name %q", m.Codec)
	check(m.ChunkBytes >= MinChunkBytes && m.ChunkBytes <= MaxChunkBytes,
		"chunks of %d bytes, not %d to %d", m.ChunkBytes, MinChunkBytes, MaxChunkBytes)
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrMeta, errors.Join(errs...))
}

func validCodecName(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return len(s) <= MaxCodecName
}

// seed is the seed of the file's checksums.
func (m *Meta) seed() uint64 {
	var b [24]byte
	binary.LittleEndian.PutUint64(b[0:], m.Salt)
	binary.LittleEndian.PutUint64(b[8:], uint64(m.ID.Term))
	binary.LittleEndian.PutUint64(b[16:], uint64(m.ID.Index))
	return xxhash.Sum64(b[:])
}

// appendMeta appends the meta section.
func (m *Meta) appendMeta(b []byte) []byte {
	start := len(b)
	b = append(b, make([]byte, metaHeadBytes)...)
	b = append(b, m.Context...)
	live := len(b)
	b = m.Live.AppendBinary(b)
	binary.LittleEndian.PutUint32(b[start:], uint32(len(m.Context)))
	binary.LittleEndian.PutUint32(b[start+4:], uint32(len(b)-live))
	binary.LittleEndian.PutUint32(b[start+8:], uint32(len(m.Codec)))
	b = append(b, m.Codec...)
	return binary.LittleEndian.AppendUint64(b, hash(m.seed(), b[start:]))
}

// parseMeta fills Context, Live and Codec from a meta section. They share no memory with b.
// Error: *CorruptError.
func (m *Meta) parseMeta(b []byte) error {
	if len(b) < metaHeadBytes+metaSumBytes {
		return corrupt(BlockSize, "meta section of %d bytes", len(b))
	}
	body := b[:len(b)-metaSumBytes]
	if binary.LittleEndian.Uint64(b[len(body):]) != hash(m.seed(), body) {
		return corrupt(BlockSize, "meta section checksum")
	}
	context := uint64(binary.LittleEndian.Uint32(body))
	live := uint64(binary.LittleEndian.Uint32(body[4:]))
	codec := uint64(binary.LittleEndian.Uint32(body[8:]))
	if binary.LittleEndian.Uint32(body[12:]) != 0 || metaHeadBytes+context+live+codec != uint64(len(body)) {
		return corrupt(BlockSize, "lengths of the meta section")
	}
	if context > MaxContextBytes || live > MaxLiveBytes || codec > MaxCodecName {
		return corrupt(BlockSize, "meta section above its bounds: %d, %d, %d", context, live, codec)
	}
	rest := body[metaHeadBytes:]
	seq, n, err := raftlog.ParseSeq(rest[context : context+live])
	if err != nil || uint64(n) != live {
		return corrupt(BlockSize, "live-index set of %d bytes: %v", live, err)
	}
	m.Context = append([]byte(nil), rest[:context]...)
	m.Live = seq
	m.Codec = string(rest[context+live:])
	if err := m.Validate(); err != nil {
		return corrupt(BlockSize, "%v", err)
	}
	return nil
}
