package engine_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// filesOf returns the files whose name has the part, "/db" cut off.
func filesOf(mem *memfs.FS, part string) []string {
	var names []string
	for _, name := range mem.Files() {
		if strings.Contains(name, part) {
			names = append(names, strings.TrimPrefix(name, "/db/"))
		}
	}
	return names
}

func flipAt(t testing.TB, mem *memfs.FS, name string, at int64) (restore func()) {
	t.Helper()
	name = filepath.Join("/db", name)
	old, err := mem.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Clone(old)
	b[at] ^= 0x40
	if err := mem.WriteFile(name, b); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := mem.WriteFile(name, old); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVerifyFlip flips one byte of each entry's payload: the report names the log, the file,
// the index and no other log.
func TestVerifyFlip(t *testing.T) {
	mem := soundFS(t)
	for _, uid := range []engine.UID{"a", "b", "c"} {
		for n, r := range dump(t, mem, uid, engine.DumpOptions{}) {
			if n%slowness != 0 {
				continue
			}
			restore := flipAt(t, mem, r.File, r.Offset)
			rep := verify(t, mem)
			hit := slices.ContainsFunc(rep.Damage, func(d engine.Damage) bool {
				return d.UID == uid && d.File == r.File && d.Lost.First <= r.Index && (d.Lost.Last == 0 || d.Lost.Last >= r.Index) && d.Offset >= 0
			})
			if !hit || !slices.Equal(damaged(rep.Damage), []engine.UID{uid}) {
				t.Errorf("%s %d in %s at %d: %v", uid, r.Index, r.File, r.Offset, rep.Damage)
			}
			n := 0
			for got, err := range engine.DumpOn(mem, "/db", uid, engine.Range{First: r.Index, Last: r.Index}, engine.DumpOptions{Payload: true}) {
				if err == nil {
					t.Errorf("dumped %+v although it is damaged", got)
				}
				n++
			}
			if inSegment := strings.HasSuffix(r.File, ".seg"); inSegment && n != 1 {
				t.Errorf("%s %d: dump says nothing", uid, r.Index)
			}
			restore()
		}
	}
	if rep := verify(t, mem); !rep.Sound() {
		t.Fatal(rep.Damage)
	}
}

// TestVerifyFiles damages whole files.
func TestVerifyFiles(t *testing.T) {
	logFile := func(mem *memfs.FS, uid engine.UID) string {
		return dump(t, mem, uid, engine.DumpOptions{})[0].File
	}
	for _, tc := range []struct {
		name string
		do   func(*memfs.FS) (file string)
		logs []engine.UID
	}{
		{"FORMAT gone", func(m *memfs.FS) string { m.RemoveFile("/db/FORMAT"); return "FORMAT" }, nil},
		{"FORMAT changed", func(m *memfs.FS) string { flipAt(t, m, "FORMAT", 1); return "FORMAT" }, nil},
		{"FORMAT empty", func(m *memfs.FS) string { m.WriteFile("/db/FORMAT", nil); return "FORMAT" }, nil},
		{"manifest gone", func(m *memfs.FS) string {
			for _, name := range filesOf(m, "manifest-") {
				m.RemoveFile("/db/" + name)
			}
			return "manifest"
		}, nil},
		{"manifest cut", func(m *memfs.FS) string {
			names := filesOf(m, "manifest-")
			m.WriteFile("/db/"+names[len(names)-1], make([]byte, 4096))
			return names[len(names)-1]
		}, nil},
		{"segment gone", func(m *memfs.FS) string {
			name := logFile(m, "a")
			m.RemoveFile("/db/" + name)
			return name
		}, []engine.UID{"a"}},
		{"segment cut", func(m *memfs.FS) string {
			name := logFile(m, "b")
			b, _ := m.ReadFile("/db/" + name)
			m.WriteFile("/db/"+name, b[:4096])
			return name
		}, []engine.UID{"b"}},
		{"segment zeroed", func(m *memfs.FS) string {
			name := logFile(m, "b")
			b, _ := m.ReadFile("/db/" + name)
			m.WriteFile("/db/"+name, make([]byte, len(b)))
			return name
		}, []engine.UID{"b"}},
		{"segment of another log", func(m *memfs.FS) string {
			name := logFile(m, "a")
			b, _ := m.ReadFile("/db/" + logFile(m, "b"))
			m.WriteFile("/db/"+name, b)
			return name
		}, []engine.UID{"a"}},
		{"WAL file gone", func(m *memfs.FS) string {
			name := logFile(m, "c")
			m.RemoveFile("/db/" + name)
			return name
		}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mem := soundFS(t)
			file := tc.do(mem)
			rep := verify(t, mem)
			if rep.Sound() || !slices.ContainsFunc(rep.Damage, func(d engine.Damage) bool { return d.File == file }) {
				t.Fatalf("%s: %v", file, rep.Damage)
			}
			if tc.logs != nil && !slices.Equal(damaged(rep.Damage), tc.logs) {
				t.Fatal(rep.Damage)
			}
		})
	}
}

// TestVerifyEveryByte flips bytes of every file, spread so that a run stays short: nothing panics or
// hangs, entries that are dumped are the right ones, and a log that no damage names is whole.
func TestVerifyEveryByte(t *testing.T) {
	t.Run("entries", func(t *testing.T) {
		mem := soundFS(t)
		verifyEveryByte(t, mem, dumpAll(t, mem), 1)
	})
	t.Run("captured states", func(t *testing.T) {
		mem := capturedFS(t)
		verifyEveryByte(t, mem, dumpCaptured(t, mem), 3)
	})
}

