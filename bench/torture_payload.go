package main

import (
	"encoding/binary"
	"hash/fnv"

	"github.com/rawl-db/rawl/engine"
)

// tortureType is the user's type of an entry.
func tortureType(op uint64) uint8 { return uint8(op * 31) }

// fillPayload computes the payload of an entry from the operation that appends it. Nothing
// else has the same bytes, short ones aside.
func fillPayload(b []byte, uid engine.UID, op uint64, i engine.Index) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(uid)) // never fails
	x := h.Sum64() ^ op*0x9e3779b97f4a7c15 ^ uint64(i)<<32 | 1
	var word [8]byte
	for len(b) > 0 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		binary.LittleEndian.PutUint64(word[:], x)
		b = b[copy(b, word[:]):]
	}
}
