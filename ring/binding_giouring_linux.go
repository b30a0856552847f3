//go:build giouring

package ring

import (
	"errors"
	"math/bits"
	"os"
	"syscall"
	"unsafe"

	"github.com/pawelgaczynski/giouring"
)

// bindingName names the binding in Caps.
const bindingName = "giouring"

// gioring drives the rings through giouring, which hides some of their parts: the size
// of the completion ring cannot be chosen (it is twice that of the submission ring) and
// the count of lost completions cannot be read.
type gioring struct {
	r       *giouring.Ring
	entries uint32
	pushed  []*giouring.SubmissionQueueEntry // by place
	tail    uint32                           // counts pushes
	undo    []func() (uint, error)           // what close has to unregister

	// Arguments that giouring passes on by number: they must not lie on a stack, which
	// moves.
	fds []int
	iov []syscall.Iovec
}

// newKernel sets up the rings of a queue of depth operations. The error is an errno
// wrapped by the name of the failed call.
func newKernel(depth int, plain bool) (kernel, error) {
	n := len(setupFlags)
	if plain {
		n = 0
	}
	entries := uint32(1) << bits.Len(uint(depth-1))
	for ; ; n-- {
		var flags uint32
		for _, f := range setupFlags[:n] {
			flags |= f
		}
		r := giouring.NewRing()
		err := r.QueueInit(entries, flags)
		if errors.Is(err, syscall.EINVAL) && n > 0 {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("io_uring_setup", err)
		}
		return &gioring{r: r, entries: entries, pushed: make([]*giouring.SubmissionQueueEntry, entries)}, nil
	}
}

func (g *gioring) sqSize() uint32  { return g.entries }
func (g *gioring) cqSize() uint32  { return 2 * g.entries }
func (g *gioring) dropped() uint32 { return 0 }
func (g *gioring) unsent() uint32  { return g.r.SQReady() }

// push writes the entry whole: both types spell struct io_uring_sqe.
func (g *gioring) push(e sqe) bool {
	p := g.r.GetSQE()
	if p == nil {
		return false
	}
	*(*sqe)(unsafe.Pointer(p)) = e
	g.pushed[g.tail%g.entries] = p
	g.tail++
	return true
}

func (g *gioring) entry(i uint32) *sqe {
	return (*sqe)(unsafe.Pointer(g.pushed[(g.tail-g.unsent()+i)%g.entries]))
}

func (g *gioring) enter(wait uint32) syscall.Errno {
	var err error
	if wait == 0 {
		_, err = g.r.SubmitAndGetEvents()
	} else {
		_, err = g.r.SubmitAndWait(wait)
	}
	return asErrno(err)
}

func (g *gioring) next() (cqe, bool) {
	if g.r.CQReady() == 0 {
		return cqe{}, false
	}
	c, err := g.r.PeekCQE()
	if err != nil || c == nil {
		return cqe{}, false
	}
	v := cqe{userData: c.UserData, res: c.Res, flags: c.Flags}
	g.r.CQESeen(c)
	return v, true
}

// fileTable: giouring hands the kernel its []int as if it were []int32, which is
// harmless while all are -1 or there is only one, and hides the error, which setFile
// then meets.
func (g *gioring) fileTable(n uint32) syscall.Errno {
	g.fds = make([]int, n)
	for i := range g.fds {
		g.fds[i] = noDescriptor
	}
	_, err := g.r.RegisterFiles(g.fds)
	g.undo = append(g.undo, g.r.UnregisterFiles)
	return asErrno(err)
}

func (g *gioring) setFile(i uint32, fd int32) syscall.Errno {
	g.fds = append(g.fds[:0], int(fd))
	_, err := g.r.RegisterFilesUpdate(uint(i), g.fds)
	return asErrno(err)
}

func (g *gioring) bufferTable(n uint32) syscall.Errno {
	_, err := g.r.RegisterBuffersSparse(n)
	if err == nil {
		g.undo = append(g.undo, g.r.UnregisterBuffers)
	}
	return asErrno(err)
}

func (g *gioring) setBuffer(i uint32, b []byte) syscall.Errno {
	v := syscall.Iovec{Base: unsafe.SliceData(b)}
	v.SetLen(len(b))
	g.iov = append(g.iov[:0], v)
	var tag uint64
	_, err := g.r.RegisterBuffersUpdateTag(i, g.iov, &tag, 1)
	return asErrno(err)
}

func (g *gioring) close() error {
	for _, f := range g.undo {
		_, _ = f()
	}
	g.undo = nil
	g.r.QueueExit()
	return nil
}

// asErrno unwraps what giouring returns; an error of its own making is EIO.
func asErrno(err error) syscall.Errno {
	var e syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e
	}
	return syscall.EIO
}
