package wal

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// world drives a WAL and its pool step by step over a file system in memory.
type world struct {
	t          testing.TB
	mem        *memfs.FS
	fs         *errorfs.FS
	w          *WAL
	now        int64
	onYield    func()
	onWritten  func(raftlog.Batch)
	registered []uint64
	sealed     []Sealed
	health     []string
	ops        []string // since they were last printed
	events     []string // acknowledgements since they were last printed
	logs       map[string]*testLog
	nextID     raftlog.LogID
}

const testStream = 0x1122334455667788

func newWorld(t testing.TB, change func(*Options)) *world {
	t.Helper()
	x := &world{t: t, mem: memfs.New(1), logs: map[string]*testLog{}}
	x.fs = errorfs.New(x.mem, errorfs.Plan{})
	must(t, x.mem.MkdirAll("wal"))
	must(t, x.mem.SyncDir("."))
	x.mem.OnOp(func(op memfs.Op) { x.ops = append(x.ops, op.String()) })
	x.open(change)
	return x
}

func (x *world) open(change func(*Options)) {
	x.t.Helper()
	q, err := x.fs.NewQueue(4)
	must(x.t, err)
	o := Options{
		FS: x.fs, Dir: "wal", Queue: q, Stream: testStream, NextBatch: 1, NextNumber: 1, FileSize: MinFileSize,
		Now: func() int64 { x.now += 1000; return x.now },
		Yield: func() {
			if x.onYield != nil {
				x.onYield()
			}
		},
		Register: func(n uint64) error { x.registered = append(x.registered, n); return nil },
		OnSealed: func(s Sealed) { x.sealed = append(x.sealed, s) },
		OnHealth: func(h Health, err error) { x.health = append(x.health, fmt.Sprintf("%v: %v", h, err)) },
	}
	if change != nil {
		change(&o)
	}
	x.w, err = New(o)
	must(x.t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// steps runs the committer until it has nothing to do and returns the number of batches.
func (x *world) steps() int {
	n := 0
	for x.w.Step() {
		n++
	}
	return n
}

// fill runs the pool until it has nothing to do or fails.
func (x *world) fill() {
	for {
		if pause, more := x.w.pool.Step(); !more || pause == failurePause {
			return
		}
	}
}

// testLog is a log and what it was told.
type testLog struct {
	Log
	x        *world
	name     string
	table    *table
	tables   []*table
	last     raftlog.Index
	term     raftlog.Term
	written  []raftlog.Batch
	controls uint64
	queued   []string // every record queued, as records prints them
}

func (x *world) log(name string) *testLog {
	if l := x.logs[name]; l != nil {
		return l
	}
	x.nextID++
	l := &testLog{x: x, name: name, term: 1}
	l.Init(x.nextID, raftlog.UID(name), l)
	x.logs[name] = l
	l.newTable()
	return l
}

func (l *testLog) Written(b raftlog.Batch, controls uint64) {
	if n := len(l.written); n > 0 && l.written[n-1] >= b {
		l.x.t.Errorf("log %s: batch %d written after %d", l.name, b, l.written[n-1])
	}
	l.written, l.controls = append(l.written, b), controls
	if l.x.onWritten != nil {
		l.x.onWritten(b)
	}
	l.x.events = append(l.x.events, fmt.Sprintf("%s: batch %d controls %d", l.name, b, controls))
}

// table is a source.
type table struct {
	log     *testLog
	mu      sync.Mutex // guards entries, which a running committer reads
	first   raftlog.Index
	entries []raftlog.Entry
	durable raftlog.Index
}

func (s *table) Get(i raftlog.Index) (raftlog.Entry, uint32, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i < s.first || i >= s.first+raftlog.Index(len(s.entries)) {
		return raftlog.Entry{}, 0, false
	}
	e := s.entries[i-s.first]
	return e, frame.Checksum(e.Data), true
}

// Peek checks what the WAL promises: that it is done with an entry once that is durable.
func (s *table) Peek(i raftlog.Index) (raftlog.Entry, uint32, bool) {
	if i <= s.durable {
		s.log.x.t.Errorf("log %s: entry %d is read again, and %d is durable", s.log.name, i, s.durable)
	}
	return s.Get(i)
}

func (s *table) SetDurable(last raftlog.Index) {
	if last <= s.durable {
		s.log.x.t.Errorf("log %s: durable %d after %d", s.log.name, last, s.durable)
	}
	s.durable = last
	s.log.x.events = append(s.log.x.events, fmt.Sprintf("%s: durable %d", s.log.name, last))
}

func (l *testLog) newTable() {
	l.table = &table{log: l, first: l.last + 1}
	l.tables = append(l.tables, l.table)
}

// append queues n entries of the given payload size in one call; refused, they never were.
func (l *testLog) append(n, size int) error {
	prev, queued, held := l.last, len(l.queued), len(l.table.entries)
	for range n {
		l.last++
		data := bytes.Repeat([]byte{byte('a' + l.last%26)}, size)
		if size >= 8 {
			copy(data, fmt.Sprintf("%8d", rand.Uint32()%1e8))
		}
		e := raftlog.Entry{Index: l.last, Term: l.term, Type: 7, Data: data}
		l.table.mu.Lock()
		l.table.entries = append(l.table.entries, e)
		l.table.mu.Unlock()
		l.queued = append(l.queued, describe(KindEntry, e.Index, e.Term, l.last-1, data))
	}
	err := l.x.w.Append(&l.Log, l.table, prev, prev+1, l.last, n*size)
	if err != nil {
		l.last, l.queued, l.table.entries = prev, l.queued[:queued], l.table.entries[:held]
	}
	return err
}

func (l *testLog) control(c Control) {
	l.x.t.Helper()
	_, err := l.x.w.Control(&l.Log, c)
	must(l.x.t, err)
	l.queued = append(l.queued, describe(c.Kind, c.Index, c.Term, 0, c.Payload))
}

// truncate keeps the entries up to last, and continues in a new table and term.
func (l *testLog) truncate(last raftlog.Index) {
	l.control(Control{Kind: KindTruncate, Index: last})
	l.last = last
	l.term++
	l.newTable()
}

func describe(kind frame.Kind, index raftlog.Index, term raftlog.Term, prev raftlog.Index, payload []byte) string {
	return fmt.Sprintf("%d %d/%d<%d %d:%08x", kind, term, index, prev, len(payload), frame.Checksum(payload))
}

// frames scans a file of the file system as it is now.
func (x *world) frames(number uint64) []frame.Frame {
	x.t.Helper()
	b, err := x.mem.ReadFile(FileName("wal", number))
	must(x.t, err)
	h, err := frame.DecodeFileHeader(b[:frame.BlockSize])
	must(x.t, err)
	if h.Stream != testStream || h.Number != number || h.Kind != frame.WALFile {
		x.t.Fatalf("file %d: header %+v", number, h)
	}
	return frame.Scan(b, h.Identity())
}

// print renders a file's frames with all records.
func (x *world) print(number uint64) string {
	var out strings.Builder
	for _, f := range x.frames(number) {
		fmt.Fprintf(&out, "batch %d block %d+%d watermark %d first %d declared %d intact %t\n",
			f.Batch, f.Block, f.Blocks, f.Watermark, f.FirstBatch, f.Declared, f.Intact())
		f.Records(func(r *frame.Record) bool {
			fmt.Fprintf(&out, "  log %d %s", r.Log, describe(r.Kind, raftlog.Index(r.Index), raftlog.Term(r.Term), raftlog.Index(r.Prev), nil))
			fmt.Fprintf(&out, " %d bytes flags %d type %d\n", len(r.Payload), r.Flags, r.Type)
			return true
		})
		for t, err := range f.Trailer.Touches() {
			must(x.t, err)
			fmt.Fprintf(&out, "  touch %d id %d records %d last %d/%d\n", t.Number, t.ID, t.Records, t.LastTerm, t.LastIndex)
		}
	}
	return out.String()
}
