package frame

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"testing"
)

// TestEveryFlippedByte flips each byte of the frames of a file: it is noticed, or it lies
// in the padding between records and trailer; the other frames stay as they were.
func TestEveryFlippedByte(t *testing.T) {
	file := sampleFile(testIdentity, samples()...)
	step := 1
	if testing.Short() {
		step = 7
	}
	for i := BlockSize; i < len(file); i += step {
		file[i] ^= 1 << (i % 8)
		frames := Scan(file, testIdentity)
		if len(frames) != len(samples()) {
			t.Fatalf("byte %d: %d frames", i, len(frames))
		}
		for n := range frames {
			f, want := &frames[n], samples()[n]
			at := int(f.Block) * BlockSize
			hit := at <= i && i < at+int(f.Blocks)*BlockSize
			if intact := f.Intact(); intact != (!hit || padding(&frames[n], i-at)) {
				t.Fatalf("byte %d: %v, intact %t", i, f, intact)
			}
			if !hit {
				checkFrame(t, f, want)
			} else if !f.HasHeader && !f.HasTrailer {
				t.Fatalf("byte %d: header and trailer are both gone", i)
			}
		}
		file[i] ^= 1 << (i % 8)
	}
}

// padding reports whether the byte at off of a frame is neither record nor trailer nor
// header: such a flip leaves both ends intact, so their lengths count.
func padding(f *Frame, off int) bool {
	return f.HasHeader && f.HasTrailer && off >= HeaderSize+int(f.Body) &&
		off < int(f.Blocks)*BlockSize-FooterSize-int(f.Header.trailer)
}

func TestLostEnds(t *testing.T) {
	for n, want := range samples() {
		file := sampleFile(testIdentity, samples()...)
		at := int(want.header.Block) * BlockSize
		clear(file[at : at+HeaderSize])
		f := Scan(file, testIdentity)[n]
		if f.HasHeader || !f.HasTrailer || f.Intact() {
			t.Errorf("header of frame %d lost: %v", n, &f)
		}
		checkFrame(t, &f, want)
		for range f.Records {
			t.Error("records without a header")
		}

		file = sampleFile(testIdentity, samples()...)
		end := at + int(f.Blocks)*BlockSize
		clear(file[end-FooterSize : end])
		f = Scan(file, testIdentity)[n]
		if !f.HasHeader || f.HasTrailer || f.Intact() {
			t.Errorf("footer of frame %d lost: %v", n, &f)
		}
		checkFrame(t, &f, want)

		clear(file[at : at+HeaderSize])
		if got := len(Scan(file, testIdentity)); got != len(samples())-1 {
			t.Errorf("both ends of frame %d lost: %d frames found", n, got)
		}
	}
}

// TestEveryTruncation cuts a file at each length: whole frames stay, a cut one is seen
// when its header is whole, and nothing else appears.
func TestEveryTruncation(t *testing.T) {
	file := sampleFile(testIdentity, samples()...)
	for n := range file {
		frames := Scan(file[:n], testIdentity)
		for i := range frames {
			f := &frames[i]
			end := (int(f.Block) + int(f.Blocks)) * BlockSize
			if f.Intact() != (end <= n) {
				t.Fatalf("%d bytes: %v, intact %t", n, f, f.Intact())
			}
			if f.Batch != samples()[i].header.Batch {
				t.Fatalf("%d bytes: %v", n, f)
			}
		}
		if n%BlockSize == 0 && n > BlockSize && len(frames) == 0 {
			t.Fatalf("%d bytes: nothing found", n)
		}
	}
}

// TestStaleIncarnation scans a recycled file whose later blocks still hold frames of an
// earlier life, and of another engine.
func TestStaleIncarnation(t *testing.T) {
	for _, old := range []Identity{NewIdentity(testStream, testNumber-1), NewIdentity(testStream+1, testNumber)} {
		file := sampleFile(old, samples()...)
		if frames := Scan(file, testIdentity); len(frames) != 0 {
			t.Fatalf("frames of another life: %v", frames)
		}
		copy(file, sampleFile(testIdentity, samples()[0]))
		frames := Scan(file, testIdentity)
		if len(frames) != 1 || !frames[0].Intact() {
			t.Fatalf("found %v", frames)
		}
		// The new frame ends inside the old one of three blocks.
		copy(file[2*BlockSize:], sampleFile(testIdentity, samples()...)[2*BlockSize:3*BlockSize])
		frames = Scan(file, testIdentity)
		if len(frames) != 2 || frames[1].HasTrailer || frames[1].Intact() {
			t.Fatalf("a torn frame over old ones: %v", frames)
		}
	}
}

