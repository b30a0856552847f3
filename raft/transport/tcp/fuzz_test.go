package tcp

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/rawl-db/rawl/raft/transport"
)

func FuzzHello(f *testing.F) {
	h := hello{part: bulkPart, nonce: 7, from: "alpha", to: "beta", incarnation: 1 << 40, epoch: 300}
	f.Add(h.appendTo(nil))
	h.epoch, h.from = maxEpoch+1, ""
	f.Add(h.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHello(b)
		if err != nil {
			if !errors.Is(err, errMalformed) && !errors.Is(err, errVersion) {
				t.Fatal(err)
			}
			return
		}
		if again, err := parseHello(h.appendTo(nil)); err != nil || again != h {
			t.Fatalf("%+v became %+v, %v", h, again, err)
		}
	})
}

func FuzzWelcome(f *testing.F) {
	w := welcome{status: statusWelcome, nonce: 7, incarnation: 1 << 40, epoch: 300}
	f.Add(w.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := parseWelcome(b)
		if err != nil {
			if !errors.Is(err, errMalformed) {
				t.Fatal(err)
			}
			return
		}
		if again, err := parseWelcome(w.appendTo(nil)); err != nil || again != w {
			t.Fatalf("%+v became %+v, %v", w, again, err)
		}
	})
}

// FuzzShake: what is taken for a message of the handshake has these bytes, and no more than it may have.
func FuzzShake(f *testing.F) {
	h := hello{nonce: 7, from: "alpha", to: "beta"}
	for _, b := range [][]byte{nil, h.appendTo(nil), make([]byte, maxHandshake), make([]byte, maxHandshake+1)} {
		f.Add(framed(b))
	}
	f.Add(append([]byte{255, 255, 255, 127}, make([]byte, 100)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readShake(bytes.NewReader(b))
		if err == nil && (len(m) > maxHandshake || !bytes.HasPrefix(b, framed(m))) {
			t.Fatalf("%x is taken for %x", b, m)
		}
	})
}

// FuzzFrames: whatever comes, frames that are taken are those that were made, in their order.
func FuzzFrames(f *testing.F) {
	w := framer{seed: 9}
	var stream []byte
	for _, m := range []string{"one", "", "three"} {
		at := len(stream)
		stream = append(w.begin(stream), m...)
		w.finish(stream, at, transport.Log)
	}
	f.Add(stream)
	f.Fuzz(func(t *testing.T, b []byte) {
		u := unframer{r: bytes.NewReader(b), seed: 9, most: 1 << 16, classes: 1 << transport.Log}
		again := framer{seed: 9}
		var got []byte
		for {
			class, m, err := u.next()
			if err != nil {
				if errors.Is(err, io.EOF) && !bytes.Equal(got, b) {
					t.Fatal("other bytes than were there")
				}
				return
			}
			at := len(got)
			got = append(again.begin(got), m...)
			again.finish(got, at, class)
			if !bytes.HasPrefix(b, got) {
				t.Fatal("a frame was taken that was not there")
			}
		}
	})
}

// A claim of a long frame costs what came, not what was claimed.
func TestLongFrameCostsWhatCame(t *testing.T) {
	b := make([]byte, frameHeader+100)
	b[3] = 0x3f // a GiB and a half
	n := testing.AllocsPerRun(1, func() {
		u := unframer{r: bytes.NewReader(b), most: 1 << 31, classes: 1}
		if _, _, err := u.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	})
	if n > 10 {
		t.Errorf("%v allocations", n)
	}
}
