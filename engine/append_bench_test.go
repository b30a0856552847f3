package engine_test

import (
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// nullFS answers queued writes without doing them: what is measured is the engine's own CPU.
type nullFS struct{ *memfs.FS }

func (f nullFS) NewQueue(depth int) (vfs.Queue, error) { return &nullQueue{}, nil }

type nullQueue struct{ ops []*vfs.Op }

func (q *nullQueue) Submit(op *vfs.Op) error {
	op.N, op.Err = len(op.Buf), nil
	q.ops = append(q.ops, op)
	return nil
}

func (q *nullQueue) Reap(_ int, done []*vfs.Op) (int, error) {
	n := copy(done, q.ops)
	q.ops = q.ops[:copy(q.ops, q.ops[n:])]
	return n, nil
}

func (q *nullQueue) Outstanding() int { return len(q.ops) }
func (q *nullQueue) Close() error     { return nil }

// BenchmarkCommit measures append, commit and acknowledgement of 256-byte entries, one per
// log and batch, on one goroutine and without a device.
func BenchmarkCommit(b *testing.B) {
	for _, logs := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("logs=%d", logs), func(b *testing.B) { benchmarkCommit(b, logs) })
	}
}

func benchmarkCommit(b *testing.B, logs int) {
	e, err := engine.OpenParts(nullFS{memfs.New(1)}, "/db", engine.Options{WALFileBytes: 1 << 30, CommitImmediately: true})
	if err != nil {
		b.Fatal(err)
	}
	commit := e.Parts()[0].Step
	all := make([]*engine.Log, logs)
	for i := range all {
		if all[i], err = e.Create(engine.UID(fmt.Sprint(i))); err != nil {
			b.Fatal(err)
		}
	}
	commit()
	data := make([]byte, 256)
	es := make([]engine.Entry, 1)
	prev := engine.EntryID{}
	b.ReportAllocs()
	for done := 0; done < b.N; done += logs {
		es[0] = engine.Entry{Index: prev.Index + 1, Term: 1, Data: data}
		for _, l := range all {
			if err := l.Append(prev, es); err != nil {
				b.Fatal(err)
			}
		}
		for more, _ := commit(); more; more, _ = commit() {
		}
		prev = es[0].ID()
		if prev.Index%512 == 0 {
			for _, l := range all {
				if err := l.Release(prev.Index); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}
