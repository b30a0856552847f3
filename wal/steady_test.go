package wal

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// nullQueue completes everything at once and writes nothing.
type nullQueue struct{ ops []*vfs.Op }

func (q *nullQueue) Submit(op *vfs.Op) error {
	op.N, op.Err = len(op.Buf), nil
	q.ops = append(q.ops, op)
	return nil
}

func (q *nullQueue) Reap(_ int, done []*vfs.Op) (int, error) {
	n := copy(done, q.ops)
	q.ops = q.ops[:0]
	return n, nil
}

func (q *nullQueue) Outstanding() int { return 0 }
func (q *nullQueue) Close() error     { return nil }

// constant is a source that holds every index, with one payload.
type constant struct {
	data    []byte
	crc     uint32
	durable atomic.Uint64
	batches atomic.Uint64
	acked   func()
}

func newConstant(size int) *constant {
	c := &constant{data: make([]byte, size)}
	c.crc = frame.Checksum(c.data)
	return c
}

func (c *constant) Get(i raftlog.Index) (raftlog.Entry, uint32, bool) {
	return raftlog.Entry{Index: i, Term: 1, Data: c.data}, c.crc, true
}
func (c *constant) Peek(i raftlog.Index) (raftlog.Entry, uint32, bool) { return c.Get(i) }

func (c *constant) SetDurable(last raftlog.Index) { c.durable.Store(uint64(last)) }
func (c *constant) Written(raftlog.Batch, uint64) {
	c.batches.Add(1)
	if c.acked != nil {
		c.acked()
	}
}

// producers are logs that append size bytes, outstanding at a time.
type producers struct {
	w    *WAL
	logs []Log
	src  []*constant
	last []raftlog.Index

	stepping time.Duration
}

func newProducers(w *WAL, n, size int) *producers {
	p := &producers{w: w, logs: make([]Log, n), last: make([]raftlog.Index, n)}
	for i := range p.logs {
		p.src = append(p.src, newConstant(size))
		p.logs[i].Init(raftlog.LogID(i+1), raftlog.UID(fmt.Sprintf("log-%d", i)), p.src[i])
	}
	return p
}

func (p *producers) append(i, n int) {
	prev := p.last[i]
	p.last[i] += raftlog.Index(n)
	if err := p.w.Append(&p.logs[i], p.src[i], prev, prev+1, p.last[i], n*len(p.src[i].data)); err != nil {
		panic(err)
	}
}

func (p *producers) round(n int) {
	for i := range p.logs {
		p.append(i, n)
	}
	start := time.Now()
	for p.w.Step() {
	}
	p.stepping += time.Since(start)
}

// nullWAL never rolls: its file seems endless.
func nullWAL(t testing.TB) *WAL {
	fs := memfs.New(1)
	must(t, fs.MkdirAll("wal"))
	w, err := New(Options{FS: fs, Dir: "wal", Queue: &nullQueue{}, Stream: 1, NextBatch: 1, NextNumber: 1, NoGather: true})
	must(t, err)
	must(t, w.pool.Fill())
	w.ensureFile()
	w.cur.size, w.cur.zeroed = 1<<60, 1<<60
	return w
}

func TestNoAllocations(t *testing.T) {
	for _, c := range []struct{ logs, each int }{{1, 2048}, {1000, 1}, {10, 10}} {
		w := nullWAL(t)
		p := newProducers(w, c.logs, 256)
		for range 10 {
			p.round(c.each)
		}
		w.cur.entries = -1 << 50
		if n := testing.AllocsPerRun(50, func() { w.cur.off = frame.BlockSize; p.round(c.each) }); n != 0 {
			t.Errorf("%d logs × %d: %v allocations per batch", c.logs, c.each, n)
		}
		must(t, w.Close())
	}
}

