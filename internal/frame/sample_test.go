package frame

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

const (
	testStream = 0x0123456789abcdef
	testNumber = 42
)

var (
	testHeader   = FileHeader{Kind: WALFile, Stream: testStream, Number: testNumber, Size: 64 << 10}
	testIdentity = testHeader.Identity()
)

// record returns a record whose payload is n bytes that depend on index.
func record(log uint32, index uint64, n int) Record {
	payload := make([]byte, n)
	for i := range payload {
		payload[i] = byte(int(index)*31 + i*7 + 1)
	}
	return Record{
		Kind: 2, Flags: 1, Type: 9, Log: log, Index: index, Prev: index - 1, Term: 3,
		CRC: Checksum(payload), Payload: payload,
	}
}

// sampleFrame is what one frame of a sample file holds.
type sampleFrame struct {
	header  Header
	records []Record
	touches []Touch
}

// samples are the frames of testdata/file-v1, which never changes: one of several records,
// one of three blocks, one that is empty.
func samples() []sampleFrame {
	return []sampleFrame{
		{
			header:  Header{Batch: 100, Watermark: 99, FirstBatch: 100, Block: 1, Declared: 2},
			records: []Record{record(1, 1, 10), record(2, 7, 0), record(1, 2, 300)},
			touches: []Touch{
				{Number: 1, ID: 77, Records: 2, LastIndex: 2, LastTerm: 3},
				{Number: 2, ID: 1<<64 - 1, Records: 1, LastIndex: 7, LastTerm: 3},
			},
		},
		{
			header:  Header{Batch: 101, Watermark: 100, FirstBatch: 100, Block: 2, Declared: 2},
			records: []Record{record(1, 3, 9000)},
			touches: []Touch{{Number: 1, Records: 1, LastIndex: 3, LastTerm: 3}},
		},
		{header: Header{Batch: 102, Watermark: 101, FirstBatch: 100, Block: 5, Declared: 2}},
	}
}

// sampleFile encodes the header block and the frames.
func sampleFile(id Identity, frames ...sampleFrame) []byte {
	h := testHeader
	h.Number = id.Number()
	file := make([]byte, BlockSize)
	h.Encode(file)
	var b Builder
	buf := make([]byte, 256<<10)
	for _, f := range frames {
		b.Reset(buf, id)
		for i := range f.records {
			b.Put(&f.records[i])
		}
		for _, t := range f.touches {
			b.Touch(t)
		}
		file = append(file, b.Finish(f.header)...)
	}
	return file
}

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkFrame compares what was found with what was written.
func checkFrame(t *testing.T, f *Frame, want sampleFrame) {
	t.Helper()
	if f.Batch != want.header.Batch || f.Watermark != want.header.Watermark ||
		f.FirstBatch != want.header.FirstBatch || f.Block != want.header.Block {
		t.Errorf("%v: header %+v, want %+v", f, f.Header, want.header)
	}
	if f.HasHeader {
		checkRecords(t, f, want.records)
	}
	if f.HasTrailer {
		checkTouches(t, f, want.touches)
	}
}

func checkRecords(t *testing.T, f *Frame, want []Record) {
	t.Helper()
	n := 0
	for r := range f.Records {
		if n >= len(want) || !sameRecord(r, &want[n]) || !r.PayloadOK() {
			t.Errorf("%v: record %d is %+v", f, n, r)
		}
		n++
	}
	if n != len(want) || f.Header.Records != uint32(n) {
		t.Errorf("%v: %d records, header says %d, want %d", f, n, f.Header.Records, len(want))
	}
}

func checkTouches(t *testing.T, f *Frame, want []Touch) {
	t.Helper()
	n := 0
	for touch, err := range f.Trailer.Touches() {
		if err != nil || n >= len(want) || touch != want[n] {
			t.Errorf("%v: trailer entry %d is %+v, %v", f, n, touch, err)
		}
		n++
	}
	if n != len(want) {
		t.Errorf("%v: %d trailer entries, want %d", f, n, len(want))
	}
}

func sameRecord(a, b *Record) bool {
	x, y := *a, *b
	x.Payload, y.Payload = nil, nil
	return bytes.Equal(a.Payload, b.Payload) && x.Kind == y.Kind && x.Flags == y.Flags && x.Type == y.Type &&
		x.Log == y.Log && x.Prev == y.Prev && x.Index == y.Index && x.Term == y.Term && x.CRC == y.CRC
}
