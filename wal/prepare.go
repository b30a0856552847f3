package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/vfs"
)

const (
	// fillChunk is what the pool fills with zeros at a time, in bytes: small, because a commit
	// may have to wait behind it.
	fillChunk = 128 << 10
	// pauseFactor is how many times a chunk's duration the pool rests while commits run.
	pauseFactor = 4
	maxPause    = 100 * time.Millisecond
	// failurePause is the rest after a failure; Wake ends it early.
	failurePause = time.Second
)

// preparation is a file on its way to be a spare.
type preparation struct {
	number uint64
	file   vfs.File
	zeroed int64
	reused bool // it had an earlier life
	sealed bool // header and directory are synced, only Register is missing
}

// Step does one bounded piece of work: closes a file, removes one, fills one chunk, or
// does the few operations that begin or end a preparation. more is false when nothing is left
// to do until Wake; else pause is how long the caller does well to wait before the
// next call, 0 while the committer is starving.
func (p *Pool) Step() (pause time.Duration, more bool) {
	start := p.o.Now()
	did, err := p.advance()
	if err != nil {
		p.mu.Lock()
		p.mu.err = err
		p.mu.failures++
		p.mu.Unlock()
		p.notify() // whoever starves must hear of it
		return failurePause, true
	}
	if !did || p.hurry.Load() || !p.busy() {
		return 0, did
	}
	return min(pauseFactor*time.Duration(p.o.Now()-start), maxPause), true
}

// advance does the piece of work that is due, and reports whether there was one.
func (p *Pool) advance() (bool, error) {
	if f, ok := p.nextRetired(); ok {
		_ = f.Close() // all that was acknowledged is synced
		return true, nil
	}
	if number, ok := p.nextDoomed(); ok {
		return true, p.remove(number)
	}
	switch {
	case p.work != nil:
		if !p.work.sealed && p.work.zeroed < p.o.FileSize && !p.hurry.Load() {
			return true, p.fill()
		}
		return true, p.finish()
	case p.spares() < p.o.Spares:
		return true, p.begin()
	}
	return false, nil
}

func (p *Pool) nextRetired() (vfs.File, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return takeFirst(&p.mu.retired)
}

// nextDoomed removes one from the list of files to remove: what cannot be recycled, and what
// is more than enough.
func (p *Pool) nextDoomed() (number uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := &p.mu.doomed
	if len(*list) == 0 {
		list = &p.mu.returned
		keep := p.o.Spares + 1
		if p.o.Prealloc != PreallocRecycle {
			keep = 0
		}
		if len(*list) <= keep {
			return 0, false
		}
	}
	return takeFirst(list)
}

func (p *Pool) nextReturned() (number uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return takeFirst(&p.mu.returned)
}

// takeFirst removes the first element, in place.
func takeFirst[T any](list *[]T) (first T, ok bool) {
	if len(*list) == 0 {
		return first, false
	}
	first = (*list)[0]
	n := copy(*list, (*list)[1:])
	clear((*list)[n:])
	*list = (*list)[:n]
	return first, true
}

func (p *Pool) remove(number uint64) error {
	err := p.o.FS.Remove(FileName(p.o.Dir, number))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("wal: pool: %w", err)
	}
	return nil
}

// begin recycles a returned file or creates one.
func (p *Pool) begin() error {
	if number, ok := p.nextReturned(); ok {
		info, err := p.o.FS.Stat(FileName(p.o.Dir, number))
		if err != nil || !info.Regular || info.Size != p.o.FileSize {
			return p.remove(number)
		}
		return p.recycle(number)
	}
	return p.create()
}

// recycle takes an old file under a new number. Its blocks count as written when it has a
// sound header, which a file gets after it was filled.
func (p *Pool) recycle(old uint64) error {
	number := p.number()
	name := FileName(p.o.Dir, number)
	if err := p.o.FS.Rename(FileName(p.o.Dir, old), name); err != nil {
		return fmt.Errorf("wal: pool: %w", err)
	}
	var f vfs.File
	err := p.withDirect(func(direct bool) (err error) {
		f, err = p.o.FS.Open(name, vfs.OpenOptions{Write: true, Direct: direct})
		return err
	})
	if err != nil {
		return err
	}
	p.work = &preparation{number: number, file: f, reused: true}
	if err := p.needBlock(); err != nil {
		return p.fail(err)
	}
	if _, err := f.ReadAt(p.block[:frame.BlockSize], 0); err != nil {
		return p.fail(err)
	}
	if _, err := frame.DecodeFileHeader(p.block); err == nil {
		p.work.zeroed = p.o.FileSize
	}
	clear(p.block[:frame.BlockSize])
	p.recycled.Add(1)
	return nil
}

func (p *Pool) create() error {
	number := p.number()
	size := p.o.FileSize
	if p.o.Prealloc == PreallocNone {
		size = 0
	}
	var f vfs.File
	err := p.withDirect(func(direct bool) (err error) {
		f, err = p.o.FS.Create(FileName(p.o.Dir, number), vfs.CreateOptions{Direct: direct, Size: size})
		return err
	})
	if err != nil {
		return err
	}
	p.work = &preparation{number: number, file: f}
	if p.o.Prealloc != PreallocRecycle {
		p.work.zeroed = p.o.FileSize // not so, but nobody shall fill it
	}
	p.made.Add(1)
	return nil
}

func (p *Pool) number() uint64 {
	p.next++
	return p.next - 1
}

// withDirect opens past the page cache, and without where the file system cannot.
func (p *Pool) withDirect(open func(direct bool) error) error {
	err := open(p.direct)
	if p.direct && errors.Is(err, vfs.ErrUnsupported) {
		p.direct = false
		err = open(false)
	}
	if err != nil {
		return fmt.Errorf("wal: pool: %w", err)
	}
	return nil
}

func (p *Pool) needBlock() (err error) {
	if p.block == nil {
		p.block, p.free, err = p.o.FS.Alloc(fillChunk)
	}
	return err
}
