package segwriter

import "github.com/rawl-db/rawl/internal/vfs"

// pool is memory of bounded size for buffers of any size: pieces of one arena, and for what
// exceeds that one buffer of its own at a time. So a piece can always be had once everything
// was put back.
type pool struct {
	fs    vfs.FS
	size  int
	arena *arena
	alone func() // frees the buffer outside the arena, nil when there is none
	piece []byte // that buffer
}

// get returns n bytes, or nil when they are not free now. The error is that of allocating.
func (p *pool) get(n int) ([]byte, error) {
	if n <= p.size {
		if p.arena == nil {
			buf, free, err := p.fs.Alloc(p.size)
			if err != nil {
				return nil, err
			}
			p.arena = &arena{buf: buf[:p.size], free: free}
		}
		return p.arena.get(n), nil
	}
	if p.alone != nil {
		return nil, nil
	}
	buf, free, err := p.fs.Alloc(n)
	if err != nil {
		return nil, err
	}
	p.piece, p.alone = buf[:n:n], free
	return p.piece, nil
}

// put takes back what get returned.
func (p *pool) put(b []byte) {
	if p.alone != nil && &p.piece[0] == &b[0] {
		p.alone()
		p.alone, p.piece = nil, nil
		return
	}
	p.arena.put(b)
}

// free gives all memory back, also what was not put back.
func (p *pool) free() {
	if p.alone != nil {
		p.alone()
		p.alone, p.piece = nil, nil
	}
	if p.arena != nil {
		p.arena.free()
		p.arena = nil
	}
}
