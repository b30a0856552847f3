package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/rawl-db/rawl/engine"
)

const (
	floorFile   = 64 << 20 // the ring, bytes
	floorBatch  = 1 << 20
	floorHeader = 32
	block       = 4096
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// floor is the barest honest loop that makes entries durable; see the package documentation.
type floor struct {
	file *os.File
	out  durableWriter
	buf  []byte // direct, huge pages
	free func() error
	off  int64
	seq  uint64
	done chan struct{}

	syncs, bytes, laps atomic.Uint64
	failed             atomic.Pointer[error]

	wake chan struct{} // capacity 1
	mu   struct {
		sync.Mutex
		queue    []floorItem
		sleeping bool
		closed   bool
	}
	items   []floorItem // owned by run
	touched []*floorStream
}

type floorItem struct {
	stream *floorStream
	index  uint64
	data   []byte
}

func openFloor(r row) (store, error) {
	name := filepath.Join(r.Dir, "floor.ring")
	file, err := zeroedFile(name, floorFile)
	if err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	buf, free, err := hugeBuffer(max(floorBatch, r.Size+2*block))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("floor: %w", err), file.Close())
	}
	f := &floor{file: file, out: durableWriter{fd: int(file.Fd())}, buf: buf, free: free, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go f.run() // ends at close, which waits
	return f, nil
}

func (f *floor) warm() error   { return nil }
func (f *floor) rolls() uint64 { return 0 }

func (f *floor) counters() counters {
	return counters{syncs: f.syncs.Load(), batches: f.syncs.Load(), walBytes: f.bytes.Load(), rolls: f.laps.Load()}
}

func (f *floor) close() error {
	f.mu.Lock()
	f.mu.closed = true
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
	<-f.done
	return errors.Join(f.file.Close(), f.free(), os.Remove(f.file.Name()))
}

// run commits what is queued until the floor is closed.
func (f *floor) run() {
	defer close(f.done)
	for f.take() {
		for rest := f.items; len(rest) > 0; {
			n := f.commit(rest)
			rest = rest[n:]
		}
	}
}

// take swaps the queue, and waits while it is empty.
func (f *floor) take() bool {
	for {
		f.mu.Lock()
		if len(f.mu.queue) > 0 {
			f.items, f.mu.queue = f.mu.queue, f.items[:0]
			f.mu.Unlock()
			return true
		}
		if f.mu.closed {
			f.mu.Unlock()
			return false
		}
		f.mu.sleeping = true
		f.mu.Unlock()
		<-f.wake
	}
}

// commit makes as many items durable as a batch holds, and wakes their producers.
func (f *floor) commit(items []floorItem) int {
	f.seq++
	n, used := f.encode(items)
	if f.off+int64(used) > floorFile {
		f.off = 0
		f.laps.Add(1)
	}
	if err := f.out.write(f.buf[:used], f.off); err != nil {
		f.failed.CompareAndSwap(nil, ptr(err))
	}
	f.off += int64(used)
	f.syncs.Add(1)
	f.bytes.Add(uint64(used))
	f.acknowledge(items[:n])
	return n
}

// encode copies items behind their headers and pads. The buffer holds at least one.
func (f *floor) encode(items []floorItem) (n, used int) {
	for i := range items {
		it := &items[i]
		size := floorHeader + len(it.data)
		if used+size > len(f.buf) || used+size > floorBatch && n > 0 {
			break
		}
		h := f.buf[used : used+size]
		binary.LittleEndian.PutUint64(h[0:], f.seq)
		binary.LittleEndian.PutUint64(h[8:], it.stream.number)
		binary.LittleEndian.PutUint64(h[16:], it.index)
		binary.LittleEndian.PutUint32(h[24:], uint32(len(it.data)))
		binary.LittleEndian.PutUint32(h[28:], crc32.Checksum(it.data, castagnoli))
		copy(h[floorHeader:], it.data)
		used += size
		n++
	}
	padded := (used + block - 1) &^ (block - 1)
	clear(f.buf[used:padded])
	return n, padded
}

// acknowledge wakes every producer of the batch once.
func (f *floor) acknowledge(items []floorItem) {
	f.touched = f.touched[:0]
	for i := range items {
		s := items[i].stream
		s.pending = items[i].index
		if s.batch != f.seq {
			s.batch = f.seq
			f.touched = append(f.touched, s)
		}
	}
	for _, s := range f.touched {
		s.announce()
	}
}

func (f *floor) stream(i int, written func(engine.Index)) (stream, error) {
	return &floorStream{floor: f, number: uint64(i), written: written, wake: make(chan struct{}, 1)}, nil
}

// floorStream is one log of the floor.
type floorStream struct {
	floor   *floor
	number  uint64
	end     engine.Index // owned by the user
	written func(engine.Index)
	durable atomic.Uint64
	wake    chan struct{} // capacity 1

	batch, pending uint64 // owned by the floor's goroutine
}

func (s *floorStream) announce() {
	s.durable.Store(s.pending)
	if s.written != nil {
		s.written(engine.Index(s.pending))
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *floorStream) last() engine.Index         { return s.end }
func (s *floorStream) release(engine.Index) error { return nil }

func (s *floorStream) append(entries []engine.Entry) error {
	f := s.floor
	if err := f.failed.Load(); err != nil {
		return *err
	}
	f.mu.Lock()
	for i := range entries {
		f.mu.queue = append(f.mu.queue, floorItem{stream: s, index: uint64(entries[i].Index), data: entries[i].Data})
	}
	sleeping := f.mu.sleeping
	f.mu.sleeping = false
	f.mu.Unlock()
	if sleeping {
		f.wake <- struct{}{}
	}
	s.end = entries[len(entries)-1].Index
	return nil
}

func (s *floorStream) appendSync(entries []engine.Entry) error {
	if err := s.append(entries); err != nil {
		return err
	}
	for s.durable.Load() < uint64(s.end) {
		<-s.wake
	}
	return nil
}
