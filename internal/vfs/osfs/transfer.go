package osfs

import (
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/rawl-db/rawl/internal/vfs"
)

// maxTransfer bounds one system call, in bytes. Linux moves at most 2 GiB less a page at
// once, darwin refuses more than 2 GiB less one byte.
const maxTransfer = 1 << 30

// transfer is one system call: it moves up to len(p) bytes at off and returns how many. A
// read that returns 0 without an error met the end of the file.
type transfer func(h handle, p []byte, off int64) (int, error)

// errStuck is a write that moved nothing without an error.
var errStuck = errors.New("no progress")

// writeFull calls until p is written. A direct write that stops inside a block is
// continued from the start of that block, once per block. The count returned with an
// error is what is known to be written from the start of p, for a direct file in whole
// blocks.
func writeFull(call transfer, h handle, p []byte, off int64, direct bool) (int, error) {
	n := 0
	for n < len(p) {
		m, err := call(h, p[n:min(len(p), n+maxTransfer)], off+int64(n))
		if err != nil {
			if again(err) {
				runtime.Gosched()
				continue
			}
			return n, err
		}
		if direct && n+m < len(p) {
			m &^= vfs.BlockSize - 1
		}
		if m == 0 {
			return n, errStuck
		}
		n += m
	}
	return n, nil
}

// readFull calls until p is full or the file ends, which is io.EOF. A direct read that
// stops inside a block either met the end of the file or was short: the block is read
// again, and stopping at the same place twice is the end.
func readFull(call transfer, h handle, p []byte, off int64, direct bool) (int, error) {
	n, stop := 0, -1
	for n < len(p) {
		m, err := call(h, p[n:min(len(p), n+maxTransfer)], off+int64(n))
		if err != nil {
			if again(err) {
				runtime.Gosched()
				continue
			}
			return n, err
		}
		if m == 0 {
			return n, io.EOF
		}
		n += m
		if direct && n < len(p) && n%vfs.BlockSize != 0 {
			if n == stop {
				return n, io.EOF
			}
			stop = n
			n &^= vfs.BlockSize - 1
		}
	}
	return n, nil
}

// transferError turns what a transfer loop returned into what the file returns. io.EOF
// stays as it is: io.ReaderAt's callers compare it.
func (f *File) transferError(op string, n, size int, err error) error {
	switch {
	case err == nil:
		return nil
	case err == io.EOF:
		return err
	case op == "write" && (n > 0 || err == errStuck):
		err = fmt.Errorf("%w: %d of %d bytes: %w", vfs.ErrShortWrite, n, size, err)
	}
	return pathError(op, f.name, err)
}
