package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
)

func samplePlace() place {
	return place{checksum: 0x0123456789abcdef,
		cursor: engine.Cursor{UID: "a-log", Incarnation: 3, At: engine.EntryID{Term: 4, Index: 55}}}
}

// The text of a place is that of version 1.
func TestPlaceGolden(t *testing.T) {
	want := string(golden(t, "place-v1.txt"))
	if got := samplePlace().String(); got != want {
		t.Fatalf("%q, want %q", got, want)
	}
	if p, err := parsePlace(want); err != nil || p != samplePlace() {
		t.Fatal(p, err)
	}
	if _, err := parsePlace(string(golden(t, "place-v2.txt"))); !errors.Is(err, ErrVersion) {
		t.Fatal(err)
	}
}

func TestPlaceDamaged(t *testing.T) {
	whole := samplePlace().String()
	for at := range whole {
		b := []byte(whole)
		b[at] ^= 1
		if _, err := parsePlace(string(b)); !errors.Is(err, ErrPlace) && !errors.Is(err, ErrVersion) {
			t.Errorf("byte %d: %v", at, err)
		}
		if _, err := parsePlace(whole[:at]); !errors.Is(err, ErrPlace) {
			t.Errorf("cut at %d: %v", at, err)
		}
	}
	for _, text := range []string{whole + whole, whole + "\n", " " + whole, strings.ToUpper(whole)} {
		if _, err := parsePlace(text); !errors.Is(err, ErrPlace) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What was saved last is loaded, under names of all sorts.
func TestPlacesKeep(t *testing.T) {
	kept, err := openPlaces(t.TempDir() + "/sub/dir")
	if err != nil {
		t.Fatal(err)
	}
	names := []engine.UID{"a", "A", engine.UID(strings.Repeat("x", 128)), "-", "_"}
	for round := range uint64(2) {
		for i, uid := range names {
			want := place{checksum: round, cursor: engine.Cursor{UID: uid, Incarnation: engine.LogID(i + 1)}}
			if _, ok, err := kept.load(uid); ok != (round > 0) || err != nil {
				t.Fatal(uid, ok, err)
			}
			if err := kept.save(want); err != nil {
				t.Fatal(err)
			}
			if got, ok, err := kept.load(uid); got != want || !ok || err != nil {
				t.Fatal(got, ok, err)
			}
		}
	}
}

func FuzzPlace(f *testing.F) {
	f.Add(string(golden(f, "place-v1.txt")))
	f.Add(string(golden(f, "place-v2.txt")))
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := parsePlace(text); err == nil && p.String() != text {
			t.Fatalf("%q is read as %q", text, p)
		}
	})
}