func BenchmarkCommitPath(b *testing.B) {
	for _, c := range []struct{ logs, each, size int }{{1, 2048, 256}, {1000, 1, 256}, {100, 64, 256}, {100, 1, 16 << 10}, {1, 1, 1 << 20}} {
		b.Run(fmt.Sprintf("%dx%dx%d", c.logs, c.each, c.size), func(b *testing.B) {
			w := nullWAL(b)
			p := newProducers(w, c.logs, c.size)
			p.round(c.each)
			b.ReportAllocs()
			p.stepping = 0
			for b.Loop() {
				w.cur.off = frame.BlockSize
				w.cur.entries = 0
				p.round(c.each)
			}
			n := float64(c.logs * c.each)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
			b.ReportMetric(float64(p.stepping.Nanoseconds())/float64(b.N)/n, "step-ns/entry")
			s := w.Stats()
			b.ReportMetric(float64(s.Entries)/float64(s.Batches), "entries/batch")
			must(b, w.Close())
		})
	}
}

// Many goroutines append while committer and pool run on theirs.
func TestStress(t *testing.T) {
	fs := memfs.New(1)
	must(t, fs.MkdirAll("wal"))
	must(t, fs.SyncDir("."))
	q, err := fs.NewQueue(2)
	must(t, err)
	var registered []uint64
	w, err := New(Options{
		FS: fs, Dir: "wal", Queue: q, Stream: testStream, NextBatch: 1, NextNumber: 1, FileSize: 256 << 10,
		Register: func(n uint64) error { registered = append(registered, n); return nil },
	})
	must(t, err)
	stop, stopPool := make(chan struct{}), make(chan struct{})
	var loops, poolLoop sync.WaitGroup
	loops.Go(func() { w.Run(stop) })
	poolLoop.Go(func() { w.Pool().Run(stopPool) })

	const logs, rounds = 40, 60
	p := newProducers(w, logs, 60)
	controls := make([]uint64, logs)
	var work sync.WaitGroup
	for i := range logs {
		work.Go(func() {
			acked := make(chan struct{}, 1)
			p.src[i].acked = func() {
				select {
				case acked <- struct{}{}:
				default:
				}
			}
			for r := range rounds {
				p.append(i, 1+(i+r)%5)
				if r%8 == 0 {
					seq, err := w.Control(&p.logs[i], Control{Kind: KindApplied, Index: p.last[i], Lazy: i%2 == 0})
					if err != nil {
						t.Error(err)
					}
					controls[i] = seq
				}
				if i%4 > 0 { // the others do not wait
					for raftlog.Index(p.src[i].durable.Load()) < p.last[i] {
						<-acked
					}
				}
				runtime.Gosched()
				w.Stats()
			}
		})
	}
	work.Wait()
	close(stop)
	loops.Wait()
	close(stopPool)
	poolLoop.Wait()
	must(t, w.Close())

	v := &counting{entries: map[raftlog.LogID]raftlog.Index{}, controls: map[raftlog.LogID]uint64{}, t: t}
	rep, err := Recover(RecoverOptions{FS: fs, Dir: "wal", Stream: testStream, Files: registered, Serial: true}, v)
	must(t, err)
	for i := range logs {
		id := p.logs[i].ID()
		if v.entries[id] != p.last[i] || raftlog.Index(p.src[i].durable.Load()) != p.last[i] || v.controls[id] != controls[i] {
			t.Errorf("log %d: recovered %d of %d entries, %d of %d controls", i, v.entries[id], p.last[i], v.controls[id], controls[i])
		}
	}
	if uint64(rep.LastDurable)+1 != uint64(w.next) && uint64(rep.LastDurable)+2 != uint64(w.next) {
		t.Errorf("durable %d, next %d", rep.LastDurable, w.next)
	}
}

// counting is a visitor that checks the order of entries.
type counting struct {
	t        *testing.T
	entries  map[raftlog.LogID]raftlog.Index
	controls map[raftlog.LogID]uint64
}

func (v *counting) Record(r *Record) error {
	if r.Kind != KindEntry {
		v.controls[r.ID]++
		return nil
	}
	if r.Index != v.entries[r.ID]+1 || r.Prev != v.entries[r.ID] {
		v.t.Errorf("log %d: entry %d after %d", r.ID, r.Index, v.entries[r.ID])
	}
	v.entries[r.ID] = r.Index
	return nil
}
func (v *counting) Lost(l Loss) error                                   { v.t.Error(l); return nil }
func (v *counting) FileDone(uint64, raftlog.Batch, raftlog.Batch) error { return nil }
