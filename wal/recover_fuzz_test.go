package wal

import (
	"runtime"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
)

// FuzzRecover feeds two files of any bytes: no panic, no error but the documented ones, memory in
// proportion to the files, and a second run that agrees with the first.
func FuzzRecover(f *testing.F) {
	im, _ := recSample()
	f.Add(im.files[0].data, im.files[1].data)
	f.Add(im.files[1].data, im.files[0].data)
	f.Add(im.files[2].data, []byte{})
	f.Add(recGoldenFile(f, "recover-v1.wal", nil), recGoldenFile(f, "recover-v2.wal", nil))
	for _, test := range [][]recOp{
		recFragments(1, 1, 1, "a", "b"),
		{recControl(1, 99, 1), recControl(1, frame.Optional|99, 1)},
	} {
		im := newRecImage()
		file := im.file(0x11, 1, 3, nil)
		file.put(1, test...)
		f.Add(file.data, file.data)
	}
	numbers := []uint64{0x11, 0x12}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if len(a)+len(b) > 1<<20 {
			return
		}
		fs := newRecImage().fs()
		fs.files[FileName("wal", 0x11)], fs.files[FileName("wal", 0x12)] = a, b
		before := recAllocated()
		got, err := recRun(fs, numbers, nil)
		if used := recAllocated() - before; used > 1<<20+64*uint64(len(a)+len(b)) {
			t.Fatalf("%d bytes allocated for files of %d and %d", used, len(a), len(b))
		}
		again, err2 := recRun(fs, numbers, nil)
		if (err == nil) != (err2 == nil) || !slices.Equal(got.script, again.script) {
			t.Fatalf("%v %v, then %v %v", got.script, err, again.script, err2)
		}
	})
}

func recAllocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// FuzzRecoverSealed lets bytes pass the checksums: records and trailers of a forged file
// whose every number comes from the input.
func FuzzRecoverSealed(f *testing.F) {
	f.Add([]byte("\x01\x02\x03\x04\x05\x06\x07\x08some payload"))
	f.Add(slices.Repeat([]byte{2, 3, 1, 0, 1, 1, 9, 12}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 8<<10 {
			return
		}
		im := newRecImage()
		files := []*recTestFile{im.file(0x11, uint64(len(b)%5), 16, nil), im.file(0x12, uint64(len(b)%7), 16, nil)}
		for len(b) >= 8 {
			h := b[:8]
			b = b[8:]
			file := files[h[0]&1]
			var ops []recOp
			for n := int(h[1] & 7); n > 0 && len(b) >= 8; n-- {
				op := recOp{
					id: 1 + 1<<(b[0]&31), kind: frame.Kind(b[1] & 0x8f), flags: b[2] & 7,
					index: uint64(b[3]), term: uint64(b[4]), prev: uint64(b[5]),
				}
				size := min(int(b[6]), len(b)-8)
				op.payload, b = b[8:8+size], b[8+size:]
				ops = append(ops, op)
			}
			if file.next+2 > 16 {
				break
			}
			if h[2]&0x80 != 0 {
				file.numbers[999] = uint32(h[3]) << (h[4] & 31)
			}
			file.putAt(uint64(h[5]), uint64(h[6])<<(h[7]&63), ops...)
		}
		if got, err := recRun(im.fs(), im.numbers(), nil); err == nil {
			if again := recMust(t, im, nil); !slices.Equal(got.script, again.script) {
				t.Fatal("a second run differs")
			}
		}
	})
}
