package memfs_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestConcurrent cuts the power again and again under writers, and writes to the images
// meanwhile: pages are shared, and no write may show on another side.
func TestConcurrent(t *testing.T) {
	const writers, rounds, size = 3, 60, 3*page + 700
	fs := memfs.New(1)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			name := fmt.Sprintf("/%d", w)
			f, err := fs.Create(name, vfs.CreateOptions{Sync: vfs.SyncMode(w % 2)})
			if err != nil {
				t.Error(err)
				return
			}
			for r := range rounds {
				_, err := f.WriteAt(bytes.Repeat([]byte{byte(r + 1)}, size), 0)
				if err == nil && r%3 == 0 {
					err = f.Datasync()
				}
				if err == nil && r%8 == 0 {
					err = fs.SyncDir("/")
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for c := range 2 {
		wg.Go(func() {
			for r := range rounds {
				image := fs.Crash(memfs.CrashOptions{Unsynced: memfs.Random, Seed: uint64(c*rounds + r)})
				scribble(t, image)
			}
		})
	}
	wg.Wait()
	for w := range writers {
		got, err := fs.ReadFile(fmt.Sprintf("/%d", w))
		if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{rounds}, size)) {
			t.Errorf("writer %d's file is not what it wrote last: %v", w, err)
		}
	}
}

// scribble overwrites every file of an image and checks that a second image shows it.
func scribble(t *testing.T, image *memfs.FS) {
	for _, name := range image.Files() {
		f, err := image.Open(name, vfs.OpenOptions{Write: true, Sync: vfs.SyncData})
		if err != nil {
			t.Error(err)
			return
		}
		want := bytes.Repeat([]byte{0xff}, 2*page+100)
		if _, err := f.WriteAt(want, 50); err != nil {
			t.Error(err)
		}
		got, err := image.Crash(memfs.CrashOptions{}).ReadFile(name)
		if err != nil || len(got) < 50+len(want) || !bytes.Equal(got[50:50+len(want)], want) {
			t.Errorf("%s: a durable write to an image did not survive: %v", name, err)
		}
	}
}

// BenchmarkCrash measures one random image of 8 MiB in 8 files under 64 unsynced writes.
func BenchmarkCrash(b *testing.B) {
	fs := memfs.New(1)
	for i := range 8 {
		f, err := fs.Create(fmt.Sprintf("/%d", i), vfs.CreateOptions{Size: 1 << 20})
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		for w := range int64(8) {
			if _, err := f.WriteAt(make([]byte, page), w*page); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := fs.SyncDir("/"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for seed := uint64(0); b.Loop(); seed++ {
		fs.Crash(memfs.CrashOptions{Unsynced: memfs.Random, Seed: seed})
	}
}
