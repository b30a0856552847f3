package memfs_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// sectorModel is an independent account of one file that does not change its size: per
// sector, every content it had since it was last durable.
type sectorModel struct {
	now      []byte
	versions [][][]byte
}

func newSectorModel(sectors int) *sectorModel {
	m := &sectorModel{now: make([]byte, sectors*sector), versions: make([][][]byte, sectors)}
	m.sync(0, sectors)
	return m
}

func (m *sectorModel) sector(i int) []byte { return bytes.Clone(m.now[i*sector : (i+1)*sector]) }

func (m *sectorModel) sync(first, end int) {
	for i := first; i < end; i++ {
		m.versions[i] = [][]byte{m.sector(i)}
	}
}

func (m *sectorModel) write(p []byte, off int, dsync bool) {
	copy(m.now[off:], p)
	first, end := off/sector, (off+len(p)+sector-1)/sector
	for i := first; i < end; i++ {
		m.versions[i] = append(m.versions[i], m.sector(i))
	}
	if dsync {
		m.sync(first, end)
	}
}

// stable returns the bytes that were last made durable.
func (m *sectorModel) stable() []byte {
	var b []byte
	for _, v := range m.versions {
		b = append(b, v[0]...)
	}
	return b
}

func (m *sectorModel) check(t *testing.T, what string, got []byte) {
	t.Helper()
	if len(got) != len(m.now) {
		t.Fatalf("%s: %d bytes, want %d", what, len(got), len(m.now))
	}
	for i, versions := range m.versions {
		part, known := got[i*sector:(i+1)*sector], false
		for _, v := range versions {
			known = known || bytes.Equal(v, part)
		}
		if !known {
			t.Fatalf("%s: sector %d is none of its %d contents since it was durable", what, i, len(versions))
		}
	}
}

// TestCrashOfAnyWrites cuts the power after each of many random writes of any length at
// any offset.
func TestCrashOfAnyWrites(t *testing.T) {
	const sectors = 64
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			fs, m := memfs.New(seed), newSectorModel(sectors)
			s := runScript(t, fs, fmt.Sprintf("create f %d; s f; sd /", sectors))
			f := s.files["f"]
			var before *memfs.FS
			var beforeData []byte
			for step := range 200 {
				off := rng.IntN(sectors*sector - 1)
				p := make([]byte, 1+rng.IntN(min(20*sector, sectors*sector-off)))
				for i := range p {
					p[i] = byte(rng.Uint32())
				}
				switch rng.IntN(8) {
				case 0:
					if err := f.Datasync(); err != nil {
						t.Fatal(err)
					}
					m.sync(0, sectors)
				case 1, 2:
					if err := s.queued(&vfs.Op{Kind: vfs.OpWrite, File: f, Buf: p, Off: int64(off), DSync: true}); err != nil {
						t.Fatal(err)
					}
					m.write(p, off, true)
				default:
					if _, err := f.WriteAt(p, int64(off)); err != nil {
						t.Fatal(err)
					}
					m.write(p, off, false)
				}
				if before != nil {
					if got, err := before.ReadFile("/f"); err != nil || !bytes.Equal(got, beforeData) {
						t.Fatalf("step %d changed an image taken earlier, or %v", step, err)
					}
				}
				before, beforeData = fs.Crash(memfs.CrashOptions{}), m.stable()
				if got, err := before.ReadFile("/f"); err != nil || !bytes.Equal(got, beforeData) {
					t.Fatalf("step %d: all lost is not what was durable, or %v", step, err)
				}
				for i, u := range []memfs.Unsynced{memfs.Random, memfs.Random, memfs.Kept} {
					image := fs.Crash(memfs.CrashOptions{Unsynced: u, Seed: rng.Uint64()})
					got, err := image.ReadFile("/f")
					if err != nil {
						t.Fatal(err)
					}
					m.check(t, fmt.Sprintf("step %d image %d", step, i), got)
					if u == memfs.Kept && !bytes.Equal(got, m.now) {
						t.Fatalf("step %d: all kept is not what was written", step)
					}
				}
			}
		})
	}
}

