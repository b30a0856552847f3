package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"github.com/rawl-db/rawl/engine"
)

// What the source has released is not lost: it is in a snapshot. A target that meets a gap asks once more, with
// request.Restart set, and gets snapshot and entries on one connection.

// sendSnapshot sends a snapshot: header, state, and the entries below it that are still needed.
func (s *source) sendSnapshot(conn net.Conn, uid engine.UID, from *engine.SnapshotReader) error {
	if err := send(conn, appendFrame(nil, kindHeader, func(b []byte) []byte { return append(b, from.Header()...) })); err != nil {
		return err
	}
	var frame, chunk []byte
	for n := range from.Chunks() {
		data, sum, err := from.Chunk(n, chunk)
		if err != nil {
			return refuse(conn, err)
		}
		chunk = data[:0]
		frame = appendChunk(frame[:0], n, data, sum)
		if err := send(conn, frame); err != nil {
			return err
		}
	}
	if from.Live().Empty() {
		return nil
	}
	l, err := s.e.Log(uid)
	if err != nil {
		return refuse(conn, err)
	}
	for i := range from.Live().All() {
		e, err := l.Read(i)
		if errors.Is(err, engine.ErrCompacted) {
			return err // a newer snapshot has let it go: the target asks again
		}
		if err != nil {
			return refuse(conn, err)
		}
		frame = appendBatch(frame[:0], kindLive, &engine.Batch{First: e.ID(), Entries: []engine.Entry{e}})
		if err := send(conn, frame); err != nil {
			return err
		}
	}
	return nil
}

const chunkHeaderBytes = 4 + 8 + 8

// appendChunk appends a frame with a chunk of a snapshot.
func appendChunk(b []byte, n int, data []byte, sum engine.ChunkSum) []byte {
	return appendFrame(b, kindChunk, func(b []byte) []byte {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
		b = binary.LittleEndian.AppendUint64(b, sum.Seed)
		b = binary.LittleEndian.AppendUint64(b, sum.Hash)
		return append(b, data...)
	})
}

// parseChunk reads a chunk, which aliases body. The error wraps ErrFrame.
func parseChunk(body []byte) (n int, data []byte, sum engine.ChunkSum, err error) {
	if len(body) < chunkHeaderBytes {
		return 0, nil, sum, fmt.Errorf("%w: chunk of %d bytes", ErrFrame, len(body))
	}
	number := binary.LittleEndian.Uint32(body)
	if number > 1<<31-1 {
		return 0, nil, sum, fmt.Errorf("%w: chunk %d", ErrFrame, number)
	}
	sum = engine.ChunkSum{Seed: binary.LittleEndian.Uint64(body[4:]), Hash: binary.LittleEndian.Uint64(body[12:])}
	return int(number), body[chunkHeaderBytes:], sum, nil
}

// canRestart reports whether err is a gap that a snapshot bridges: nothing between that and the log's
// first entry is gone.
func canRestart(err error) bool {
	var gap *engine.GapError
	return errors.As(err, &gap) && gap.Snapshot.Index != 0 && gap.Snapshot.Index+1 >= gap.First
}

// restart does what a frame of a snapshot says. Chunks that an interrupted attempt left are there still: what
// comes again is compared with them.
func (m *mirrored) restart(k kind, body []byte) (err error) {
	if k == kindHeader {
		if m.install != nil {
			return broken(k, nil)
		}
		m.install, err = m.l.Install(body)
		return err
	}
	if m.install == nil {
		return broken(k, nil)
	}
	if k == kindChunk {
		n, data, sum, err := parseChunk(body)
		if err != nil {
			return broken(k, err)
		}
		return m.install.Accept(n, data, sum)
	}
	entries, _, err := parseBatch(body, m.entries[:0])
	if err != nil {
		return broken(k, err)
	}
	m.entries = entries
	sums := make([]uint32, len(entries))
	for i := range entries {
		sums[i] = engine.PayloadChecksum(entries[i].Data)
	}
	return m.install.PutLive(entries, sums)
}
