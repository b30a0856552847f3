package readplan

import "github.com/rawl-db/rawl/internal/raftlog"

// detachLocked makes f's current reader one that nobody new may share. It returns the reader
// if nobody uses it, for shut.
func (c *Cache) detachLocked(f *file) *open {
	o := f.current
	f.current = nil
	if o == nil || o.uses > 0 {
		return nil
	}
	c.mu.idle.remove(o)
	return o
}

// shut closes a detached reader that nobody uses. nil is none.
func (c *Cache) shut(o *open) {
	if o == nil {
		return
	}
	if o.r != nil {
		_ = o.r.Close() // it was only read
	}
	f := o.file
	c.mu.Lock()
	f.readers--
	then := c.forgetLocked(f)
	c.mu.Unlock()
	for _, fn := range then {
		fn()
	}
}

// forgetLocked drops f when nobody reads or pins it, and returns what is to be called then.
func (c *Cache) forgetLocked(f *file) []func() {
	if f.readers > 0 || f.pins > 0 {
		return nil
	}
	then := f.then
	f.then = nil
	if c.mu.files[f.key] == f {
		delete(c.mu.files, f.key)
	}
	return then
}

// DropSegment closes the cached reader of one segment, or lets its last Release close it.
func (c *Cache) DropSegment(id raftlog.LogID, number uint64) { c.Retire(id, number, nil) }

// Retire is DropSegment for a file that is to be removed: once no reader of it is open and nobody
// pins it, then is called, at once on this goroutine or later on that of the last Release or
// Unpin, which may be any: it must not wait, nor acquire the segment.
func (c *Cache) Retire(id raftlog.LogID, number uint64, then func()) {
	c.mu.Lock()
	f := c.mu.files[key{id, number}]
	if f == nil {
		c.mu.Unlock()
		if then != nil {
			then()
		}
		return
	}
	if then != nil {
		f.then = append(f.then, then)
	}
	unused := c.detachLocked(f)
	c.mu.Unlock()
	c.shut(unused)
}

// Pin keeps a segment's file from what Retire announces, until Unpin. It opens no file and may
// be called after Close. A pin counts only if the segment is still listed after it was taken: else
// the file may have gone before.
func (c *Cache) Pin(id raftlog.LogID, number uint64) {
	c.mu.Lock()
	c.fileLocked(key{id, number}).pins++
	c.mu.Unlock()
}

// Unpin takes one Pin back. What Retire announced may be called by it.
func (c *Cache) Unpin(id raftlog.LogID, number uint64) {
	c.mu.Lock()
	f := c.mu.files[key{id, number}]
	f.pins--
	then := c.forgetLocked(f)
	c.mu.Unlock()
	for _, fn := range then {
		fn()
	}
}

// Pinned returns the number of files that are pinned.
func (c *Cache) Pinned() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, f := range c.mu.files {
		if f.pins > 0 {
			n++
		}
	}
	return n
}

// Drop closes all readers of a log that nobody uses, and lets the last Release close the
// others. It looks at every open file.
func (c *Cache) Drop(id raftlog.LogID) { c.drop(func(k key) bool { return k.id == id }) }

func (c *Cache) drop(match func(key) bool) {
	var unused []*open
	c.mu.Lock()
	for k, f := range c.mu.files {
		if match(k) {
			if o := c.detachLocked(f); o != nil {
				unused = append(unused, o)
			}
		}
	}
	c.mu.Unlock()
	for _, o := range unused {
		c.shut(o)
	}
}

// Close forgets all readers and makes Acquire return ErrClosed. Readers in use stay open
// until their release. It returns nil.
func (c *Cache) Close() error {
	c.mu.Lock()
	c.mu.closed = true
	c.mu.Unlock()
	c.drop(func(key) bool { return true })
	return nil
}

// Len returns the number of open files, those in use included.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, f := range c.mu.files {
		n += f.readers
	}
	return n
}
