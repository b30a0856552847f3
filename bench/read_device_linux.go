package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readProbe reads files past the page cache with the kernel's asynchronous I/O, as fio's libaio
// does: what the device gives at a depth and nothing else.
type readProbe struct {
	files []*os.File
	sizes []int64
	buf   []byte
	free  func() error
	depth int
	ring  uintptr
	ops   []iocb
	out   []ioEvent
	rng   *rand.Rand
	bytes int64
}

// iocb and ioEvent are the kernel's structures of the same names, for little-endian machines.
type iocb struct {
	data   uint64
	_      uint64 // key and flags of the kernel's
	_      uint32 // opcode and priority: 0 is a read
	fd     uint32
	buf    uint64
	nbytes uint64
	offset int64
	_      [2]uint64
}

type ioEvent struct {
	data, obj uint64
	res, res2 int64
}

const probePiece = 1 << 20

func openReadProbe(names []string, depth int) (p *readProbe, err error) {
	p = &readProbe{depth: depth, ops: make([]iocb, depth), out: make([]ioEvent, depth), rng: rand.New(rand.NewPCG(9, 9))}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("device probe: %w", err), p.close())
		}
	}()
	for _, name := range names {
		f, err := os.OpenFile(name, os.O_RDONLY|unix.O_DIRECT, 0)
		if err != nil {
			return p, err
		}
		p.files = append(p.files, f)
		info, err := f.Stat()
		if err != nil {
			return p, err
		}
		p.sizes = append(p.sizes, info.Size()&^4095)
		p.bytes += p.sizes[len(p.sizes)-1]
	}
	if p.buf, p.free, err = hugeBuffer(depth * probePiece); err != nil {
		return p, err
	}
	if _, _, e := unix.Syscall(unix.SYS_IO_SETUP, uintptr(depth), uintptr(unsafe.Pointer(&p.ring)), 0); e != 0 {
		return p, e
	}
	return p, nil
}

func (p *readProbe) close() error {
	var errs []error
	if p.ring != 0 {
		if _, _, e := unix.Syscall(unix.SYS_IO_DESTROY, p.ring, 0, 0); e != 0 {
			errs = append(errs, e)
		}
	}
	for _, f := range p.files {
		errs = append(errs, f.Close())
	}
	if p.free != nil {
		errs = append(errs, p.free())
	}
	return errors.Join(errs...)
}

// random reads n random blocks of 4 KiB, in batches, as fast as the depth allows.
func (p *readProbe) random(n int) (time.Duration, error) {
	return p.run(n, 4096, func(int) (file int, off int64) {
		at := p.rng.Int64N(p.bytes/4096) * 4096
		return p.locate(at)
	})
}

// scan reads all files from their beginnings to their ends.
func (p *readProbe) scan(size int) (bytes int64, took time.Duration, err error) {
	type place struct {
		file int
		off  int64
	}
	var all []place
	for k, n := range p.sizes {
		for off := int64(0); off+int64(size) <= n; off += int64(size) {
			all = append(all, place{k, off})
		}
	}
	took, err = p.run(len(all), size, func(k int) (int, int64) { return all[k].file, all[k].off })
	return int64(len(all)) * int64(size), took, err
}

func (p *readProbe) locate(at int64) (file int, off int64) {
	for at >= p.sizes[file] {
		at -= p.sizes[file]
		file++
	}
	return file, at
}

// run makes n reads of size bytes at the places that next gives.
func (p *readProbe) run(n, size int, next func(int) (int, int64)) (time.Duration, error) {
	began := time.Now()
	batch := make([]*iocb, 0, p.depth)
	for slot := range min(p.depth, n) {
		batch = append(batch, p.prepare(slot, size, next, slot))
	}
	started, done := len(batch), 0
	for done < n {
		if err := p.submit(batch); err != nil {
			return 0, err
		}
		got, _, e := unix.Syscall6(unix.SYS_IO_GETEVENTS, p.ring, 1, uintptr(p.depth), uintptr(unsafe.Pointer(&p.out[0])), 0, 0)
		if e == unix.EINTR {
			batch = batch[:0]
			continue
		}
		if e != 0 {
			return 0, fmt.Errorf("device probe: %w", e)
		}
		batch = batch[:0]
		for _, ev := range p.out[:got] {
			if ev.res != int64(size) {
				return 0, fmt.Errorf("device probe: read of %d bytes gives %d", size, ev.res)
			}
			done++
			if started < n {
				batch = append(batch, p.prepare(int(ev.data), size, next, started))
				started++
			}
		}
	}
	return time.Since(began), nil
}

func (p *readProbe) prepare(slot, size int, next func(int) (int, int64), k int) *iocb {
	file, off := next(k)
	p.ops[slot] = iocb{data: uint64(slot), fd: uint32(p.files[file].Fd()), nbytes: uint64(size), offset: off,
		buf: uint64(uintptr(unsafe.Pointer(&p.buf[slot*probePiece])))}
	return &p.ops[slot]
}

func (p *readProbe) submit(batch []*iocb) error {
	for len(batch) > 0 {
		n, _, e := unix.Syscall(unix.SYS_IO_SUBMIT, p.ring, uintptr(len(batch)), uintptr(unsafe.Pointer(&batch[0])))
		if e != 0 && e != unix.EINTR && e != unix.EAGAIN {
			return fmt.Errorf("device probe: %w", e)
		}
		if e == 0 {
			batch = batch[n:]
		}
	}
	return nil
}

// threadSeconds is the CPU time of the calling thread.
func threadSeconds() *float64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return nil
	}
	return ptr(float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9)
}
