package wal

import (
	"fmt"
	"os"
	"testing"

	"github.com/rawl-db/rawl/fallback"
	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
)

// recBenchImage is two files of 64 MiB, full of entries of 256 bytes of 100 logs, so many to a frame.
func recBenchImage(perFrame int) *recImage {
	im := newRecImage()
	payload := make([]byte, 256)
	sum := frame.Checksum(payload)
	batch, next := uint64(1), [101]uint64{}
	for number := uint64(1); number <= 2; number++ {
		f := im.file(number, batch, 64<<20/frame.BlockSize, nil)
		declared, turn := uint32(0), 0
		for {
			room := f.data[f.next*frame.BlockSize:]
			var b frame.Builder
			b.Reset(room, f.id())
			touches := [101]frame.Touch{}
			if !b.Room(perFrame*300+100*64, 100) {
				break
			}
			for range perFrame {
				log := turn%100 + 1
				turn++
				t := &touches[log]
				if uint32(log) > declared {
					declared++
					t.Records, t.ID = 1, uint64(log)
					d := appendDeclare(nil, raftlog.LogID(log), recUID(raftlog.LogID(log)))
					b.Put(&frame.Record{Kind: KindDeclare, Log: uint32(log), CRC: frame.Checksum(d), Payload: d})
				}
				t.Number = uint32(log)
				t.Records++
				next[log]++
				t.LastIndex, t.LastTerm = next[log], 1
				b.Put(&frame.Record{
					Kind: KindEntry, Log: uint32(log), Index: next[log], Prev: next[log] - 1, Term: 1,
					CRC: sum, Payload: payload,
				})
			}
			for _, t := range touches {
				if t.Number != 0 {
					b.Touch(t)
				}
			}
			out := b.Finish(frame.Header{
				Batch: batch, Watermark: batch - 1, FirstBatch: f.first, Block: uint32(f.next), Declared: declared,
			})
			f.next += len(out) / frame.BlockSize
			batch++
		}
	}
	return im
}

// recCounter counts, or with arena copies payloads as a memtable does.
type recCounter struct {
	arena   []byte
	used    int
	records int
}

func (v *recCounter) Record(r *Record) error {
	v.records++
	if v.arena != nil {
		if v.used+len(r.Payload) > len(v.arena) {
			v.used = 0
		}
		v.used += copy(v.arena[v.used:], r.Payload)
	}
	return nil
}

func (v *recCounter) Lost(l Loss) error                           { return fmt.Errorf("%v", l) }
func (v *recCounter) FileDone(_ uint64, _, _ raftlog.Batch) error { return nil }
func (v *recCounter) run(fs vfs.FS, dir string, direct, serial bool) error {
	_, err := Recover(RecoverOptions{
		FS: fs, Dir: dir, Stream: recStream, Files: []uint64{1, 2}, Direct: direct, Serial: serial,
	}, v)
	return err
}

func BenchmarkRecover(b *testing.B) {
	for _, perFrame := range []int{13, 200, 3400} {
		im := recBenchImage(perFrame)
		bytes := 0
		for _, f := range im.files {
			bytes += f.next * frame.BlockSize
		}
		dir := b.TempDir()
		for _, f := range im.files {
			if err := os.WriteFile(FileName(dir, f.number), f.data, 0o600); err != nil {
				b.Fatal(err)
			}
		}
		disk, err := fallback.Open(fallback.Options{})
		if err != nil {
			b.Fatal(err)
		}
		run := func(name string, fs vfs.FS, dir string, direct, serial, arena bool) {
			b.Run(fmt.Sprintf("frame=%d/%s", perFrame, name), func(b *testing.B) {
				b.SetBytes(int64(bytes))
				b.ReportAllocs()
				v := &recCounter{}
				if arena {
					v.arena = make([]byte, 128<<20)
				}
				for b.Loop() {
					v.records = 0
					if err := v.run(fs, dir, direct, serial); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(v.records), "ns/record")
			})
		}
		run("memory", im.fs(), "wal", false, false, false)
		run("memory-serial", im.fs(), "wal", false, true, false)
		run("cached", disk, dir, false, false, false)
		run("cached-copy", disk, dir, false, false, true)
		if direct, err := fallback.Open(fallback.Options{Direct: true}); err == nil {
			run("direct", direct, dir, true, false, false)
		}
	}
}
