package wal

import (
	"fmt"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/vfs"
)

// fill writes the next chunk of zeros.
func (p *Pool) fill() error {
	if err := p.needBlock(); err != nil {
		return p.fail(err)
	}
	n := min(fillChunk, p.o.FileSize-p.work.zeroed)
	if _, err := p.work.file.WriteAt(p.block[:n], p.work.zeroed); err != nil {
		return p.fail(err)
	}
	p.work.zeroed += n
	return nil
}

// finish makes the prepared file a spare: header, sync, directory, registration. Only a
// failed registration is tried again with the same file.
func (p *Pool) finish() error {
	if !p.work.sealed {
		if err := p.writeHeader(); err != nil {
			return p.fail(err)
		}
		p.work.sealed = true
	}
	s := p.work
	if err := p.o.Register(s.number); err != nil {
		return fmt.Errorf("wal: registering file %d: %w", s.number, err)
	}
	p.work = nil
	p.mu.Lock()
	p.mu.err, p.mu.failures = nil, 0
	p.mu.spares = append(p.mu.spares, spare{number: s.number, file: s.file, zeroed: max(s.zeroed, frame.BlockSize)})
	p.mu.Unlock()
	p.hurry.Store(false)
	p.notify()
	return nil
}

func (p *Pool) writeHeader() error {
	if err := p.needBlock(); err != nil {
		return err
	}
	h := frame.FileHeader{Kind: frame.WALFile, Stream: p.o.Stream, Number: p.work.number}
	if p.o.Prealloc != PreallocNone {
		h.Size = p.o.FileSize
	}
	h.Encode(p.block)
	_, err := p.work.file.WriteAt(p.block[:frame.BlockSize], 0)
	clear(p.block[:frame.BlockSize])
	if err == nil && p.work.reused {
		// Its size may never have become durable: a sync may have failed before an earlier start.
		_, err = p.work.file.WriteAt(p.block[:frame.BlockSize], p.o.FileSize-frame.BlockSize)
	}
	if err != nil {
		return err
	}
	if err := p.work.file.Sync(); err != nil {
		return err
	}
	if err := p.reopen(); err != nil {
		return err
	}
	return p.o.FS.SyncDir(p.o.Dir)
}

// reopen gives the file the sync mode of the strategy, which would have slowed the filling.
func (p *Pool) reopen() error {
	mode := p.o.Strategy.openMode()
	if mode == vfs.SyncNone {
		return nil
	}
	direct := p.work.file.Direct()
	err := p.work.file.Close()
	p.work.file = nil
	if err != nil {
		return err
	}
	f, err := p.o.FS.Open(FileName(p.o.Dir, p.work.number), vfs.OpenOptions{Write: true, Direct: direct, Sync: mode})
	if err == nil {
		p.work.file = f
	}
	return err
}

// fail gives up the file in preparation: after a failed write or sync it is not used.
func (p *Pool) fail(err error) error {
	number := p.work.number
	p.abandon()
	return fmt.Errorf("wal: preparing file %d: %w", number, err)
}

// abandon closes and removes the file in preparation, which nothing refers to. One that is
// registered or may be is only closed. Errors leave a file that the next start finds.
func (p *Pool) abandon() {
	if p.work == nil {
		return
	}
	if p.work.file != nil {
		_ = p.work.file.Close()
	}
	if !p.work.sealed {
		_ = p.remove(p.work.number)
	}
	p.work = nil
}
