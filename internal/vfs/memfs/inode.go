package memfs

// inode is a file: what programs see, what the device has, and how the one came from the
// other. Methods need the lock of its file system.
type inode struct {
	current *content
	stable  *content
	changes []change // since the last sync, in order

	links   int // current directory entries
	handles int // open files and locks
}

// change is an unsynced write or, where data is nil, an unsynced size change.
type change struct {
	// off and data cover whole sectors: the cache's content right after the write.
	off  int64
	data []byte

	size    int64
	reserve bool
}

func (c change) end() int64 { return c.off + int64(len(c.data)) }

func newInode() *inode { return &inode{current: newContent(), stable: newContent()} }

// write stores p at off in the cache, as much of it as fits into freePages further pages,
// and returns how much that is.
func (n *inode) write(p []byte, off, freePages int64) int {
	done := 0
	for done < len(p) {
		at := off + int64(done)
		if n.current.page(at/pageSize) == nil {
			if freePages == 0 {
				break
			}
			freePages--
		}
		part := min(len(p)-done, int(pageSize-at%pageSize))
		n.current.writeAt(p[done:done+part], at)
		done += part
	}
	if done == 0 {
		return 0
	}
	lo, hi := sectors(off, int64(done))
	data := make([]byte, hi-lo)
	n.current.readAt(data, lo)
	n.changes = append(n.changes, change{off: lo, data: data})
	if end := off + int64(done); end > n.current.size {
		n.current.size = end
		n.changes = append(n.changes, change{size: end})
	}
	return done
}

// sectors returns the bounds of the sectors that n bytes at off touch.
func sectors(off, n int64) (lo, hi int64) {
	return off / SectorSize * SectorSize, (off + n + SectorSize - 1) / SectorSize * SectorSize
}

// resize sets the size; with reserve, all pages below it are allocated.
func (n *inode) resize(size int64, reserve bool) {
	n.current.resize(size)
	if reserve {
		n.current.reserve(size)
	}
	n.changes = append(n.changes, change{size: size, reserve: reserve})
}

// sync makes every change durable.
func (n *inode) sync() {
	n.commitSizes()
	for _, c := range n.changes {
		n.publish(c.off, c.end(), c.end())
	}
	n.changes = nil
}

// syncRange makes the bytes of one write durable and, where they need it, the size.
func (n *inode) syncRange(off, length int64) {
	end := min(off+length, n.current.size)
	need := end > n.stable.size
	for _, c := range n.changes {
		need = need || c.data == nil && c.size < end
	}
	if need {
		n.commitSizes()
	}
	lo, hi := sectors(off, length)
	n.publish(lo, hi, end)
	n.forget(lo, hi)
}

// commitSizes makes the size durable. Writes that a cut has overtaken lose what was cut.
func (n *inode) commitSizes() {
	var writes []change
	for _, c := range n.changes {
		if c.data != nil {
			writes = append(writes, c)
			continue
		}
		for i := range writes {
			writes[i].cut(c.size)
		}
		n.stable.resize(c.size)
		if c.reserve {
			n.stable.reserve(c.size)
		}
	}
	n.changes = writes
}

// cut drops what lies at or beyond size, up to which a sector is kept whole.
func (c *change) cut(size int64) {
	if c.off >= size {
		c.data = c.data[:0]
		return
	}
	if c.end() > size {
		clear(c.data[size-c.off:])
		_, hi := sectors(c.off, size-c.off)
		c.data = c.data[:min(hi, c.end())-c.off]
	}
}

// publish makes the sectors in [lo, hi) durable as they are in the cache, and a size that
// covers end: after a failed sync, which dropped the size, it may not be durable yet.
// Sizes that cut are committed before, so a hole of the cache is one of the device.
func (n *inode) publish(lo, hi, end int64) {
	_, limit := sectors(0, n.current.size)
	hi = min(hi, limit)
	if lo >= hi {
		return
	}
	n.stable.size = max(n.stable.size, min(end, n.current.size))
	for at := lo; at < hi; {
		i := at / pageSize
		next := min(hi, (i+1)*pageSize)
		switch {
		case next-at == pageSize:
			n.stable.setPage(i, n.current.share(i))
		case n.current.page(i) != nil:
			n.stable.writeAt(n.current.page(i).data[at%pageSize:at%pageSize+next-at], at)
		}
		at = next
	}
}

// forget removes the sectors in [lo, hi) from the unsynced writes.
func (n *inode) forget(lo, hi int64) {
	var rest []change
	for _, c := range n.changes {
		if c.data == nil || c.end() <= lo || c.off >= hi {
			rest = append(rest, c)
			continue
		}
		if c.off < lo {
			rest = append(rest, change{off: c.off, data: c.data[:lo-c.off]})
		}
		if c.end() > hi {
			rest = append(rest, change{off: hi, data: c.data[hi-c.off:]})
		}
	}
	n.changes = rest
}

// image returns what a power cut leaves of the file when ch decides.
func (n *inode) image(ch *chooser) *content {
	img := n.stable.clone()
	sizes := 0
	for _, c := range n.changes {
		if c.data == nil {
			sizes++
		}
	}
	size := img.size
	keepSizes := ch.prefix(sizes)
	for _, c := range n.changes {
		if c.data != nil {
			ch.runs(len(c.data)/SectorSize, func(lo, hi int) {
				lo, hi = lo*SectorSize, hi*SectorSize
				img.writeAt(c.data[lo:hi], c.off+int64(lo))
			})
			continue
		}
		if keepSizes == 0 {
			continue
		}
		keepSizes--
		size = c.size
		img.resize(size)
		if c.reserve {
			img.reserve(size)
		}
	}
	img.resize(size)
	return img
}
