package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"reflect"
	"testing"

	"github.com/rawl-db/rawl/engine"
)

func sampleBatch() *engine.Batch {
	entries := []engine.Entry{{Index: 1, Term: 1, Type: 7, Data: []byte("first")}, {Index: 2, Term: 3}, {Index: 3, Term: 3, Type: 255, Data: []byte{0}}}
	return &engine.Batch{First: entries[0].ID(), Last: entries[2].ID(), Entries: entries, Checksum: engine.RunningChecksum(0, entries)}
}

// frameOf reads one frame.
func frameOf(b []byte) (kind, []byte, error) {
	return (&frameReader{from: bytes.NewReader(b), limit: maxFrameBytes}).next()
}

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The bytes of a frame and its batch are those of version 1.
func TestFrameGolden(t *testing.T) {
	want := golden(t, "batch-v1.bin")
	if got := appendBatch(nil, kindBatch, sampleBatch()); !bytes.Equal(got, want) {
		t.Fatalf("%x\n%x", got, want)
	}
	k, body, err := frameOf(want)
	if err != nil || k != kindBatch {
		t.Fatal(k, err)
	}
	entries, sum, err := parseBatch(body, nil)
	for i := range entries {
		if len(entries[i].Data) == 0 {
			entries[i].Data = nil
		}
	}
	if b := sampleBatch(); err != nil || sum != b.Checksum || !reflect.DeepEqual(entries, b.Entries) {
		t.Fatal(entries, sum, err)
	}
}

// Every flipped bit and every cut is seen.
func TestFrameDamaged(t *testing.T) {
	whole := golden(t, "batch-v1.bin")
	for at := range whole {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[at] ^= 1 << bit
			if _, _, err := frameOf(b); !errors.Is(err, ErrFrame) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("byte %d, bit %d: %v", at, bit, err)
			}
		}
		if _, _, err := frameOf(whole[:at]); at > 0 && !errors.Is(err, io.ErrUnexpectedEOF) || at == 0 && err != io.EOF {
			t.Fatalf("cut at %d: %v", at, err)
		}
	}
}

// A length is no reason to take memory: it is bounded, and what did not arrive is not made room for.
func TestFrameLength(t *testing.T) {
	var b [frameHeaderBytes]byte
	for _, n := range []uint32{0, maxFrameBytes + 1, 1 << 31, 1<<32 - 1} {
		binary.LittleEndian.PutUint32(b[:], n)
		if _, _, err := frameOf(b[:]); !errors.Is(err, ErrFrame) {
			t.Errorf("length %d: %v", n, err)
		}
	}
	binary.LittleEndian.PutUint32(b[:], maxFrameBytes)
	r := &frameReader{from: bytes.NewReader(b[:]), limit: maxFrameBytes}
	if _, _, err := r.next(); !errors.Is(err, io.ErrUnexpectedEOF) || r.buf.Cap() > 64<<10 {
		t.Errorf("%v, %d bytes taken", err, r.buf.Cap())
	}
}

// Bodies that a checksum protects can still make no sense.
func TestBatchRefused(t *testing.T) {
	_, whole, err := frameOf(golden(t, "batch-v1.bin"))
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		if _, _, err := parseBatch(whole[:at], nil); !errors.Is(err, ErrFrame) {
			t.Errorf("cut at %d: %v", at, err)
		}
	}
	for name, change := range map[string]func(b []byte) []byte{
		"more behind":   func(b []byte) []byte { return append(b, 0) },
		"no entries":    func(b []byte) []byte { clear(b[16:20]); return b },
		"many entries":  func(b []byte) []byte { b[19] = 0xff; return b },
		"a long entry":  func(b []byte) []byte { b[batchHeaderBytes+12] = 0xff; return b },
		"a short entry": func(b []byte) []byte { b[batchHeaderBytes+9] = 0; return b },
	} {
		if _, _, err := parseBatch(change(bytes.Clone(whole)), nil); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A refusal keeps its type and coordinates over the wire.
func TestRefusalTravels(t *testing.T) {
	c := engine.Cursor{UID: "a", Incarnation: 4, At: engine.EntryID{Term: 2, Index: 9}}
	for _, sent := range []error{
		&engine.GapError{UID: "a", Want: 3, First: 8, Snapshot: engine.EntryID{Term: 2, Index: 7}},
		&engine.DivergedError{Cursor: c, Have: engine.EntryID{Term: 3, Index: 9}, Common: 5},
		engine.ErrNotFound,
	} {
		_, body, err := frameOf(appendJSON(nil, kindRefused, nil, refusal(sent)))
		if err != nil {
			t.Fatal(err)
		}
		var got RefusedError
		if err := parseJSON(body, &got); err != nil || !reflect.DeepEqual(&got, refusal(sent)) {
			t.Fatalf("%v: %+v", err, got)
		}
		if want := !errors.Is(sent, engine.ErrNotFound); (errors.Is(&got, engine.ErrCompacted) || errors.Is(&got, engine.ErrDiverged)) != want {
			t.Errorf("%v", &got)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(golden(f, "batch-v1.bin"))
	f.Add(appendFrame(nil, kindList, appendHello))
	f.Add(appendJSON(nil, kindFollow, appendHello(nil), request{UID: "a", Checksum: 1}))
	f.Add(appendJSON(nil, kindRefused, nil, refusal(&engine.GapError{UID: "a"})))
	f.Add(appendJSON(nil, kindLogs, nil, []engine.UID{"a", "b"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, body, err := frameOf(b)
		if err != nil {
			return
		}
		again := appendFrame(nil, k, func(into []byte) []byte { return append(into, body...) })
		if !bytes.Equal(again, b[:len(again)]) {
			t.Fatal("decoding then encoding changed the frame")
		}
		fuzzBody(t, k, body)
	})
}

// FuzzBody does without the checksum that keeps a fuzzer out.
func FuzzBody(f *testing.F) {
	for _, b := range [][]byte{golden(f, "batch-v1.bin"), appendJSON(nil, kindFollow, appendHello(nil), request{UID: "a", Checksum: 1}),
		appendChunk(nil, 1, []byte("data"), engine.ChunkSum{})} {
		k, body, err := frameOf(b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(k), body)
	}
	f.Fuzz(func(t *testing.T, k uint8, body []byte) { fuzzBody(t, kind(k), body) })
}

func fuzzBody(t *testing.T, k kind, body []byte) {
	switch k {
	case kindBatch, kindLive:
		entries, sum, err := parseBatch(body, nil)
		if err != nil {
			return
		}
		again := appendBatch(nil, kindBatch, &engine.Batch{First: entries[0].ID(), Entries: entries, Checksum: sum})
		if !bytes.Equal(again[frameHeaderBytes+1:], body) {
			t.Fatal("decoding then encoding changed the batch")
		}
	case kindChunk:
		n, data, sum, err := parseChunk(body)
		if err == nil && !bytes.Equal(appendChunk(nil, n, data, sum)[frameHeaderBytes+1:], body) {
			t.Fatal("decoding then encoding changed the chunk")
		}
	case kindLogs:
		_, _ = parseLogs(body)
	case kindPlace:
		if c, err := parseCursor(body); err == nil && c.String() != string(body) {
			t.Fatal("a cursor has two texts")
		}
	case kindRefused:
		var r RefusedError
		if parseJSON(body, &r) == nil {
			_ = r.Error()
			_ = errors.Is(&r, engine.ErrCompacted)
		}
	default:
		if rest, err := cutHello(body); err == nil {
			var r request
			_ = parseJSON(rest, &r)
		}
	}
}
