package vfstest

import (
	"io"
	"sync"

	"github.com/rawl-db/rawl/internal/vfs"
)

const block = vfs.BlockSize

// fileCases hold for buffered and for direct files: all their transfers are aligned.
func fileCases() []testCase {
	return []testCase{
		{"Preallocated", testPreallocated},
		{"ReadWrite", testReadWrite},
		{"EndOfFile", testEndOfFile},
		{"Hole", testHole},
		{"Truncate", testTruncate},
		{"Reopen", testReopen},
		{"ReadOnly", testReadOnly},
		{"SyncModes", testSyncModes},
		{"Arguments", testArguments},
		{"Closed", testClosedFile},
		{"ConcurrentTransfers", testConcurrentTransfers},
	}
}

func testPreallocated(e *env) {
	e.wantSize(e.create("empty", 0), 0)
	for name, size := range map[string]int64{"one": block, "odd": 5 * block, "large": 4 << 20} {
		f := e.create(name, size)
		e.wantSize(f, size)
		e.wantAt(f, 0, make([]byte, size))
		data := e.filled(block, 3)
		e.writeAt(f, data, size-block)
		e.wantSize(f, size)
		e.wantAt(f, size-block, data)
	}
}

func testReadWrite(e *env) {
	f := e.create("f", 0)
	if f.Name() != e.path("f") {
		e.Errorf("Name = %q, want %q", f.Name(), e.path("f"))
	}
	if f.Direct() != e.direct {
		e.Errorf("Direct = %v, want %v", f.Direct(), e.direct)
	}
	data := e.filled(8*block, 1)
	e.writeAt(f, data, 0)
	e.wantSize(f, 8*block)
	e.wantAt(f, 0, data)
	e.wantAt(f, 3*block, data[3*block:5*block])
	over := e.filled(2*block, 9)
	e.writeAt(f, over, 2*block)
	copy(data[2*block:], over)
	e.wantAt(f, 0, data)
	e.wantSize(f, 8*block)
	e.must(f.Datasync())
	e.must(f.Sync())
	e.wantAt(f, 0, data)
}

func testEndOfFile(e *env) {
	f := e.create("f", 0)
	buf := e.buf(4 * block)
	wantEOF := func(off int64, size, want int) {
		e.Helper()
		n, err := f.ReadAt(buf[:size], off)
		if n != want || err != io.EOF {
			e.Errorf("ReadAt(%d bytes at %d) = %d, %v, want %d, EOF", size, off, n, err, want)
		}
	}
	wantEOF(0, block, 0)
	data := e.filled(2*block, 1)
	e.writeAt(f, data, 0)
	wantEOF(2*block, block, 0)
	wantEOF(8*block, block, 0)
	fill(buf, 77)
	wantEOF(block, 4*block, block)
	e.wantSame("read up to the end", buf[:block], data[block:])
	e.wantAt(f, block, data[block:])

	// A size that is no multiple of the block leaves a partial last block.
	e.must(f.Truncate(block + 1000))
	wantEOF(0, 4*block, block+1000)
	e.wantSame("read up to a partial block", buf[:block+1000], data[:block+1000])
	wantEOF(block, block, 1000)
	wantEOF(2*block, block, 0)
}

func testHole(e *env) {
	f := e.create("f", 0)
	data := e.filled(block, 4)
	e.writeAt(f, data, 4*block)
	e.wantSize(f, 5*block)
	e.wantAt(f, 0, make([]byte, 4*block))
	e.wantAt(f, 4*block, data)
}

func testTruncate(e *env) {
	f := e.create("f", 2*block)
	data := e.filled(4*block, 5)
	e.writeAt(f, data, 0)
	e.must(f.Truncate(block))
	e.wantSize(f, block)
	e.must(f.Truncate(4 * block))
	e.wantSize(f, 4*block)
	e.wantAt(f, 0, data[:block])
	e.wantAt(f, block, make([]byte, 3*block))
	e.must(f.Truncate(0))
	e.wantSize(f, 0)
	e.wantFail("Truncate to a negative size", f.Truncate(-1))
	e.wantSize(f, 0)
}

func testReopen(e *env) {
	data := e.filled(3*block, 6)
	f := e.create("f", block)
	e.writeAt(f, data, 0)
	e.must(f.Datasync())
	e.must(f.Close())
	for _, write := range []bool{false, true} {
		g := e.open("f", vfs.OpenOptions{Write: write, Direct: e.direct})
		if g.Direct() != e.direct || g.Name() != e.path("f") {
			e.Errorf("opened %q with Direct %v", g.Name(), g.Direct())
		}
		e.wantSize(g, 3*block)
		e.wantAt(g, 0, data)
		e.must(g.Close())
	}
}

