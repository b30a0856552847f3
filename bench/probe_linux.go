package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

const probeFile = 64 << 20

// probe finds the device's own limits: durable writes one at a time, and a direct stream.
type probe struct {
	file *os.File
	out  durableWriter
	buf  []byte
	free func() error
	off  int64
}

func openProbe(dir string) (*probe, error) {
	f, err := zeroedFile(filepath.Join(dir, "probe"), probeFile)
	if err != nil {
		return nil, fmt.Errorf("device probe: %w", err)
	}
	buf, free, err := hugeBuffer(4 << 20)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	copy(buf, randomPayload(len(buf))) // zeros may be a special case below
	return &probe{file: f, out: durableWriter{fd: int(f.Fd())}, buf: buf, free: free}, nil
}

func (p *probe) close() error {
	return errors.Join(p.file.Close(), p.free(), os.Remove(p.file.Name()))
}

// commits writes size bytes durably, over and over for d. size is a multiple of the block.
func (p *probe) commits(size int, d time.Duration, h *hdrhistogram.Histogram) (n int, took time.Duration, err error) {
	size = min(size, len(p.buf))
	began := time.Now()
	for last := began; took < d; n++ {
		if p.off+int64(size) > probeFile {
			p.off = 0
		}
		if err := p.out.write(p.buf[:size], p.off); err != nil {
			return n, took, fmt.Errorf("device probe: %w", err)
		}
		p.off += int64(size)
		now := time.Now()
		_ = h.RecordValue(min(max(now.Sub(last).Microseconds(), 1), histMax))
		last, took = now, now.Sub(began)
	}
	return n, took, nil
}

// stream writes 1 MiB pieces without sync, four at a time, for d. It returns bytes per second.
func (p *probe) stream(d time.Duration) (float64, error) {
	return p.parallel(d, func(b []byte, off int64) (int, error) { return unix.Pwrite(int(p.file.Fd()), b, off) })
}

// scan reads 1 MiB pieces, four at a time, for d. It returns bytes per second.
func (p *probe) scan(d time.Duration) (float64, error) {
	return p.parallel(d, func(b []byte, off int64) (int, error) { return unix.Pread(int(p.file.Fd()), b, off) })
}

func (p *probe) parallel(d time.Duration, op func(b []byte, off int64) (int, error)) (float64, error) {
	const size, depth = 1 << 20, 4
	var next, bytes atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, depth)
	began := time.Now()
	for i := range depth {
		wg.Go(func() {
			b := p.buf[i*size : (i+1)*size]
			for time.Since(began) < d {
				off := next.Add(size) % probeFile
				n, err := op(b, off)
				if err != nil {
					errs[i] = fmt.Errorf("device probe: %w", err)
					return
				}
				bytes.Add(int64(n))
			}
		})
	}
	wg.Wait()
	return float64(bytes.Load()) / time.Since(began).Seconds(), errors.Join(errs...)
}
