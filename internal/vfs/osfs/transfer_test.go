package osfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"syscall"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
)

const block = vfs.BlockSize

// disk is memory behind a transfer that moves at most what the next element of limits
// says; -1 is a failure with err, and after the last one all goes through.
type disk struct {
	data   []byte
	limits []int
	err    error
	calls  []int64 // offsets
}

func (d *disk) next(want int, off int64) (int, error) {
	d.calls = append(d.calls, off)
	if len(d.limits) == 0 {
		return want, nil
	}
	limit := d.limits[0]
	d.limits = d.limits[1:]
	if limit < 0 {
		return 0, d.err
	}
	return min(limit, want), nil
}

func (d *disk) read(_ handle, p []byte, off int64) (int, error) {
	n, err := d.next(min(len(p), max(0, len(d.data)-int(off))), off)
	return copy(p[:n], d.data[min(int(off), len(d.data)):]), err
}

func (d *disk) write(_ handle, p []byte, off int64) (int, error) {
	n, err := d.next(len(p), off)
	return copy(d.data[off:], p[:n]), err
}

func TestTransfers(t *testing.T) {
	var interrupted, again error = syscall.EINTR, syscall.EAGAIN
	full := bytes.Repeat([]byte("0123456789abcdef"), 3*block/16)
	for _, c := range []struct {
		name   string
		limits []int
		err    error
		direct bool
		size   int // of the disk, for reads
		n      int
		want   error
		reads  []int64
		writes []int64
	}{
		{name: "at once", size: 3 * block, n: 3 * block, reads: []int64{0}, writes: []int64{0}},
		{name: "interrupted", limits: []int{-1, 100, -1}, err: interrupted, size: 3 * block, n: 3 * block,
			reads: []int64{0, 0, 100, 100}, writes: []int64{0, 0, 100, 100}},
		{name: "not ready", limits: []int{-1, -1}, err: again, size: 3 * block, n: 3 * block,
			reads: []int64{0, 0, 0}, writes: []int64{0, 0, 0}},
		{name: "in pieces", limits: []int{1, block, 77}, size: 3 * block, n: 3 * block,
			reads: []int64{0, 1, block + 1, block + 78}, writes: []int64{0, 1, block + 1, block + 78}},
		{name: "direct, in blocks", limits: []int{block, block}, direct: true, size: 3 * block, n: 3 * block,
			reads: []int64{0, block, 2 * block}, writes: []int64{0, block, 2 * block}},
		{name: "direct, inside a block", limits: []int{block + 512}, direct: true, size: 3 * block, n: 3 * block,
			reads: []int64{0, block}, writes: []int64{0, block}},
		{name: "direct, inside two blocks", limits: []int{block + 512, 1024 + block}, direct: true, size: 3 * block, n: 3 * block,
			reads: []int64{0, block, 2 * block}, writes: []int64{0, block, 2 * block}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &disk{data: full[:c.size], limits: c.limits, err: c.err}
			got := make([]byte, len(full))
			n, err := readFull(d.read, *new(handle), got, 0, c.direct)
			if n != c.n || err != c.want || !bytes.Equal(got[:n], full[:n]) {
				t.Errorf("read %d, %v, want %d, %v", n, err, c.n, c.want)
			}
			wantCalls(t, d.calls, c.reads)

			d = &disk{data: make([]byte, len(full)), limits: c.limits, err: c.err}
			n, err = writeFull(d.write, *new(handle), full, 0, c.direct)
			if n != c.n || err != c.want || !bytes.Equal(d.data[:n], full[:n]) {
				t.Errorf("wrote %d, %v, want %d, %v", n, err, c.n, c.want)
			}
			wantCalls(t, d.calls, c.writes)
		})
	}
}

func wantCalls(t *testing.T, got, want []int64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("calls at %d, want %d", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("calls at %d, want %d", got, want)
		}
	}
}

func TestReadMeetsTheEnd(t *testing.T) {
	data := bytes.Repeat([]byte{7}, 2*block+100)
	for _, direct := range []bool{false, true} {
		d := &disk{data: data}
		got := make([]byte, 4*block)
		if n, err := readFull(d.read, *new(handle), got, 0, direct); n != len(data) || err != io.EOF || !bytes.Equal(got[:n], data) {
			t.Errorf("direct %v: read %d, %v, want %d, EOF", direct, n, err, len(data))
		}
	}
}

func TestWriteFails(t *testing.T) {
	f := &File{name: "f"}
	for _, c := range []struct {
		name   string
		limits []int
		direct bool
		n      int
		short  bool
		errno  bool
	}{
		{name: "at once", limits: []int{-1}, errno: true},
		{name: "after a part", limits: []int{100, -1}, n: 100, short: true, errno: true},
		{name: "direct, after a part", limits: []int{block + 512, -1}, direct: true, n: block, short: true, errno: true},
		{name: "without progress", limits: []int{0}, short: true},
		{name: "direct, without progress", limits: []int{block + 512, 512}, direct: true, n: block, short: true},
	} {
		d := &disk{data: make([]byte, 3*block), limits: c.limits, err: syscall.ENOSPC}
		n, err := writeFull(d.write, *new(handle), make([]byte, 3*block), 0, c.direct)
		err = f.transferError("write", n, 3*block, err)
		var pathErr *fs.PathError
		if n != c.n || !errors.As(err, &pathErr) || errors.Is(err, vfs.ErrShortWrite) != c.short || errors.Is(err, syscall.ENOSPC) != c.errno {
			t.Errorf("%s: wrote %d, %v", c.name, n, err)
		}
	}
}
