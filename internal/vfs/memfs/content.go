package memfs

import "github.com/rawl-db/rawl/internal/vfs"

const (
	// SectorSize is the unit in bytes that a power cut leaves whole.
	SectorSize = 512

	pageSize   = vfs.BlockSize
	chunkPages = 256
	chunkSize  = chunkPages * pageSize

	// maxFileSize bounds the memory of a page table.
	maxFileSize = 1 << 40
)

// owner identifies the one content that may write a page or chunk in place. A content
// gives up all it owns by taking a new owner; what is left behind is then immutable.
type owner struct{ _ byte }

type page struct {
	owner *owner
	data  [pageSize]byte
}

type chunk struct {
	owner *owner
	pages [chunkPages]*page
}

// zeroPage stands for reserved space. Nothing owns it, so nothing writes it.
var zeroPage = new(page)

// content is the bytes of a file: a sparse table of pages that clones share until one
// of them writes. Bytes of a page beyond size are zero. A hole is a nil page.
// Methods need the lock of the file system that holds it.
type content struct {
	owner  *owner
	chunks []*chunk
	size   int64
	pages  int64 // allocated, reserved ones included
}

func newContent() *content { return &content{owner: new(owner)} }

// clone returns an independent copy. Both give up what c owned.
func (c *content) clone() *content {
	c.owner = new(owner)
	d := *c
	d.owner = new(owner)
	d.chunks = append([]*chunk(nil), c.chunks...)
	return &d
}

// page returns the page with the given number, nil for a hole.
func (c *content) page(i int64) *page {
	if i/chunkPages >= int64(len(c.chunks)) || c.chunks[i/chunkPages] == nil {
		return nil
	}
	return c.chunks[i/chunkPages].pages[i%chunkPages]
}

// setPage installs p, which may be nil.
func (c *content) setPage(i int64, p *page) {
	old := c.page(i)
	if old == p {
		return
	}
	for i/chunkPages >= int64(len(c.chunks)) {
		c.chunks = append(c.chunks, nil)
	}
	slot := &c.chunks[i/chunkPages]
	if *slot == nil {
		*slot = &chunk{owner: c.owner}
	} else if (*slot).owner != c.owner {
		*slot = &chunk{owner: c.owner, pages: (*slot).pages}
	}
	(*slot).pages[i%chunkPages] = p
	if old == nil {
		c.pages++
	}
	if p == nil {
		c.pages--
	}
}

// share returns the page for use by another content; neither writes it in place again.
func (c *content) share(i int64) *page {
	p := c.page(i)
	if p != nil && p.owner == c.owner {
		p.owner = nil
	}
	return p
}

// writablePage returns the page for writing; keep is false when all of it will be
// overwritten.
func (c *content) writablePage(i int64, keep bool) *page {
	p := c.page(i)
	if p != nil && p.owner == c.owner {
		return p
	}
	q := &page{owner: c.owner}
	if p != nil && keep {
		q.data = p.data
	}
	c.setPage(i, q)
	return q
}

// readAt fills p from off, whatever the size is; holes read as zeros.
func (c *content) readAt(p []byte, off int64) {
	for len(p) > 0 {
		at := off % pageSize
		n := min(int64(len(p)), pageSize-at)
		if pg := c.page(off / pageSize); pg != nil {
			copy(p[:n], pg.data[at:])
		} else {
			clear(p[:n])
		}
		p, off = p[n:], off+n
	}
}

// writeAt stores p at off and leaves the size alone.
func (c *content) writeAt(p []byte, off int64) {
	for len(p) > 0 {
		at := off % pageSize
		n := min(int64(len(p)), pageSize-at)
		pg := c.writablePage(off/pageSize, n < pageSize)
		copy(pg.data[at:], p[:n])
		p, off = p[n:], off+n
	}
}

// resize sets the size and forgets every byte beyond it.
func (c *content) resize(size int64) {
	c.size = size
	if tail := size % pageSize; tail != 0 {
		if pg := c.page(size / pageSize); pg != nil && pg != zeroPage {
			clear(c.writablePage(size/pageSize, true).data[tail:])
		}
	}
	first := (size + pageSize - 1) / pageSize
	for ci := first / chunkPages; ci < int64(len(c.chunks)); ci++ {
		if c.chunks[ci] == nil {
			continue
		}
		for pi := range int64(chunkPages) {
			if i := ci*chunkPages + pi; i >= first {
				c.setPage(i, nil)
			}
		}
	}
	if keep := (first + chunkPages - 1) / chunkPages; keep < int64(len(c.chunks)) {
		clear(c.chunks[keep:])
		c.chunks = c.chunks[:keep]
	}
}

// reserve allocates every page below size.
func (c *content) reserve(size int64) {
	for i := range (size + pageSize - 1) / pageSize {
		if c.page(i) == nil {
			c.setPage(i, zeroPage)
		}
	}
}

// bytes returns a copy of what the file holds.
func (c *content) bytes() []byte {
	p := make([]byte, c.size)
	c.readAt(p, 0)
	return p
}
