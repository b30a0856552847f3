package segwriter

import "github.com/rawl-db/rawl/internal/vfs"

// arena hands out pieces of one aligned buffer in a circle and takes them back in any order.
// So the memory of a flush is bounded while any number of small writes can be in flight.
type arena struct {
	buf    []byte
	free   func()
	pieces []piece // in the order of allocation, oldest first
	head   int     // where the next piece starts
}

type piece struct {
	start, end int
	returned   bool
}

func newArena(fs vfs.FS, q vfs.Queue, size int) (*arena, error) {
	buf, free, err := fs.Alloc(size)
	if err != nil {
		return nil, err
	}
	if r, ok := q.(vfs.Registrar); ok {
		_ = r.RegisterBuffer(buf) // advice; unregistered memory works as well
	}
	return &arena{buf: buf[:size], free: free}, nil
}

// get returns n bytes, at most the arena's size, or nil when they are not free now.
func (a *arena) get(n int) []byte {
	start := a.head
	if len(a.pieces) == 0 {
		start = 0
	} else if tail := a.pieces[0].start; tail < start || tail == start {
		// In use: [tail, start). Free: [start, len) and [0, tail).
		if tail == start {
			return nil
		}
		if len(a.buf)-start < n {
			if tail < n {
				return nil
			}
			start = 0
		}
	} else if tail-start < n {
		return nil
	}
	if len(a.buf)-start < n {
		return nil
	}
	a.head = start + n
	a.pieces = append(a.pieces, piece{start: start, end: a.head})
	return a.buf[start:a.head:a.head]
}

// put takes back what get returned.
func (a *arena) put(b []byte) {
	for i := range a.pieces {
		if p := &a.pieces[i]; !p.returned && &a.buf[p.start] == &b[0] {
			p.returned = true
			break
		}
	}
	n := 0
	for n < len(a.pieces) && a.pieces[n].returned {
		n++
	}
	if n > 0 {
		a.pieces = append(a.pieces[:0], a.pieces[n:]...)
	}
}