// verifyEveryByte flips bytes, one in rare of what it could.
func verifyEveryByte(t *testing.T, mem *memfs.FS, want map[engine.UID][]engine.DumpRecord, rare int) {
	rare *= slowness
	rng := rand.New(rand.NewPCG(1, 2))
	for _, name := range mem.Files() {
		content, err := mem.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for at := int64(0); at < int64(len(content)); at++ {
			// All of the first bytes of a block, where headers are, and a few of the others.
			odds := 30 * rare
			if at%4096 >= 200 {
				odds = 300 * rare
			}
			if at >= 16 && content[at] == 0 {
				odds = 20000 * rare
			}
			if rng.IntN(odds) > 0 {
				continue
			}
			restore := flipAt(t, mem, strings.TrimPrefix(name, "/db/"), at)
			rep, err := engine.VerifyOn(mem, "/db", engine.VerifyOptions{})
			if err != nil && !errors.Is(err, engine.ErrVersion) {
				t.Fatalf("%s at %d: %v", name, at, err)
			}
			if err == nil && rep.Logs > 0 {
				checkUnnamed(t, mem, rep, want)
			}
			if t.Failed() {
				t.Fatalf("%s at %d: %v", name, at, rep.Damage)
			}
			restore()
		}
	}
}

// checkUnnamed dumps the logs that no damage names.
func checkUnnamed(t *testing.T, mem *memfs.FS, rep engine.VerifyReport, want map[engine.UID][]engine.DumpRecord) {
	t.Helper()
	named := damaged(rep.Damage)
	nameless := slices.ContainsFunc(rep.Damage, func(d engine.Damage) bool { return d.UID == "" && d.ID != 0 })
	if nameless || rep.Torn > 0 || rep.ManifestTorn {
		return // the creation of a log was hit, or the last batch
	}
	for uid, all := range want {
		if slices.Contains(named, uid) {
			continue
		}
		i := 0
		for r, err := range engine.DumpOn(mem, "/db", uid, engine.Range{}, engine.DumpOptions{Payload: true}) {
			if err != nil {
				if !strings.Contains(err.Error(), "hides the payload") {
					t.Errorf("%s: %v", uid, err)
				}
			} else if i >= len(all) || !bytes.Equal(r.Data, all[i].Data) || r.Index != all[i].Index || r.Term != all[i].Term {
				t.Errorf("%s: %+v", uid, r)
			}
			i++
		}
		if i != len(all) {
			t.Errorf("%s: %d of %d entries", uid, i, len(all))
		}
	}
}

func FuzzVerify(f *testing.F) {
	images := [...]*memfs.FS{soundFS(f), capturedFS(f)}
	for n, image := range images {
		for i := 0; i < len(image.Files()); i += slowness {
			f.Add(n == 1, uint8(i), uint32(100), []byte{1, 2, 3}, uint32(0))
			f.Add(n == 1, uint8(i), uint32(4100), []byte{255, 255, 255, 255, 255, 255, 255, 255}, uint32(9000))
		}
	}
	f.Fuzz(func(t *testing.T, captured bool, file uint8, at uint32, data []byte, cut uint32) {
		sound := images[0]
		if captured {
			sound = images[1]
		}
		mem := sound.Crash(memfs.CrashOptions{Unsynced: memfs.Kept})
		names := mem.Files() // differ from process to process
		name := names[int(file)%len(names)]
		b, err := mem.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if cut > 0 {
			b = b[:min(int(cut), len(b))]
		}
		if int(at) < len(b) {
			copy(b[at:], data)
		}
		if err := mem.WriteFile(name, b); err != nil {
			t.Fatal(err)
		}
		rep, err := engine.VerifyOn(mem, "/db", engine.VerifyOptions{})
		_, _ = rep, err
		for _, uid := range []engine.UID{"a", "b", "c"} {
			for r, err := range engine.DumpOn(mem, "/db", uid, engine.Range{}, engine.DumpOptions{Payload: true}) {
				_, _ = r, err
			}
		}
		_, _ = engine.RepairOn(mem, "/db", engine.RepairOptions{DryRun: true, AcceptAllLoss: true})
		rebuilds["all gone"](mem)
		_, _ = engine.RepairOn(mem, "/db", engine.RepairOptions{DryRun: true})
	})
}

// TestVerifyLinks puts links in the place of files and directories: they are not followed.
func TestVerifyLinks(t *testing.T) {
	for _, part := range []string{".seg", "wal/", "logs/"} {
		mem := soundFS(t)
		dir := t.TempDir()
		for _, name := range mem.Files() {
			b, err := mem.ReadFile(name)
			if err == nil {
				err = os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700)
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		db := filepath.Join(dir, "db")
		if rep, err := engine.Verify(db, engine.VerifyOptions{}); err != nil || !rep.Sound() {
			t.Fatal(rep, err)
		}
		victim := filepath.Join(db, dump(t, mem, "a", engine.DumpOptions{})[0].File)
		switch part {
		case "wal/":
			victim = filepath.Join(db, dump(t, mem, "c", engine.DumpOptions{})[0].File)
		case "logs/":
			victim = filepath.Dir(victim)
		}
		if err := os.Rename(victim, filepath.Join(dir, "elsewhere")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(dir, "elsewhere"), victim); err != nil {
			t.Fatal(err)
		}
		if rep, err := engine.Verify(db, engine.VerifyOptions{}); err != nil || rep.Sound() {
			t.Errorf("%s: %+v %v", part, rep, err)
		}
	}
}
