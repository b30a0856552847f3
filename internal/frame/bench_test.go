package frame

import (
	"fmt"
	"testing"
)

func BenchmarkBuild(b *testing.B) {
	for _, size := range []int{64, 256, 4096} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			const records = 100
			var fb Builder
			buf := make([]byte, 1<<20)
			r := record(1, 1, size)
			b.SetBytes(int64(records * r.Size()))
			b.ReportAllocs()
			for b.Loop() {
				fb.Reset(buf, testIdentity)
				for i := range uint32(records) {
					r.Log = i
					fb.Put(&r)
					fb.Touch(Touch{Number: i, Records: 1, LastIndex: r.Index, LastTerm: r.Term})
				}
				fb.Finish(Header{Batch: 1, Block: 1})
			}
		})
	}
}

// BenchmarkScan finds and verifies the frames of a file of 100 records each.
func BenchmarkScan(b *testing.B) {
	frame := sampleFrame{header: Header{Block: 1}}
	for i := range uint32(100) {
		frame.records = append(frame.records, record(i, 1, 256))
		frame.touches = append(frame.touches, Touch{Number: i, Records: 1, LastIndex: 1})
	}
	blocks := uint32(len(sampleFile(testIdentity, frame))/BlockSize - 1)
	frames := make([]sampleFrame, 64)
	for i := range frames {
		frames[i] = frame
		frames[i].header.Batch, frames[i].header.Block = uint64(i+1), 1+uint32(i)*blocks
	}
	file := sampleFile(testIdentity, frames...)
	for _, verify := range []bool{false, true} {
		b.Run(fmt.Sprintf("verify=%t", verify), func(b *testing.B) {
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			for b.Loop() {
				found := Scan(file, testIdentity)
				for i := range found {
					if verify && !found[i].Intact() {
						b.Fatal(&found[i])
					}
				}
				if len(found) != len(frames) {
					b.Fatal(len(found))
				}
			}
		})
	}
}
