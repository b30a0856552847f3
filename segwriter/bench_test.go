package segwriter_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/segwriter"
)

func directBackends(b *testing.B) map[string]vfs.FS {
	all := backends(b)
	delete(all, "fallback")
	return all
}

// sequential measures the disk: direct 1 MiB writes, four in flight, and one sync at the end.
func sequential(b *testing.B, fs vfs.FS, dir string, total int) time.Duration {
	const size, depth = 1 << 20, 4
	f, err := fs.Create(filepath.Join(dir, "seq"), vfs.CreateOptions{Direct: true})
	if err != nil {
		b.Fatal(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	buf, free, err := fs.Alloc(size)
	if err != nil {
		b.Fatal(err)
	}
	defer free()
	for i := range buf {
		buf[i] = byte(i * 7)
	}
	q, err := fs.NewQueue(depth)
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	start := time.Now()
	done := make([]*vfs.Op, depth)
	for off := 0; off < total; {
		for q.Outstanding() < depth && off < total {
			if err := q.Submit(&vfs.Op{Kind: vfs.OpWrite, File: f, Buf: buf, Off: int64(off)}); err != nil {
				b.Fatal(err)
			}
			off += size
		}
		if _, err := q.Reap(1, done); err != nil {
			b.Fatal(err)
		}
	}
	for q.Outstanding() > 0 {
		if _, err := q.Reap(1, done); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Datasync(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func run(b *testing.B, w *segwriter.Writer, tasks []segwriter.Task) []segwriter.Result {
	w.Begin(tasks)
	for {
		done, _, err := w.Step(0)
		if err != nil {
			b.Fatal(err)
		}
		if done {
			break
		}
	}
	for _, r := range w.Results() {
		if r.Err != nil {
			b.Fatal(r.Err)
		}
	}
	return w.Results()
}

func benchFlush(b *testing.B, fs vfs.FS, logs, bytes, depth int) {
	dir := b.TempDir()
	w := realWriter(b, fs, dir, segwriter.Options{MaxEntries: 1 << 20, Direct: true, Depth: depth})
	src := newFixed(256)
	tasks := make([]segwriter.Task, logs)
	for i := range tasks {
		tasks[i] = segwriter.Task{ID: raftlog.LogID(i + 1), UID: "u", NextSegment: 1,
			Spans: []segwriter.Span{{Source: src, First: 1, Last: 4}}}
	}
	start := time.Now()
	res := run(b, w, tasks)
	first := time.Since(start)
	n := raftlog.Index(bytes / 256)
	next := raftlog.Index(5)
	var seq, took time.Duration
	for b.Loop() {
		for i := range tasks {
			tasks[i].Segments, tasks[i].NextSegment = res[i].Segments, res[i].NextSegment
			tasks[i].Spans = []segwriter.Span{{Source: src, First: next, Last: next + n - 1}}
		}
		start := time.Now()
		res = run(b, w, tasks)
		took += time.Since(start)
		next += n
		b.StopTimer()
		seq += sequential(b, fs, dir, logs*bytes)
		b.StartTimer()
	}
	mb := float64(b.N) * float64(logs*bytes) / 1e6
	b.ReportMetric(mb/took.Seconds(), "MB/s")
	b.ReportMetric(mb/seq.Seconds(), "disk-MB/s")
	b.ReportMetric(seq.Seconds()/took.Seconds(), "of-disk")
	b.ReportMetric(float64(logs)/first.Seconds(), "first-logs/s")
}

func BenchmarkFlush(b *testing.B) {
	for name, fs := range directBackends(b) {
		for _, depth := range []int{8, 32, 128} {
			b.Run(fmt.Sprintf("%s/depth=%d", name, depth), func(b *testing.B) { benchFlush(b, fs, 1000, 256<<10, depth) })
		}
	}
}

// BenchmarkFirstFlush makes the directories and files of 2,000 small logs.
func BenchmarkFirstFlush(b *testing.B) {
	const logs = 2000
	for name, fs := range directBackends(b) {
		b.Run(name, func(b *testing.B) {
			src := newFixed(256)
			tasks := make([]segwriter.Task, logs)
			for i := range tasks {
				tasks[i] = segwriter.Task{ID: raftlog.LogID(i + 1), UID: "u", NextSegment: 1,
					Spans: []segwriter.Span{{Source: src, First: 1, Last: 4}}}
			}
			for b.Loop() {
				run(b, realWriter(b, fs, b.TempDir(), segwriter.Options{Direct: true}), tasks)
			}
			b.ReportMetric(float64(b.N)*logs/b.Elapsed().Seconds(), "logs/s")
		})
	}
}

// rawCopy measures the same device without our work: files are copied in direct reads and writes of
// 1 MiB, eight in flight, and one sync at the end.
func rawCopy(b *testing.B, fs vfs.FS, dir string, names []string) (bytes int64, took time.Duration) {
	const size, depth = 1 << 20, 8
	out, err := fs.Create(filepath.Join(dir, "copy"), vfs.CreateOptions{Direct: true})
	if err != nil {
		b.Fatal(err)
	}
	defer os.Remove(out.Name())
	defer out.Close()
	q, err := fs.NewQueue(depth)
	if err != nil {
		b.Fatal(err)
	}
	buf, free, err := fs.Alloc(depth * size)
	if err != nil {
		b.Fatal(err)
	}
	defer free()
	defer q.Close()
	ops := make([]vfs.Op, depth)
	done := make([]*vfs.Op, depth)
	start := time.Now()
	for _, name := range names {
		in, err := fs.Open(name, vfs.OpenOptions{Direct: true})
		if err != nil {
			b.Fatal(err)
		}
		length, _ := in.Size()
		at := int64(0)
		next := func(i int) {
			if at+size > length {
				return
			}
			ops[i] = vfs.Op{Kind: vfs.OpRead, File: in, Buf: buf[i*size : (i+1)*size], Off: at, Tag: uint64(i)}
			at += size
			if err := q.Submit(&ops[i]); err != nil {
				b.Fatal(err)
			}
		}
		for i := range depth {
			next(i)
		}
		for q.Outstanding() > 0 {
			n, err := q.Reap(1, done)
			if err != nil {
				b.Fatal(err)
			}
			for _, op := range done[:n] {
				switch {
				case op.Err != nil:
					b.Fatal(op.Err)
				case op.Kind == vfs.OpWrite:
					next(int(op.Tag))
				default:
					op.Kind, op.File, op.Off = vfs.OpWrite, out, bytes
					bytes += size
					if err := q.Submit(op); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
		in.Close()
	}
	if err := out.Datasync(); err != nil {
		b.Fatal(err)
	}
	return bytes, time.Since(start)
}

// benchCompact copies segments of 64 MiB whose entries are all kept, or every third of them.
func benchCompact(b *testing.B, fs vfs.FS, size, every int) {
	const segments, segmentBytes = 4, 64 << 20
	dir := b.TempDir()
	w := realWriter(b, fs, dir, segwriter.Options{MaxEntries: 1 << 20, MaxBytes: segmentBytes, Direct: true})
	last := raftlog.Index((segments*segmentBytes + segmentBytes/2) / (size + segment.EntryBytes))
	list := run(b, w, []segwriter.Task{{ID: 1, UID: "u", NextSegment: 1,
		Spans: []segwriter.Span{{Source: newFixed(size), First: 1, Last: last}}}})[0]
	task := segwriter.CompactTask{ID: 1, UID: "u", Group: list.Segments[:segments], NextSegment: list.NextSegment, Floor: last + 1,
		Open: (&opener{fs: fs, id: 1, root: dir}).open}
	for i := raftlog.Index(1); i <= last; i += raftlog.Index(every) {
		task.Live.Add(i)
	}
	var names []string
	for _, s := range task.Group {
		names = append(names, segwriter.Path(dir, 1, s.Number))
	}
	var took, seq, raw time.Duration
	var read, wrote, copied int64
	for b.Loop() {
		start := time.Now()
		c, err := w.Compact(task)
		if err != nil {
			b.Fatal(err)
		}
		for done := false; !done; {
			if done, _, err = c.Step(0); err != nil {
				b.Fatal(err)
			}
		}
		took += time.Since(start)
		read, wrote = read+c.Result().Read, wrote+c.Result().Wrote
		c.Abort()
		b.StopTimer()
		seq += sequential(b, fs, dir, int(c.Result().Wrote))
		n, t := rawCopy(b, fs, dir, names)
		copied, raw = copied+n, raw+t
		b.StartTimer()
	}
	b.ReportMetric(float64(read)/1e6/took.Seconds(), "read-MB/s")
	b.ReportMetric(float64(wrote)/1e6/took.Seconds(), "MB/s")
	b.ReportMetric(float64(wrote)/1e6/seq.Seconds(), "disk-MB/s")
	b.ReportMetric(float64(copied)/1e6/raw.Seconds(), "disk-copy-MB/s")
	b.ReportMetric(seq.Seconds()/took.Seconds(), "of-disk")
	b.ReportMetric(float64(read+wrote)/2e6/took.Seconds()/(float64(copied)/1e6/raw.Seconds()), "of-disk-copy")
}

func BenchmarkCompact(b *testing.B) {
	for name, fs := range directBackends(b) {
		for _, size := range []int{256, 16 << 10} {
			for _, every := range []int{1, 3} {
				b.Run(fmt.Sprintf("%s/bytes=%d/every=%d", name, size, every), func(b *testing.B) { benchCompact(b, fs, size, every) })
			}
		}
	}
}
