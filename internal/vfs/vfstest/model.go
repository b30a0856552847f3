package vfstest

import (
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
)

// modelCases run random workloads and compare every byte with a copy in memory.
func modelCases() []testCase {
	return []testCase{
		{"Model", func(e *env) { runModel(e, e.create("f", 16*block), 1, 16, 2000) }},
		{"ModelShallow", func(e *env) { runModel(e, e.create("f", 16*block), 2, 1, 300) }},
		{"ModelManyQueues", testManyQueues},
	}
}

func testManyQueues(e *env) {
	const queues = 4
	var files []vfs.File
	for i := range queues {
		files = append(files, e.create(string(rune('a'+i)), 16*block))
	}
	var envs []*env
	for range queues {
		envs = append(envs, &env{T: e.T, fs: e.fs, dir: e.dir, direct: e.direct})
	}
	e.Cleanup(func() {
		for _, w := range envs {
			w.cleanup()
		}
	})
	var wg sync.WaitGroup
	for i, w := range envs {
		wg.Go(func() { runModel(w, files[i], uint64(i)+10, 8, 400) })
	}
	wg.Wait()
}

// model is a file of fixed blocks, its expected content, and the transfers under way,
// of which no two touch the same block.
type model struct {
	t    *testing.T
	rng  *rand.Rand
	file vfs.File
	want []byte
	busy []bool
	idle []*slot
}

// slot is an operation with memory of its own.
type slot struct {
	op          vfs.Op
	mem         []byte
	first, size int // blocks
}

const modelBlocks, modelMax = 24, 4

// runModel keeps up to depth transfers under way on f, which holds 16 zero blocks, until
// rounds have been submitted. It fails with Errorf alone: it runs on any goroutine.
func runModel(e *env, f vfs.File, seed uint64, depth, rounds int) {
	q, err := e.fs.NewQueue(depth)
	if err != nil {
		e.Error(err)
		return
	}
	e.queues = append(e.queues, q)
	m := &model{t: e.T, rng: rand.New(rand.NewPCG(seed, 0)), file: f, want: make([]byte, 16*block), busy: make([]bool, modelBlocks)}
	for range depth {
		mem, free, err := e.fs.Alloc(modelMax * block)
		if err != nil {
			e.Error(err)
			return
		}
		e.frees = append(e.frees, free)
		m.idle = append(m.idle, &slot{mem: mem[:modelMax*block]})
	}
	done := make([]*vfs.Op, depth)
	byOp := map[*vfs.Op]*slot{}
	for _, s := range m.idle {
		byOp[&s.op] = s
	}
	for submitted := 0; (submitted < rounds || q.Outstanding() > 0) && !e.Failed(); {
		for submitted < rounds && len(m.idle) > 0 && m.rng.IntN(8) > 0 {
			s := m.next()
			if s == nil {
				break
			}
			if err := q.Submit(&s.op); err != nil {
				e.Errorf("Submit with %d of %d outstanding: %v", q.Outstanding(), depth, err)
				return
			}
			submitted++
		}
		atLeast := m.rng.IntN(depth + 1)
		if submitted == rounds {
			atLeast = depth
		}
		n, err := q.Reap(atLeast, done)
		if err != nil {
			e.Errorf("Reap: %v", err)
			return
		}
		for _, op := range done[:n] {
			if s := byOp[op]; s != nil {
				m.check(s)
				m.idle = append(m.idle, s)
			} else {
				e.Error("Reap handed back an operation that was not submitted")
			}
		}
	}
	m.final()
}

// next prepares an idle slot, or returns nil when the blocks drawn are busy.
func (m *model) next() *slot {
	s := m.idle[len(m.idle)-1]
	s.first, s.size = m.rng.IntN(modelBlocks), 1+m.rng.IntN(modelMax)
	kind := vfs.OpWrite
	switch m.rng.IntN(10) {
	case 0:
		kind, s.size = vfs.OpDatasync, 0
	case 1, 2, 3, 4:
		kind = vfs.OpRead
	}
	end := s.first + s.size
	// Growth is serial: a transfer that meets the end of the file holds every block from
	// there on, so that no other moves the end meanwhile.
	if s.size > 0 && end*block > len(m.want) {
		s.first = min(s.first, len(m.want)/block)
		s.size = min(s.size, modelMax)
		end = modelBlocks
	}
	if s.first+s.size > modelBlocks {
		return nil
	}
	for i := s.first; i < end; i++ {
		if s.size > 0 && m.busy[i] {
			return nil
		}
	}
	m.idle = m.idle[:len(m.idle)-1]
	m.mark(s, true)
	s.op = vfs.Op{Kind: kind, File: m.file, Buf: s.mem[:s.size*block], Off: int64(s.first) * block,
		DSync: m.rng.IntN(16) == 0, Link: m.rng.IntN(4) == 0}
	fill(s.op.Buf, byte(m.rng.Uint32()))
	return s
}

// mark takes or returns the blocks of a slot; beyond the end of the file, all of them.
func (m *model) mark(s *slot, busy bool) {
	end := s.first + s.size
	if s.size > 0 && end*block > len(m.want) {
		end = modelBlocks
	}
	for i := s.first; i < end; i++ {
		m.busy[i] = busy
	}
}

// check compares a completed operation with the model and applies it.
func (m *model) check(s *slot) {
	m.mark(s, false)
	op := &s.op
	at := int(op.Off)
	if op.Err == vfs.ErrCanceled {
		return // linked behind a read that met the end of the file
	}
	switch op.Kind {
	case vfs.OpWrite:
		if op.Err != nil || op.N != len(op.Buf) {
			m.t.Errorf("write of %d bytes at %d: %d, %v", len(op.Buf), at, op.N, op.Err)
			return
		}
		if end := at + op.N; end > len(m.want) {
			m.want = append(m.want, make([]byte, end-len(m.want))...)
		}
		copy(m.want[at:], op.Buf)
	case vfs.OpRead:
		n, wantErr := len(op.Buf), error(nil)
		if at+n > len(m.want) {
			n, wantErr = max(0, len(m.want)-at), io.EOF
		}
		if op.N != n || op.Err != wantErr {
			m.t.Errorf("read of %d bytes at %d of %d: %d, %v, want %d, %v", len(op.Buf), at, len(m.want), op.N, op.Err, n, wantErr)
			return
		}
		if string(op.Buf[:n]) != string(m.want[at:at+n]) {
			m.t.Errorf("read of %d bytes at %d differs from what was written", n, at)
		}
	default:
		if op.Err != nil || op.N != 0 {
			m.t.Errorf("sync: %d, %v", op.N, op.Err)
		}
	}
}

// final compares the whole file, byte by byte and its size.
func (m *model) final() {
	if m.t.Failed() {
		return
	}
	size, err := m.file.Size()
	if err != nil || size != int64(len(m.want)) {
		m.t.Errorf("size is %d, %v, want %d", size, err, len(m.want))
		return
	}
	got := alignedHeap(len(m.want))
	if n, err := m.file.ReadAt(got, 0); n != len(got) || err != nil {
		m.t.Errorf("reading the whole file: %d, %v", n, err)
		return
	}
	if string(got) != string(m.want) {
		m.t.Error("the file differs from what was written")
	}
}