func testReadOnly(e *env) {
	data := e.filled(block, 6)
	f := e.create("f", 0)
	e.writeAt(f, data, 0)
	e.must(f.Close())
	g := e.open("f", vfs.OpenOptions{Direct: e.direct})
	n, err := g.WriteAt(e.buf(block), 0)
	if n != 0 || err == nil {
		e.Errorf("WriteAt of a file opened for reading = %d, %v", n, err)
	}
	e.wantFail("Truncate of a file opened for reading", g.Truncate(0))
	e.wantAt(g, 0, data)
	e.wantSize(g, block)
}

func testSyncModes(e *env) {
	data := e.filled(2*block, 8)
	for name, mode := range map[string]vfs.SyncMode{"none": vfs.SyncNone, "data": vfs.SyncData, "full": vfs.SyncFull} {
		f := e.createWith(name, vfs.CreateOptions{Direct: e.direct, Sync: mode, Size: block})
		e.writeAt(f, data, block)
		e.must(f.Close())
		f = e.open(name, vfs.OpenOptions{Write: true, Direct: e.direct, Sync: mode})
		e.wantAt(f, block, data)
		e.writeAt(f, data, 0)
		e.wantAt(f, 0, data)
		e.wantSize(f, 3*block)
		e.must(f.Datasync())
		e.must(f.Sync())
	}
}

func testArguments(e *env) {
	f := e.create("f", block)
	buf := e.buf(block)
	_, err := f.ReadAt(buf, -block)
	e.wantFail("ReadAt a negative offset", err)
	_, err = f.WriteAt(buf, -block)
	e.wantFail("WriteAt a negative offset", err)
	for _, off := range []int64{0, block, 9 * block} {
		if n, err := f.ReadAt(nil, off); n != 0 || err != nil {
			e.Errorf("ReadAt of no bytes at %d = %d, %v", off, n, err)
		}
		if n, err := f.WriteAt(nil, off); n != 0 || err != nil {
			e.Errorf("WriteAt of no bytes at %d = %d, %v", off, n, err)
		}
	}
	e.wantSize(f, block)
	_, err = e.fs.Create(e.path("g"), vfs.CreateOptions{Size: -1})
	e.wantFail("Create with a negative size", err)
	e.wantNames("f")
}

func testClosedFile(e *env) {
	f := e.create("f", block)
	e.must(f.Close())
	buf := e.buf(block)
	_, err := f.ReadAt(buf, 0)
	e.wantErr("ReadAt", err, vfs.ErrClosed)
	_, err = f.WriteAt(buf, 0)
	e.wantErr("WriteAt", err, vfs.ErrClosed)
	_, err = f.Size()
	e.wantErr("Size", err, vfs.ErrClosed)
	e.wantErr("Datasync", f.Datasync(), vfs.ErrClosed)
	e.wantErr("Sync", f.Sync(), vfs.ErrClosed)
	e.wantErr("Truncate", f.Truncate(0), vfs.ErrClosed)
	e.wantErr("Close", f.Close(), vfs.ErrClosed)
	if f.Name() != e.path("f") {
		e.Errorf("Name of a closed file = %q", f.Name())
	}
}

func testConcurrentTransfers(e *env) {
	const workers, rounds = 4, 8
	f := e.create("f", workers*block)
	var wg sync.WaitGroup
	for w := range workers {
		data, got := e.buf(block), e.buf(block)
		wg.Go(func() {
			off := int64(w) * block
			for r := range rounds {
				fill(data, byte(w*rounds+r))
				if _, err := f.WriteAt(data, off); err != nil {
					e.Errorf("writer %d: %v", w, err)
					return
				}
				if r%4 == 0 {
					if err := f.Datasync(); err != nil {
						e.Errorf("writer %d: %v", w, err)
					}
				}
				if _, err := f.ReadAt(got, off); err != nil || string(got) != string(data) {
					e.Errorf("writer %d read other bytes than its own, or %v", w, err)
					return
				}
				if n, err := f.Size(); err != nil || n != workers*block {
					e.Errorf("Size = %d, %v", n, err)
				}
			}
		})
	}
	wg.Wait()
}
