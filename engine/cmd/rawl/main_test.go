package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

var testOptions = engine.Options{WALFileBytes: 64 << 10, MaxBatchBytes: 8 << 10, SegmentEntries: 16, Backend: engine.BackendFallback}

const secret = "canary-payload"

// makeEngine makes a directory in which log "a" has 40 entries in segments and 5 in the WAL, and
// log "b" 5 in the WAL.
func makeEngine(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "db")
	e, err := engine.Open(dir, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	add := func(uid engine.UID, n int) {
		l, err := e.Log(uid)
		if err != nil {
			l, err = e.CreateSync(ctx, uid)
		}
		for range n {
			at := l.Last()
			if err == nil {
				err = l.AppendSync(ctx, at, []engine.Entry{{Index: at.Index + 1, Term: 1, Data: []byte(secret)}})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("a", 40)
	if err := e.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	add("a", 5)
	add("b", 5)
	if err := e.Close(ctx); err != nil {
		t.Fatal(err)
	}
	return dir
}

func rawl(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(args, &o, &e)
	if shown := strings.Contains(o.String()+e.String(), secret); shown {
		t.Errorf("rawl %v shows a payload", args)
	}
	return code, o.String(), e.String()
}

func want(t *testing.T, wantCode int, part string, args ...string) (out string) {
	t.Helper()
	code, out, errOut := rawl(t, args...)
	if code != wantCode || !strings.Contains(out+errOut, part) {
		t.Errorf("rawl %v: exit %d, want %d and %q:\n%s%s", args, code, wantCode, part, out, errOut)
	}
	return out
}

func TestUsage(t *testing.T) {
	want(t, 1, "usage", []string{}...)
	want(t, 1, "no command", "fly")
	want(t, 1, "0 arguments", "ls")
	want(t, 1, "2 arguments", "verify", "a", "b")
	want(t, 1, "flag provided", "ls", "-yes", "d")
	want(t, 0, "usage", "help")
	want(t, 0, "usage", "ls", "-h")
	none := filepath.Join(t.TempDir(), "none")
	for _, cmd := range []string{"ls", "stat", "verify", "recover", "repair"} {
		want(t, 1, "none", cmd, none)
	}
	want(t, 1, "none", "dump", none, "a")
	if _, err := os.Stat(none); err == nil {
		t.Error("a directory was made")
	}
	golden(t, "help.txt", want(t, 0, "", "help"))
}

func TestSound(t *testing.T) {
	dir := makeEngine(t)
	want(t, 0, "1/45", "ls", dir)
	want(t, 0, "2, 0 quarantined", "stat", dir)
	want(t, 0, "sound: 2 logs, 50 entries", "verify", dir)
	if out := want(t, 0, "1/45", "dump", dir, "a"); strings.Count(out, "\n") != 45 {
		t.Errorf("dump:\n%s", out)
	}
	if out := want(t, 0, `"index":12`, "dump", dir, "-json", "a", "10", "12"); strings.Count(out, "\n") != 3 || !strings.Contains(out, `"index":10`) {
		t.Errorf("dump:\n%s", out)
	}
	var buf bytes.Buffer
	if code := run([]string{"dump", "-payload", dir, "b", "2", "2"}, &buf, &buf); code != 0 || !strings.Contains(buf.String(), fmt.Sprintf("%x", secret)) {
		t.Errorf("exit %d: %s", code, buf.String())
	}
	want(t, 1, "no such log", "dump", dir, "nobody")
	want(t, 0, "nothing to repair", "repair", "-yes", dir)
	for _, args := range [][]string{{"ls"}, {"stat"}, {"verify"}, {"repair"}, {"recover"}} {
		code, out, errOut := rawl(t, args[0], "-json", dir)
		if !json.Valid([]byte(out)) || code != 0 {
			t.Errorf("%v: exit %d: %s%s", args, code, out, errOut)
		}
	}
	want(t, 0, "recovered 0 records", "recover", dir)
	want(t, 0, "sound: 2 logs, 50 entries", "verify", dir)
}

func TestDumpFile(t *testing.T) {
	dir := makeEngine(t)
	files, err := filepath.Glob(filepath.Join(dir, "wal", "*.wal"))
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, name := range files {
		number := strings.TrimSuffix(filepath.Base(name), ".wal")
		all += want(t, 0, "", "dump", "-file", number, dir)
		if out := want(t, 0, "", "dump", "-json", "-file", number, dir); out != "" {
			for line := range strings.Lines(out) {
				if !json.Valid([]byte(line)) {
					t.Error(line)
				}
			}
		}
	}
	for _, part := range []string{"frame batch=", "  entry uid=b", "  declare uid=a"} {
		if !strings.Contains(all, part) {
			t.Errorf("no %q in\n%s", part, all)
		}
	}
}

// flipEntry damages the payload of an entry and returns its file.
func flipEntry(t *testing.T, dir string, uid engine.UID, i engine.Index) string {
	t.Helper()
	for r, err := range engine.Dump(dir, uid, engine.Range{First: i, Last: i}, engine.DumpOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, r.File)
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[r.Offset] ^= 1
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return r.File
	}
	t.Fatal("no such entry")
	return ""
}

func TestDamagedSegment(t *testing.T) {
	dir := makeEngine(t)
	file := flipEntry(t, dir, "a", 20)
	out := want(t, 10, "log a (1) indexes [20,20]", "verify", dir)
	if !strings.Contains(out, file) {
		t.Errorf("%s does not name %s", out, file)
	}
	want(t, 10, `"uid": "a"`, "verify", "-json", dir)
	want(t, 10, "damaged up to 20", "dump", dir, "a")
	want(t, 0, "give up the damaged end of log a (1), keeps [1,19], loses [20,45]", "repair", "-yes", "-accept-loss", "a", dir)
	want(t, 0, "sound: 2 logs, 24 entries", "verify", dir)
}

func TestQuarantined(t *testing.T) {
	dir := makeEngine(t)
	flipEntry(t, dir, "b", 4)
	want(t, 10, "log b (2) indexes [4,4]", "verify", dir)
	want(t, 10, "quarantined", "ls", dir)
	want(t, 10, "damaged: wal/", "stat", dir)
	want(t, 10, "quarantined: b lost [4,4]", "recover", dir)
	want(t, 10, "quarantined: b", "repair", "-yes", dir)
	want(t, 10, "nothing was written", "repair", "-all", dir)
	want(t, 0, "log b (2), keeps [1,3], loses [4,4]", "repair", "-all", "-yes", dir)
	want(t, 0, "sound: 2 logs, 48 entries", "verify", dir)
}

func TestLostManifest(t *testing.T) {
	dir := makeEngine(t)
	names, err := filepath.Glob(filepath.Join(dir, "manifest-*"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range append(names, filepath.Join(dir, "FORMAT")) {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	want(t, 10, "damaged: manifest", "verify", dir)
	want(t, 10, "no manifest", "ls", dir)
	want(t, 10, "rebuild the manifest", "repair", dir)
	want(t, 10, "damaged: manifest", "verify", dir)
	want(t, 0, "find again log b (2)", "repair", "-yes", dir)
	want(t, 0, "sound: 2 logs, 50 entries", "verify", dir)
}

func TestInUse(t *testing.T) {
	dir := makeEngine(t)
	e, err := engine.Open(dir, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	want(t, 11, "in use", "recover", dir)
	want(t, 11, "in use", "repair", "-yes", dir)
	want(t, 11, "in use", "repair", dir)
	want(t, 0, "sound", "verify", dir)
	if out := want(t, 0, "owner", "stat", dir); runtime.GOOS == "linux" && !strings.Contains(out, "in use") {
		t.Logf("the file system does not say whose lock it is:\n%s", out)
	}
	if err := e.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}
