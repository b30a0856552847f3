package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"
)

func FuzzDecodeFileHeader(f *testing.F) {
	f.Add(readTestdata(f, "file-v1")[:BlockSize], false)
	f.Add(readTestdata(f, "header-v2"), false)
	f.Add(readTestdata(f, "header-v2"), true)
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		if seal && len(b) >= BlockSize {
			binary.LittleEndian.PutUint32(b[BlockSize-4:], Checksum(b[:BlockSize-4]))
		}
		h, err := DecodeFileHeader(b)
		if err != nil {
			if !errors.Is(err, ErrMagic) && !errors.Is(err, ErrVersion) && !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again := make([]byte, BlockSize)
		h.Encode(again)
		if !bytes.Equal(again[:40], b[:40]) {
			t.Fatal("decoding then encoding changed the bytes")
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	golden := readTestdata(f, "file-v1")
	f.Add(golden[BlockSize+HeaderSize:][:1000], false)
	f.Add(golden[2*BlockSize+HeaderSize:][:9100], true)
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		if seal && len(b) >= RecordHeaderSize {
			b[43] = 0 // reserved
			binary.LittleEndian.PutUint32(b, crc32.Update(testIdentity.seed, castagnoli, b[4:RecordHeaderSize]))
		}
		r, rest, err := DecodeRecord(b, testIdentity)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again := make([]byte, r.Size())
		r.putHeader(again, testIdentity.seed)
		copy(again[RecordHeaderSize:], r.Payload)
		if !bytes.Equal(again, b[:r.Size()]) || len(rest) != len(b)-r.Size() {
			t.Fatal("decoding then encoding changed the bytes")
		}
	})
}

// FuzzScan scans files in which the header and footer of one block verify whatever they say.
func FuzzScan(f *testing.F) {
	golden := readTestdata(f, "file-v1")
	f.Add(golden, uint8(0))
	f.Add(golden, uint8(1))
	f.Add(golden, uint8(2))
	f.Add(sampleFile(NewIdentity(testStream, 1), samples()...), uint8(3))
	f.Fuzz(func(t *testing.T, file []byte, block uint8) {
		at := int(block) * BlockSize
		if block > 0 && at+BlockSize <= len(file) {
			resealHeader(file[at:])
			resealFooter(file, at+BlockSize)
		}
		readAll(t, file)
	})
}
