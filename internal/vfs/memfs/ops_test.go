package memfs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

const workload = "mkdir d; sd /; create d/f 2; sd d; w d/f 0 AB; s d/f; wd d/f 1 C; mv d/f d/g; ln d/g d/h; rm d/g; sd d; t d/f 1; S d/f"

func TestOpLog(t *testing.T) {
	fs := memfs.New(1)
	var got []string
	last := 0
	fs.OnOp(func(op memfs.Op) {
		if op.N != last+1 {
			t.Errorf("operation %d follows %d", op.N, last)
		}
		last = op.N
		got = append(got, op.String())
	})
	runScript(t, fs, workload)
	want := `mkdir /d
syncdir /
create /d/f 1024
syncdir /d
write /d/f 0+1024
datasync /d/f
write /d/f 512+512 dsync
rename /d/f /d/g
link /d/g /d/h
remove /d/g
syncdir /d
truncate /d/f 512
sync /d/f`
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("operations:\n%s\nwant:\n%s", s, want)
	}
	if fs.Ops() != len(got) {
		t.Errorf("Ops = %d, want %d", fs.Ops(), len(got))
	}
}

// TestCrashAt cuts the power during every operation: neither the effect of the operation
// nor, for a sync, its durability is sure at that moment, and both are possible.
func TestCrashAt(t *testing.T) {
	atCut := [][]string{
		1:  {"", "d/"},
		2:  {"", "d/"},
		3:  {"d/", "d/ d/f=", "d/ d/f=.."},
		4:  {"d/", "d/ d/f=", "d/ d/f=.."},
		5:  {"d/ d/f=", "d/ d/f={A|.}{B|.}"},
		6:  {"d/ d/f=", "d/ d/f={A|.}{B|.}"},
		7:  {"d/ d/f=A{B|C}"},
		8:  {"d/ d/{f|g}=AC"},
		9:  {"d/ d/{f|g}=AC", "d/ d/f=AC d/h=AC", "d/ d/g=AC d/h=AC"},
		10: {"d/ d/{f|g|h}=AC", "d/ d/f=AC d/h=AC", "d/ d/g=AC d/h=AC", "d/"},
		11: {"d/ d/{f|g|h}=AC", "d/ d/f=AC d/h=AC", "d/ d/g=AC d/h=AC", "d/"},
		12: {"d/ d/h=AC", "d/ d/h=A"},
		13: {"d/ d/h=AC", "d/ d/h=A"},
	}
	for n := 1; n < len(atCut); n++ {
		allowed, seen := expand(atCut[n]...), map[string]bool{}
		for seed := range uint64(60) {
			fs := memfs.New(1)
			var image *memfs.FS
			fs.CrashAt(n, memfs.CrashOptions{Unsynced: memfs.Random, Seed: seed}, func(i *memfs.FS) { image = i })
			runScript(t, fs, workload)
			got := view(t, image)
			if !allowed[got] {
				t.Fatalf("cut %d, seed %d: %q", n, seed, got)
			}
			seen[got] = true
		}
		if len(seen) != len(allowed) {
			t.Errorf("cut %d: %d of %d images came up", n, len(seen), len(allowed))
		}
	}
}

// TestImagesAreIndependent changes both sides after a cut.
func TestImagesAreIndependent(t *testing.T) {
	fs := memfs.New(1)
	s := runScript(t, fs, fA)
	lock, err := fs.Lock("/LOCK")
	if err != nil {
		t.Fatal(err)
	}
	image := fs.Crash(memfs.CrashOptions{Unsynced: memfs.Kept})
	if _, err := image.Lock("/LOCK"); err != nil {
		t.Errorf("an image starts locked: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	s.run("w f 0 B; s f; create g; sd /")
	g, err := image.Open("/f", vfs.OpenOptions{Write: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.WriteAt(fillSectors("C"), sector); err != nil {
		t.Fatal(err)
	}
	if got, want := view(t, fs), "LOCK= f=BAA g="; got != want {
		t.Errorf("original %q, want %q", got, want)
	}
	if got, want := view(t, image), "LOCK= f=ACA"; got != want {
		t.Errorf("image %q, want %q", got, want)
	}
	if got, want := view(t, image.Crash(memfs.CrashOptions{})), "LOCK= f=AAA"; got != want {
		t.Errorf("image of the image %q, want %q", got, want)
	}
}

func TestRaw(t *testing.T) {
	fs := memfs.New(1)
	s := runScript(t, fs, fA+"mkdir d; w f 0 BB")
	if err := fs.WriteFile("/f", fillSectors("CC")); err != nil {
		t.Fatal(err)
	}
	if err := fs.WriteFile("/new", fillSectors("D")); err != nil {
		t.Fatal(err)
	}
	if got, want := view(t, fs.Crash(memfs.CrashOptions{})), "f=CC new=D"; got != want {
		t.Errorf("after WriteFile %q, want %q", got, want)
	}
	s.run("w f 1 E; s f")
	if got, want := view(t, fs), "d/ f=CE new=D"; got != want {
		t.Errorf("through the old handle %q, want %q", got, want)
	}
	if err := fs.RemoveFile("/f"); err != nil {
		t.Fatal(err)
	}
	if got, want := view(t, fs.Crash(memfs.CrashOptions{})), "new=D"; got != want {
		t.Errorf("after RemoveFile %q, want %q", got, want)
	}
	if err := fs.WriteFile("/d/x", nil); err != nil {
		t.Fatal(err)
	}
	if got := fs.Files(); !slices.Equal(got, []string{"/d/x", "/new"}) {
		t.Errorf("Files = %q", got)
	}
	for what, err := range map[string]error{
		"WriteFile of a directory":     fs.WriteFile("/d", nil),
		"WriteFile without its parent": fs.WriteFile("/gone/x", nil),
		"RemoveFile of a directory":    fs.RemoveFile("/d"),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// TestQueueOrder checks that the seed, and nothing else, draws the order of execution.
func TestQueueOrder(t *testing.T) {
	order := func(seed uint64) string {
		fs := memfs.New(seed)
		s := runScript(t, fs, "create f 8")
		var got []string
		fs.OnOp(func(op memfs.Op) { got = append(got, fmt.Sprint(op.Off/sector)) })
		q, err := fs.NewQueue(8)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 8 {
			if err := q.Submit(&vfs.Op{Kind: vfs.OpWrite, File: s.files["f"], Buf: fillSectors("A"), Off: int64(i) * sector}); err != nil {
				t.Fatal(err)
			}
		}
		if len(got) > 0 {
			t.Error("operations ran before Reap")
		}
		if n, err := q.Reap(8, make([]*vfs.Op, 8)); n != 8 || err != nil {
			t.Fatalf("Reap = %d, %v", n, err)
		}
		return strings.Join(got, " ")
	}
	orders := map[string]bool{}
	for seed := range uint64(10) {
		first := order(seed)
		if again := order(seed); again != first {
			t.Fatalf("seed %d gave the orders %s and %s", seed, first, again)
		}
		orders[first] = true
	}
	if len(orders) < 9 {
		t.Errorf("10 seeds gave %d orders", len(orders))
	}
}
