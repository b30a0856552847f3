package snapshot

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Sum is the checksum of a chunk as it travels with the chunk.
type Sum struct {
	// Seed is the same for all chunks of one snapshot, and another for every other snapshot.
	Seed uint64
	// Hash is the checksum in the chunk's header.
	Hash uint64
}

// hash is the seeded xxhash64 of b.
func hash(seed uint64, b []byte) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.Write(b) // never fails
	return d.Sum64()
}

// chunkHash is the checksum in the header of chunk n.
func chunkHash(seed uint64, n int, data []byte) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[0:], uint64(n))
	binary.LittleEndian.PutUint64(b[8:], uint64(len(data)))
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.Write(b[:])
	_, _ = d.Write(data)
	return d.Sum64()
}

// Total is the running checksum of the data of all chunks.
type Total struct{ d xxhash.Digest }

// Add adds the data of the next chunk.
func (t *Total) Add(data []byte) { _, _ = t.d.Write(data) }

// Sum returns the checksum of what was added.
func (t *Total) Sum() uint64 { return t.d.Sum64() }
