package memfs_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// fA is a durable file of three sectors of A.
const fA = "create f; w f 0 AAA; s f; sd /;"

// crashCases is the durability section of package vfs as a table: what a script may
// leave after a power cut is exactly the set, no more and no less.
var crashCases = []struct {
	name    string
	script  string
	allowed []string
}{
	// A write is durable once a sync that began after its completion has completed.
	{"synced", "create f; w f 0 ABC; s f; sd /", []string{"f=ABC"}},
	{"synced in full", "create f; w f 0 ABC; S f; sd /", []string{"f=ABC"}},
	{"unsynced append", "create f; s f; sd /; w f 0 ABC", []string{"f=", "f={A|.}{B|.}{C|.}"}},
	{"unsynced overwrite", fA + "w f 0 BBB", []string{"f={A|B}{A|B}{A|B}"}},
	{"one sector written twice", fA + "w f 1 B; w f 1 C", []string{"f=A{A|B|C}A"}},
	{"reordered", fA + "w f 0 B; w f 2 C", []string{"f={A|B}A{A|C}"}},
	{"overlapping", fA + "w f 0 BB; w f 1 CC", []string{"f={A|B}{A|B|C}{A|C}"}},
	{"two appends", "create f; sd /; w f 0 A; w f 1 B", []string{"f=", "f={A|.}", "f={A|.}{B|.}"}},
	{"written after the sync", fA + "w f 0 B; s f; w f 1 C", []string{"f=B{A|C}A"}},
	{"hole", "create f; sd /; w f 2 A", []string{"f=", "f=..{A|.}"}},

	// Or the write itself, when it was issued with DSync: its bytes, and nothing else.
	{"dsync", fA + "wd f 1 B", []string{"f=ABA"}},
	{"dsync leaves others", fA + "w f 0 B; wd f 1 C", []string{"f={A|B}CA"}},
	{"dsync over unsynced", fA + "w f 0 BB; wd f 0 C", []string{"f=C{A|B}A"}},
	{"dsync inside unsynced", fA + "w f 0 BBB; wd f 1 C", []string{"f={A|B}C{A|B}"}},
	{"unsynced over dsync", fA + "wd f 0 B; w f 0 C", []string{"f={B|C}AA"}},
	{"dsync grows", "create f; sd /; wd f 0 A", []string{"f=A"}},
	{"dsync grows over unsynced", "create f; sd /; w f 0 A; wd f 1 B", []string{"f={A|.}B"}},
	{"dsync below a growth", fA + "w f 3 B; wd f 0 C", []string{"f=CAA", "f=CAA{B|.}"}},
	{"dsync in unsynced reservation", "create f 4; sd /; wd f 1 A", []string{"f=.A.."}},
	{"opened with SyncData", "createdsync f; sd /; w f 0 AB; w f 1 C", []string{"f=AC"}},

	// Sizes and reserved space.
	{"reserved", "create f 2; sd /", []string{"f=", "f=.."}},
	{"reserved and synced", "create f 2; s f; sd /", []string{"f=.."}},
	{"cut", fA + "t f 1", []string{"f=AAA", "f=A"}},
	{"cut and synced", fA + "t f 1; s f", []string{"f=A"}},
	{"cut and grown", fA + "t f 1; t f 2", []string{"f=AAA", "f=A", "f=A."}},
	{"cut, grown and synced", fA + "t f 1; t f 3; s f", []string{"f=A.."}},
	{"cut and written", fA + "t f 0; w f 0 B", []string{"f={A|B}AA", "f=", "f={B|.}"}},
	{"write overtaken by a cut", fA + "w f 1 B; t f 1; t f 2", []string{"f=A{A|B}A", "f=A", "f=A."}},
	{"dsync behind a cut", fA + "w f 2 B; t f 0; wd f 0 C; t f 3", []string{"f=C", "f=C.."}},
	{"dsync below a cut", fA + "t f 2; wd f 0 B", []string{"f=BAA", "f=BA"}},

	// A file's name is durable once SyncDir of its directory has completed.
	{"name unsynced", "create f; w f 0 A; s f", []string{"", "f=A"}},
	{"data unsynced", "create f; w f 0 A; sd /", []string{"f=", "f={A|.}"}},
	{"names independent", "create a; create b", []string{"", "a=", "b=", "a= b="}},
	{"name synced before", "create a; sd /; create b", []string{"a=", "a= b="}},

	// Likewise a rename and a removal.
	{"rename", fA + "mv f g", []string{"f=AAA", "g=AAA"}},
	{"rename synced", fA + "mv f g; sd /", []string{"g=AAA"}},
	{"rename over", fA + "create g; w g 0 B; s g; sd /; mv f g", []string{"f=AAA g=B", "g=AAA"}},
	{"rename of unsynced data", fA + "create t; w t 0 B; mv t f; sd /", []string{"f=", "f={B|.}"}},
	{"rename of a new file", fA + "create t; s t; mv t f", []string{"f=AAA", "f=AAA t=", "f="}},
	{"remove", fA + "rm f", []string{"f=AAA", ""}},
	{"remove synced", fA + "rm f; sd /", []string{""}},
	{"remove and create", fA + "rm f; create f; w f 0 B; s f", []string{"f=AAA", "", "f=B"}},
	{"link", fA + "ln f g", []string{"f=AAA", "f=AAA g=AAA"}},
	{"link synced", fA + "ln f g; sd /; rm f; sd /", []string{"g=AAA"}},
	{"link and remove", fA + "ln f g; rm f", []string{"f=AAA", "g=AAA", "f=AAA g=AAA", ""}},
	{"write through a link", fA + "ln f g; sd /; w f 0 B", []string{"f=AAA g=AAA", "f=BAA g=BAA"}},
	{"chain of one name", "create f; w f 0 A; s f; mv f g; create f; w f 0 B; s f",
		[]string{"", "f=A", "g=A", "f=B g=A"}},

	// A new directory's name needs SyncDir of its parent.
	{"directory", "mkdir d", []string{"", "d/"}},
	{"directory synced inside only", "mkdir d; create d/f; s d/f; sd d", []string{"", "d/ d/f="}},
	{"directory synced outside only", "mkdir d; create d/f; sd /", []string{"d/", "d/ d/f="}},
	{"directory synced", "mkdir d; create d/f; sd d; sd /", []string{"d/ d/f="}},
	{"directory removed", "mkdir d; sd /; rm d", []string{"d/", ""}},
	{"directory renamed", "mkdir d; create d/f; sd d; sd /; mv d e", []string{"d/ d/f=", "e/ e/f="}},
	{"nested", "mkdir d/e; sd /", []string{"d/", "d/ d/e/"}},

	// Across directories.
	{"moved", "mkdir d; mkdir e; create d/f; sd d; sd /; mv d/f e/g", []string{"d/ d/f= e/", "d/ e/ e/g="}},
	{"moved, old synced", "mkdir d; mkdir e; create d/f; sd d; sd /; mv d/f e/g; sd d",
		[]string{"d/ d/f= e/", "d/ e/ e/g="}},
	{"moved, new synced", "mkdir d; mkdir e; create d/f; sd d; sd /; mv d/f e/g; sd e", []string{"d/ e/ e/g="}},
	{"moved, old name taken", "mkdir d; mkdir e; create d/f; sd d; sd /; mv d/f e/g; create d/f; w d/f 0 B; s d/f; sd d",
		[]string{"d/ d/f=B e/ e/g="}},

	// A later sync that succeeds says nothing about the bytes before a failed one.
	{"dropped", fA + "w f 0 BBB; drop f; s f", []string{"f=AAA"}},
	{"dropped, then written", fA + "w f 0 BB; drop f; w f 2 C; s f", []string{"f=AAC"}},
	{"dropped growth", fA + "w f 3 B; drop f; w f 3 C; s f", []string{"f=AAAC"}},
	{"dropped growth, then grown", fA + "w f 3 B; drop f; w f 4 C", []string{"f=AAA", "f=AAA.{C|.}"}},
	{"reverted", fA + "w f 0 BBBB; revert f; w f 1 C; s f", []string{"f=ACA"}},
}

