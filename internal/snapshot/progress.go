package snapshot

import "encoding/binary"

const (
	// ProgressBytes is the length of a progress record.
	ProgressBytes = 24 + totalBytes + 8

	progressMagic = "RAWLPROG"
	// totalBytes is the length of a running checksum as its package encodes it.
	totalBytes = 76
)

// AppendProgress appends the record that the first n chunks are durable, and total is theirs. It belongs behind the end of a file that is
// received, at FileBytes.
func (i *Info) AppendProgress(b []byte, n int, total *Total) []byte {
	start := len(b)
	b = append(b, progressMagic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(n))
	b = binary.LittleEndian.AppendUint64(b, totalBytes)
	state, _ := total.d.MarshalBinary() // never fails
	b = append(b, state...)
	return binary.LittleEndian.AppendUint64(b, hash(i.seed(), b[start:]))
}

// ParseProgress reads such a record. ok is false for anything that is none of this file's.
func (i *Info) ParseProgress(b []byte) (n int, total Total, ok bool) {
	le, end := binary.LittleEndian, ProgressBytes-8
	if len(b) != ProgressBytes || string(b[:8]) != progressMagic || le.Uint64(b[16:]) != totalBytes ||
		le.Uint64(b[end:]) != hash(i.seed(), b[:end]) || le.Uint64(b[8:]) > uint64(i.Chunks()) {
		return 0, Total{}, false
	}
	if err := total.d.UnmarshalBinary(b[24:end]); err != nil {
		return 0, Total{}, false
	}
	return int(le.Uint64(b[8:])), total, true
}
