package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

func TestGolden(t *testing.T) {
	golden := readTestdata(t, "file-v1")
	if !bytes.Equal(sampleFile(testIdentity, samples()...), golden) {
		t.Error("the format changed: the same records give other bytes than version 1 froze")
	}
	h, err := DecodeFileHeader(golden)
	if err != nil || h != testHeader {
		t.Errorf("file header %+v, %v", h, err)
	}
	frames := Scan(golden, h.Identity())
	if len(frames) != len(samples()) {
		t.Fatalf("%d frames", len(frames))
	}
	for i, want := range samples() {
		if !frames[i].Intact() {
			t.Errorf("%v is not intact", &frames[i])
		}
		checkFrame(t, &frames[i], want)
		if frames[i].Declared != 2 {
			t.Errorf("%v: %d declared", &frames[i], frames[i].Declared)
		}
	}
}

func TestFileHeader(t *testing.T) {
	for _, h := range []FileHeader{
		{Kind: WALFile, Stream: 1, Number: 1},
		{Kind: ManifestFile, Stream: math.MaxUint64, Number: math.MaxUint64, Size: math.MaxInt64},
	} {
		b := bytes.Repeat([]byte{0xee}, BlockSize+1)
		h.Encode(b)
		if got, err := DecodeFileHeader(b); err != nil || got != h {
			t.Errorf("decoded %+v, %v; want %+v", got, err, h)
		}
		if b[BlockSize] != 0xee {
			t.Error("Encode wrote beyond its block")
		}
	}
}

func TestFileHeaderErrors(t *testing.T) {
	sound := make([]byte, BlockSize)
	testHeader.Encode(sound)
	sealed := func(at int, v uint32) []byte {
		b := bytes.Clone(sound)
		binary.LittleEndian.PutUint32(b[at:], v)
		binary.LittleEndian.PutUint32(b[BlockSize-4:], Checksum(b[:BlockSize-4]))
		return b
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"empty":         {nil, ErrCorrupt},
		"short":         {sound[:BlockSize-1], ErrCorrupt},
		"zeros":         {make([]byte, BlockSize), ErrMagic},
		"older version": {sealed(8, 0), ErrVersion},
		"newer version": {readTestdata(t, "header-v2"), ErrVersion},
		"unknown kind":  {sealed(12, 3), ErrCorrupt},
		"negative size": {sealed(36, 1<<31), ErrCorrupt},
	} {
		_, err := DecodeFileHeader(c.b)
		for _, e := range []error{ErrMagic, ErrVersion, ErrCorrupt} {
			if errors.Is(err, e) != (e == c.want) {
				t.Errorf("%s: error %v, want %v", name, err, c.want)
			}
		}
	}
	for i := range sound {
		sound[i] ^= 0x10
		if _, err := DecodeFileHeader(sound); err == nil {
			t.Errorf("flipped byte %d of a file header went unnoticed", i)
		}
		sound[i] ^= 0x10
	}
}

// TestVersionWithLostChecksum shows that damage is not mistaken for a newer version.
func TestVersionWithLostChecksum(t *testing.T) {
	b := readTestdata(t, "header-v2")
	b[100] ^= 1
	if _, err := DecodeFileHeader(b); !errors.Is(err, ErrCorrupt) {
		t.Errorf("error %v", err)
	}
}

func TestRecordErrors(t *testing.T) {
	r := record(1, 2, 20)
	b := make([]byte, r.Size())
	r.putHeader(b, testIdentity.seed)
	copy(b[RecordHeaderSize:], r.Payload)
	got, rest, err := DecodeRecord(append(bytes.Clone(b), 1, 2, 3), testIdentity)
	if err != nil || !sameRecord(&got, &r) || !bytes.Equal(rest, []byte{1, 2, 3}) {
		t.Fatalf("decoded %+v, %v, %v", got, rest, err)
	}
	if cap(got.Payload) != len(got.Payload) {
		t.Error("appending to a payload would overwrite what follows")
	}
	for n := range b {
		if _, _, err := DecodeRecord(b[:n], testIdentity); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	for _, other := range []Identity{NewIdentity(testStream, testNumber+1), NewIdentity(testStream+1, testNumber)} {
		if _, _, err := DecodeRecord(b, other); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a record of another life was accepted: %v", err)
		}
	}
	for i := range b {
		b[i] ^= 4
		got, _, err := DecodeRecord(b, testIdentity)
		if err == nil && got.PayloadOK() {
			t.Errorf("flipped byte %d went unnoticed", i)
		}
		if i >= RecordHeaderSize && err != nil {
			t.Errorf("payload byte %d: %v", i, err)
		}
		b[i] ^= 4
	}
}

func TestKinds(t *testing.T) {
	if !Kind(1).MustUnderstand() || (Optional | 1).MustUnderstand() {
		t.Error("kinds are told apart wrongly")
	}
}

// TestRoom fills frames to the last byte that Room allows, with the longest trailers.
func TestRoom(t *testing.T) {
	longest := Touch{
		Number: math.MaxUint32, ID: math.MaxUint64, Records: math.MaxUint32,
		LastIndex: math.MaxUint64, LastTerm: math.MaxUint64,
	}
	for _, touches := range []int{0, 1, 50, 200} {
		for _, size := range []int{BlockSize, 4 * BlockSize} {
			var b Builder
			b.Reset(make([]byte, size), testIdentity)
			n := size
			for n >= 0 && !b.Room(n, touches) {
				n--
			}
			if n < RecordHeaderSize {
				continue
			}
			r := record(1, 1, n-RecordHeaderSize)
			b.Put(&r)
			for range touches {
				b.Touch(longest)
			}
			h := Header{Batch: 1, Block: 1}
			file := append(make([]byte, BlockSize), b.Finish(h)...)
			if len(file) != BlockSize+size {
				t.Errorf("%d touches in %d bytes: frame of %d", touches, size, len(file)-BlockSize)
			}
			frames := Scan(file, testIdentity)
			if len(frames) != 1 || !frames[0].Intact() {
				t.Fatalf("%d touches in %d bytes: %v", touches, size, frames)
			}
			for touch, err := range frames[0].Trailer.Touches() {
				if err != nil || touch != longest {
					t.Fatalf("trailer entry %+v, %v", touch, err)
				}
			}
		}
	}
}

func TestBuilderState(t *testing.T) {
	var b Builder
	b.Reset(make([]byte, BlockSize), testIdentity)
	if !b.Empty() || b.Records() != 0 || b.Used() != HeaderSize {
		t.Error("a fresh builder is not empty")
	}
	r := record(1, 1, 5)
	b.Put(&r)
	if b.Empty() || b.Records() != 1 || b.Used() != HeaderSize+r.Size() {
		t.Errorf("after one record: %d records, %d used", b.Records(), b.Used())
	}
}

func TestBuilderDoesNotAllocate(t *testing.T) {
	var b Builder
	buf := make([]byte, 64<<10)
	r := record(1, 1, 256)
	build := func() {
		b.Reset(buf, testIdentity)
		for i := range uint32(64) {
			r.Log = i
			b.Put(&r)
			b.Touch(Touch{Number: i, ID: 1, Records: 1, LastIndex: 1})
		}
		b.Finish(Header{Batch: 1, Block: 1})
	}
	build() // the trailer's memory grows once
	if n := testing.AllocsPerRun(50, build); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}