func TestCrash(t *testing.T) {
	for _, c := range crashCases {
		t.Run(c.name, func(t *testing.T) {
			fs := memfs.New(1)
			s := runScript(t, fs, c.script)
			before := view(t, fs)
			allowed := expand(c.allowed...)
			check := func(what string, o memfs.CrashOptions) string {
				image := fs.Crash(o)
				got := view(t, image)
				if !allowed[got] {
					t.Fatalf("%s: %q is not allowed", what, got)
				}
				if again := view(t, image.Crash(memfs.CrashOptions{})); again != got {
					t.Fatalf("%s: image %q became %q in a second power cut", what, got, again)
				}
				return got
			}
			check("lost", memfs.CrashOptions{})
			kept := check("kept", memfs.CrashOptions{Unsynced: memfs.Kept})
			if !strings.Contains(c.script, "drop") && kept != before {
				t.Errorf("all kept: %q, but programs saw %q", kept, before)
			}
			seen := map[string]bool{}
			for seed := uint64(0); seed < 3000 && len(seen) < len(allowed) || seed < 200; seed++ {
				o := memfs.CrashOptions{Unsynced: memfs.Random, Seed: seed}
				got := check(fmt.Sprintf("seed %d", seed), o)
				seen[got] = true
				if seed < 10 && check("again", o) != got {
					t.Fatalf("seed %d gave two images", seed)
				}
			}
			for want := range allowed {
				if !seen[want] {
					t.Errorf("no seed gave %q, only %q", want, slices.Sorted(maps.Keys(seen)))
				}
			}
			if after := view(t, fs); after != before {
				t.Errorf("the cuts changed what programs see from %q to %q", before, after)
			}
			for _, f := range s.files {
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestSyncAfterEveryCase checks that a sync of everything makes everything durable,
// whatever came before.
func TestSyncAfterEveryCase(t *testing.T) {
	for _, c := range crashCases {
		if strings.Contains(c.script, "drop") {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			fs := memfs.New(1)
			s := runScript(t, fs, c.script)
			for _, f := range s.files {
				if err := f.Datasync(); err != nil {
					t.Fatal(err)
				}
			}
			s.run("sd /")
			for _, d := range []string{"/d", "/e", "/d/e"} {
				if info, err := fs.Stat(d); err == nil && info.Dir {
					s.run("sd " + d)
				}
			}
			want := view(t, fs)
			for _, u := range []memfs.Unsynced{memfs.Lost, memfs.Kept, memfs.Random} {
				if got := view(t, fs.Crash(memfs.CrashOptions{Unsynced: u})); got != want {
					t.Errorf("mode %d: %q, want %q", u, got, want)
				}
			}
		})
	}
}