// TestFrameAsPayload stores a copy of the file's own frames as an entry, aligned to blocks,
// and loses the header of the frame that carries it.
func TestFrameAsPayload(t *testing.T) {
	inner := sampleFile(testIdentity, samples()...)
	pad := BlockSize - HeaderSize - RecordHeaderSize
	payload := append(make([]byte, pad), inner...)
	carrier := sampleFrame{
		header:  Header{Batch: 200, Watermark: 199, FirstBatch: 100, Block: 6},
		records: []Record{{Kind: 2, Log: 1, Index: 9, CRC: Checksum(payload), Payload: payload}},
	}
	file := sampleFile(testIdentity, append(samples(), carrier)...)
	if !bytes.Contains(file[7*BlockSize:], inner) || !bytes.Equal(file[7*BlockSize:][:len(inner)], inner) {
		t.Fatal("the copy is not aligned")
	}
	frames := Scan(file, testIdentity)
	if len(frames) != 4 || !frames[3].Intact() {
		t.Fatalf("found %v", frames)
	}
	clear(file[6*BlockSize:][:HeaderSize])
	frames = Scan(file, testIdentity)
	if len(frames) != 4 || frames[3].HasHeader || frames[3].Batch != 200 {
		t.Errorf("with its header lost: %v", frames)
	}
	clear(file[len(file)-FooterSize:])
	if frames = Scan(file, testIdentity); len(frames) != 3 {
		t.Errorf("with both ends lost the copy came alive: %v", frames)
	}
}

// reseal makes the frame header, or the footer, at b verify.
func resealHeader(b []byte) {
	binary.LittleEndian.PutUint32(b, crc32.Update(testIdentity.seed, castagnoli, b[4:HeaderSize]))
}

func resealFooter(file []byte, end int) {
	b := file[end-FooterSize : end]
	n := min(int(binary.LittleEndian.Uint32(b[40:])), end-FooterSize)
	sum := crc32.Update(testIdentity.seed, castagnoli, file[end-FooterSize-n:end-FooterSize])
	binary.LittleEndian.PutUint32(b, crc32.Update(sum, castagnoli, b[4:]))
}

// TestHostileLengths puts every kind of absurd length under a good checksum.
func TestHostileLengths(t *testing.T) {
	values := []uint32{0, 1, 2, 6, 7, BlockSize - 1, BlockSize, BlockSize + 1, 1 << 20, math.MaxInt32, math.MaxUint32}
	for _, block := range []int{1, 2, 5} {
		for _, v := range values {
			for _, field := range []int{44, 48, 52, 56} {
				file := sampleFile(testIdentity, samples()...)
				b := file[block*BlockSize:]
				binary.LittleEndian.PutUint32(b[field:], v)
				resealHeader(b)
				readAll(t, file)
			}
			for _, field := range []int{32, 36, 40, 44} {
				file := sampleFile(testIdentity, samples()...)
				end := len(file)
				if block < 5 {
					end = (block + 1) * BlockSize
				}
				if block == 2 {
					end = 5 * BlockSize
				}
				binary.LittleEndian.PutUint32(file[end-FooterSize+field:], v)
				resealFooter(file, end)
				readAll(t, file)
			}
			file := sampleFile(testIdentity, samples()...)
			r := file[block*BlockSize+HeaderSize:]
			binary.LittleEndian.PutUint32(r[4:], v)
			binary.LittleEndian.PutUint32(r, crc32.Update(testIdentity.seed, castagnoli, r[4:RecordHeaderSize]))
			readAll(t, file)
		}
	}
}

// readAll scans file and reads all that is found; frames must be in order, in bounds and apart.
func readAll(t testing.TB, file []byte) {
	t.Helper()
	next := uint64(1)
	frames := Scan(file, testIdentity)
	for i := range frames {
		f := &frames[i]
		if !f.HasHeader && !f.HasTrailer || f.Blocks == 0 || uint64(f.Block) < next {
			t.Fatalf("frame %d: %v, after block %d", i, f, next)
		}
		next = uint64(f.Block) + uint64(f.Blocks)
		if f.HasTrailer && next*BlockSize > uint64(len(file)) {
			t.Fatalf("%v ends behind the file", f)
		}
		f.Intact()
		n := 0
		for r := range f.Records {
			n += r.Size()
		}
		if n > len(file) {
			t.Fatalf("%v: %d bytes of records in a file of %d", f, n, len(file))
		}
		for _, err := range f.Trailer.Touches() {
			if err != nil {
				break
			}
		}
	}
}