// TestSizesOfAnyLength checks that sizes within a sector survive exactly and that what a
// cut removed reads as zeros.
func TestSizesOfAnyLength(t *testing.T) {
	fs := memfs.New(1)
	s := runScript(t, fs, "create f; sd /")
	f := s.files["f"]
	data := bytes.Repeat([]byte{7}, 1000)
	if _, err := f.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
	s.run("s f")
	for _, size := range []int64{700, 300, 900} {
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
	}
	sizes := map[int]bool{}
	for seed := range uint64(100) {
		got, err := fs.Crash(memfs.CrashOptions{Unsynced: memfs.Random, Seed: seed}).ReadFile("/f")
		if err != nil {
			t.Fatal(err)
		}
		sizes[len(got)] = true
		want := bytes.Clone(data[:len(got)])
		if len(got) == 900 {
			clear(want[300:])
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("image of %d bytes differs from the file of that size", len(got))
		}
	}
	for _, size := range []int{1000, 700, 300, 900} {
		if !sizes[size] {
			t.Errorf("no image has %d bytes", size)
		}
	}
}

// TestCutWithinSector: a cut that became durable also cuts the unsynced writes before it.
func TestCutWithinSector(t *testing.T) {
	fs := memfs.New(1)
	s := runScript(t, fs, "create f; w f 0 AA; s f; sd /; w f 0 BB")
	f := s.files["f"]
	for _, size := range []int64{700, 2000} {
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.queued(&vfs.Op{Kind: vfs.OpWrite, File: f, Buf: []byte("C"), Off: 1999, DSync: true}); err != nil {
		t.Fatal(err)
	}
	seen := map[byte]bool{}
	for seed := range uint64(50) {
		got, err := fs.Crash(memfs.CrashOptions{Unsynced: memfs.Random, Seed: seed}).ReadFile("/f")
		if err != nil || len(got) != 2000 || got[1999] != 'C' {
			t.Fatalf("the durable write is not in an image of %d bytes: %v", len(got), err)
		}
		seen[got[699]] = true
		if !bytes.Equal(got[700:1999], make([]byte, 1299)) {
			t.Fatalf("seed %d: bytes that were cut are back", seed)
		}
	}
	if !seen['A'] || !seen['B'] {
		t.Errorf("the bytes before the cut were only ever %v", seen)
	}
}

// TestCutDuringDSync cuts the file while a DSync write is under way.
func TestCutDuringDSync(t *testing.T) {
	fs := memfs.New(1)
	s := runScript(t, fs, fA)
	f := s.files["f"]
	fs.OnOp(func(op memfs.Op) {
		if op.Kind == memfs.OpWrite {
			s.run("t f 0; t f 3")
		}
	})
	if err := s.queued(&vfs.Op{Kind: vfs.OpWrite, File: f, Buf: []byte("B"), Off: 5, DSync: true}); err != nil {
		t.Fatal(err)
	}
	if got := view(t, fs.Crash(memfs.CrashOptions{})); got != "f=..." {
		t.Errorf("the device has %q", got)
	}
}

func TestTearUnsynced(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(100) {
		fs := memfs.New(1)
		s := runScript(t, fs, fA+"w f 0 BBB")
		s.files["f"].TearUnsynced(seed)
		s.run("s f")
		if got := view(t, fs); got != "f=BBB" {
			t.Fatalf("programs read %q", got)
		}
		lost := view(t, fs.Crash(memfs.CrashOptions{}))
		if kept := view(t, fs.Crash(memfs.CrashOptions{Unsynced: memfs.Kept})); kept != lost {
			t.Fatalf("a torn file is %q or %q: something is unsynced still", lost, kept)
		}
		seen[lost] = true
	}
	if len(seen) != 8 {
		t.Errorf("%d of 8 outcomes were seen: %v", len(seen), seen)
	}
}
