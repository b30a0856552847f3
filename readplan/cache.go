package readplan

import (
	"errors"
	"path/filepath"
	"sync"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
)

// ErrClosed is returned by Acquire after Close.
var ErrClosed = errors.New("readplan: cache closed")

// Cache keeps segment readers open. All methods may be called by any goroutine. A hit
// allocates nothing.
type Cache struct {
	o  CacheOptions
	mu struct { // never held across I/O or a call out
		sync.Mutex
		files  map[key]*file
		idle   ring // cached readers that nobody uses, least recently used first
		closed bool
	}
}

// key names a segment file.
type key struct {
	id     raftlog.LogID
	number uint64
}

// file is what the cache knows of one segment file. It exists while it is pinned, and while a
// reader of it exists or is being opened.
type file struct {
	key     key
	current *open    // the reader that new uses may share, or nil
	readers int      // open ones and those being opened, replaced ones included
	pins    int      // who needs the file, open or not
	then    []func() // to call when there is neither; a file with any is retired
}

// retired reports whether the file is to be removed: a reader of it is not kept then.
func (f *file) retired() bool { return len(f.then) > 0 }

// open is one reader with its count of uses.
type open struct {
	file  *file
	seg   raftlog.Segment
	uses  int
	ready chan struct{} // closed when r and err are set
	r     *segment.Reader
	err   error

	prev, next *open // in idle
}

// Ref is one use of an open reader. The zero Ref is none.
type Ref struct {
	c *Cache
	o *open
}

// NewCache returns a Cache. It does no I/O. The error joins all violations of the options.
func NewCache(o CacheOptions) (*Cache, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	c := &Cache{o: o}
	c.mu.files = map[key]*file{}
	c.mu.idle.init()
	return c, nil
}

// Acquire returns a reader of the log's segment that promises what s says. It opens the file
// when no cached reader does, and blocks for that; a reader of an older promise is replaced.
// The file stays open until the Ref is released, whatever happens to the cache meanwhile.
// Errors: those of segment.Open, ErrClosed.
func (c *Cache) Acquire(id raftlog.LogID, s raftlog.Segment) (Ref, error) {
	k := key{id, s.Number}
	c.mu.Lock()
	if c.mu.closed {
		c.mu.Unlock()
		return Ref{}, ErrClosed
	}
	f := c.fileLocked(k)
	if o := f.current; o != nil && serves(o.seg, s) {
		if o.uses++; o.uses == 1 {
			c.mu.idle.remove(o)
		}
		c.mu.Unlock()
		<-o.ready
		return c.result(o)
	}
	o := &open{file: f, seg: s, uses: 1, ready: make(chan struct{})}
	f.readers++
	var unused *open
	if f.current == nil || !newer(f.current.seg, s) {
		unused = c.detachLocked(f)
		f.current = o
	}
	c.mu.Unlock()
	c.shut(unused)
	name := filepath.Join(c.o.Dir, segment.DirName(id), segment.FileName(s.Number))
	o.r, o.err = segment.Open(c.o.FS, name, id, s, segment.ReadOptions{Direct: c.o.Direct})
	close(o.ready)
	return c.result(o)
}

// fileLocked returns what is known of a file, from now on if need be.
func (c *Cache) fileLocked(k key) *file {
	f := c.mu.files[k]
	if f == nil {
		f = &file{key: k}
		c.mu.files[k] = f
	}
	return f
}

// result hands out a reader that is ready, or takes the use of a failed one back.
func (c *Cache) result(o *open) (Ref, error) {
	if o.err == nil {
		return Ref{c, o}, nil
	}
	c.mu.Lock()
	if o.file.current == o {
		o.file.current = nil // the next Acquire tries again
	}
	o.uses--
	last := o.uses == 0
	c.mu.Unlock()
	if last {
		c.shut(o)
	}
	return Ref{}, o.err
}

// serves reports whether a reader of one promise keeps the other. What was released below
// does no harm: whoever asks knows its own bounds.
func serves(have, want raftlog.Segment) bool {
	return have.Bytes == want.Bytes && have.Range.Last == want.Range.Last && have.Range.First <= want.Range.First
}

// newer reports whether promise a was made after b: files grow, ranges of unchanged files shrink.
func newer(a, b raftlog.Segment) bool {
	if a.Bytes != b.Bytes {
		return a.Bytes > b.Bytes
	}
	return a.Range.Last < b.Range.Last
}

// Reader is valid until Release.
func (r Ref) Reader() *segment.Reader { return r.o.r }

// Release ends the use. Call it exactly once. It may close a file.
func (r Ref) Release() {
	c, o := r.c, r.o
	c.mu.Lock()
	if o.uses--; o.uses > 0 {
		c.mu.Unlock()
		return
	}
	var unused *open
	switch {
	case o.file.current != o:
		unused = o
	case o.file.retired():
		o.file.current, unused = nil, o
	default:
		c.mu.idle.pushLast(o)
		if c.mu.idle.len > c.o.Files {
			unused = c.detachLocked(c.mu.idle.first().file)
		}
	}
	c.mu.Unlock()
	c.shut(unused)
}
