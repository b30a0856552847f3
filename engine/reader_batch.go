package engine

import (
	"context"
	"iter"
	"math/bits"

	"github.com/rawl-db/rawl/internal/frame"
)

// Batch is what one step of a reader delivers together.
type Batch struct {
	// First and Last are the first and the last entry that the batch covers, those that were
	// left out included: a reader that goes on behind Last misses nothing.
	First, Last EntryID
	// Entries are the ones to deliver, at least one; CRCs holds the CRC-32C of each payload.
	Entries []Entry
	CRCs    []uint32
	// Bytes is the length of all payloads.
	Bytes int
	// Checksum is the running checksum of everything delivered up to here, see RunningChecksum; 0
	// when ReaderOptions.Checksums does not ask for it.
	Checksum uint64
}

// Batches yields what the reader may see now and has not delivered, in batches within the
// bounds of ReaderOptions, and then ends. Slices and data must not be modified, and are valid until
// the next batch, or the end of the iteration. A batch counts as delivered when it is yielded.
func (r *Reader) Batches(ctx context.Context) iter.Seq2[Batch, error] { return r.batches(ctx, false) }

// TailBatches is Batches without an end; it waits as Tail does.
func (r *Reader) TailBatches(ctx context.Context) iter.Seq2[Batch, error] {
	return r.batches(ctx, true)
}

func (r *Reader) batches(ctx context.Context, follow bool) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		err := r.run(ctx, follow, func() bool {
			w := &r.window
			if r.o.Checksums {
				r.sum = fold(r.sum, w.entries, w.crcs)
			}
			r.pos = w.last
			return yield(Batch{First: w.first, Last: w.last, Entries: w.entries, CRCs: w.crcs, Bytes: w.bytes, Checksum: r.sum}, nil)
		})
		if err != nil {
			yield(Batch{}, err)
		}
	}
}

// RunningChecksum continues sum, which is 0 in the beginning, over entries: their index, term,
// type and payload, one after the other, however they are divided into calls. Two logs whose
// running checksums are equal have delivered the same entries, as far as 64 bits can tell; it
// does not protect against forgery.
func RunningChecksum(sum uint64, entries []Entry) uint64 {
	for k := range entries {
		crc := [1]uint32{frame.Checksum(entries[k].Data)}
		sum = fold(sum, entries[k:k+1], crc[:])
	}
	return sum
}

// Odd constants with well mixed bits, from xxHash.
const (
	foldTerm  = 0x9E3779B185EBCA87
	foldIndex = 0xC2B2AE3D27D4EB4F
	foldStep  = 0x165667B19E3779F9
)

// fold continues a running checksum over entries whose payloads have the checksums crcs. Only
// one multiplication depends on the entry before.
func fold(sum uint64, entries []Entry, crcs []uint32) uint64 {
	crcs = crcs[:len(entries)]
	for k := range entries {
		e := &entries[k]
		m := (uint64(crcs[k]) | uint64(e.Type)<<32) + uint64(e.Term)*foldTerm + uint64(e.Index)*foldIndex
		sum = bits.RotateLeft64(sum^m, 31) * foldStep
	}
	return sum
}
