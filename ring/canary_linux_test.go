package ring

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
)

// TestCanaries reads and writes through a deep queue with buffers that have marked
// neighbours, while the collector runs: nothing outside a buffer changes, and each byte
// inside is the file's.
func TestCanaries(t *testing.T) {
	for _, procs := range []int{runtime.GOMAXPROCS(0), 1} {
		old := runtime.GOMAXPROCS(procs)
		canaries(t)
		runtime.GOMAXPROCS(old)
	}
}

func canaries(t *testing.T) {
	t.Helper()
	const depth, margin, size = 64, 64, 1 << 17
	b := newBench(t, false, depth, 16, depth)
	rng := rand.New(rand.NewPCG(1, 2))
	model := make([]byte, size)
	image := &vfs.Op{Kind: vfs.OpWrite, File: b.f, Buf: model}
	for i := range model {
		model[i] = byte(rng.Uint32())
	}
	b.run(image)
	b.wantDone(image)

	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // ends before canaries returns
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	defer func() { close(stop); <-stopped }()

	frames := map[*vfs.Op][]byte{}
	done := make([]*vfs.Op, depth)
	for range 400 {
		for b.q.Outstanding() < depth {
			n := 1 + rng.IntN(5000)
			frame := bytes.Repeat([]byte{0xc5}, n+2*margin)
			op := &vfs.Op{Kind: vfs.OpRead, File: b.f, Buf: frame[margin : margin+n : margin+n], Off: rng.Int64N(int64(size - n))}
			if rng.IntN(2) == 0 { // writes store what is there already
				op.Kind = vfs.OpWrite
				copy(op.Buf, model[op.Off:])
			}
			frames[op] = frame
			b.must(b.q.Submit(op))
		}
		n, err := b.q.Reap(1+rng.IntN(depth), done)
		b.must(err)
		for _, op := range done[:n] {
			b.wantDone(op)
			frame := frames[op]
			delete(frames, op)
			if !bytes.Equal(op.Buf, model[op.Off:op.Off+int64(len(op.Buf))]) {
				t.Fatal("a buffer does not hold what the file holds")
			}
			for i := range margin {
				if frame[i] != 0xc5 || frame[len(frame)-1-i] != 0xc5 {
					t.Fatal("a byte beside a buffer changed")
				}
			}
		}
	}
}
