package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/machinetest"
)

var writeGolden = flag.Bool("write-golden", false, "write the golden files of a new version")

// drawCommand draws a command, and now and then bytes that are none.
func drawCommand(r *rand.Rand) []byte {
	key := fmt.Sprintf("k%d", r.IntN(30))
	value := fmt.Appendf(nil, "v%d", r.IntN(3))
	c := command{Op: opPut, Key: key, Value: value}
	switch r.IntN(12) {
	case 0, 1:
		c = command{Op: opDelete, Key: key}
	case 2, 3:
		c.If, c.Version = ifVersion, raft.Index(r.IntN(400))
	case 4:
		c.If, c.Version = ifVersion, 0
	case 5, 6:
		c.If, c.Old = ifValue, fmt.Appendf(nil, "v%d", r.IntN(3))
	case 7:
		c = command{Op: opSnapshot}
	case 8:
		c = command{Op: opAnnounce, Node: nodeAddress{fmt.Sprintf("n%d", r.IntN(4)), "h:1", fmt.Sprintf("http://h:%d", r.IntN(9))}}
	case 9:
		c = command{Op: opForget, Node: nodeAddress{Node: fmt.Sprintf("n%d", r.IntN(4))}}
	case 10:
		if r.IntN(4) == 0 {
			return fmt.Appendf(nil, "junk %d", r.IntN(100))
		}
	}
	return c.append(nil)
}

// The machine keeps the contract of raft.Machine.
func TestContract(t *testing.T) {
	c := machinetest.Config{New: newStore, Command: drawCommand}
	if testing.Short() {
		c.Seeds = 4
	}
	machinetest.Run(t, c)
}

// apply applies a command by hand and returns what it led to.
func apply(t testing.TB, s *store, i raft.Index, c command) (result, []raft.Effect) {
	t.Helper()
	ctx := raft.NewApplyContext(raft.Meta{Index: i, Term: 1}, raft.RoleFollower)
	r, err := decodeResult(s.Apply(ctx, c.append(nil)))
	effects, bad := ctx.Asked()
	if err := errors.Join(err, bad); err != nil {
		t.Fatal(err)
	}
	return r, effects
}

// What each condition does to a key that is there, and to one that is not.
func TestConditions(t *testing.T) {
	const was = "old"
	for _, c := range []struct {
		name    string
		command command
		there   outcome // when the key has version 1 and value "old"
		absent  outcome
	}{
		{"put", command{Op: opPut}, outcomeDone, outcomeDone},
		{"delete", command{Op: opDelete}, outcomeDone, outcomeDone},
		{"version", command{Op: opPut, If: ifVersion, Version: 1}, outcomeDone, outcomeMismatch},
		{"other version", command{Op: opPut, If: ifVersion, Version: 2}, outcomeMismatch, outcomeMismatch},
		{"new", command{Op: opPut, If: ifVersion}, outcomeMismatch, outcomeDone},
		{"value", command{Op: opPut, If: ifValue, Old: []byte(was)}, outcomeDone, outcomeMismatch},
		{"other value", command{Op: opPut, If: ifValue, Old: []byte("x")}, outcomeMismatch, outcomeMismatch},
		{"empty value", command{Op: opPut, If: ifValue}, outcomeMismatch, outcomeMismatch},
		{"delete version", command{Op: opDelete, If: ifVersion, Version: 1}, outcomeDone, outcomeMismatch},
		{"delete value", command{Op: opDelete, If: ifValue, Old: []byte("x")}, outcomeMismatch, outcomeMismatch},
	} {
		for _, exists := range []bool{true, false} {
			s, want := &store{}, c.absent
			if exists {
				apply(t, s, 1, command{Op: opPut, Key: "k", Value: []byte(was)})
				want = c.there
			}
			c.command.Key, c.command.Value = "k", nil
			if c.command.Op == opPut {
				c.command.Value = []byte("new")
			}
			r, _ := apply(t, s, 9, c.command)
			if r.Outcome != want || r.Existed != exists {
				t.Errorf("%s, key there %v: %+v", c.name, exists, r)
			}
			now := s.keys.get("k")
			changed := want == outcomeDone && (exists || c.command.Op == opPut)
			switch {
			case changed && c.command.Op == opPut && (now == nil || string(now.Value) != "new" || now.Version != 9 || r.Version != 9),
				changed && c.command.Op == opDelete && (now != nil || r.Version != 0),
				!changed && exists && (now == nil || string(now.Value) != was || now.Version != 1 || r.Version != 1),
				!changed && !exists && (now != nil || r.Version != 0):
				t.Errorf("%s, key there %v: %+v, answer %+v", c.name, exists, now, r)
			}
			if list, _ := s.history.between(1, 9); slices.Contains(list, 9) != changed {
				t.Errorf("%s, key there %v: changes %v", c.name, exists, list)
			}
		}
	}
}

// A tree is a map in order, whatever was put and removed, and keeps what it was.
func TestTreeIsAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var now *tree
	model := map[string]string{}
	type kept struct {
		t    *tree
		want string
	}
	var before []kept
	for k := range 4000 {
		key, value := fmt.Sprint(r.IntN(200)), fmt.Sprint(k)
		if _, ok := model[key]; ok && r.IntN(2) == 0 {
			delete(model, key)
			now = now.remove(key)
		} else {
			model[key] = value
			now = now.put(item{Key: key, Value: []byte(value)})
		}
		if k%50 != 0 {
			continue
		}
		before = append(before, kept{now, list(model)})
		for _, old := range before {
			if got := old.t.text(); got != old.want {
				t.Fatalf("after %d changes a tree is\n%s\nnot\n%s", k, got, old.want)
			}
		}
	}
	sorted := make([]string, 0, len(model))
	for key := range model {
		sorted = append(sorted, key)
	}
	slices.Sort(sorted)
	for _, prefix := range []string{"", "1", "15", "x"} {
		for _, after := range []string{"", "1", "150", "2"} {
			var got, want []string
			now.ascendPrefix(prefix, after, func(i *item) bool { got = append(got, i.Key); return true })
			for _, key := range sorted {
				if strings.HasPrefix(key, prefix) && key > after {
					want = append(want, key)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("prefix %q behind %q: %q, want %q", prefix, after, got, want)
			}
		}
	}
}

func list(model map[string]string) string {
	var out []string
	for key, value := range model {
		out = append(out, key+"="+value)
	}
	slices.Sort(out)
	size := 0
	for _, s := range out {
		size += len(s) - 1
	}
	return fmt.Sprint(len(out), size, out)
}

func (t *tree) text() string {
	var out []string
	t.ascend("", func(i *item) bool { out = append(out, i.Key+"="+string(i.Value)); return true })
	if !slices.IsSortedFunc(out, func(a, b string) int { // by the key alone, which is what ascends
		a, _, _ = strings.Cut(a, "=")
		b, _, _ = strings.Cut(b, "=")
		return strings.Compare(a, b)
	}) {
		return "not in order"
	}
	slices.Sort(out)
	count, size := t.size()
	return fmt.Sprint(count, size, out)
}

// A history knows the newest changes, and says when it does not.
func TestHistory(t *testing.T) {
	var h history
	for i := raft.Index(1); i <= 5*maxHistory; i += 2 {
		h.add(i)
	}
	last := h.list[len(h.list)-1]
	if got, ok := h.between(last-4, last-1); !ok || !slices.Equal(got, []raft.Index{last - 2}) {
		t.Error(got, ok)
	}
	floor, list := h.known()
	if len(list) != maxHistory || list[0] != floor+2 {
		t.Error(floor, len(list), list[0])
	}
	if got, ok := h.between(floor, last); !ok || len(got) != maxHistory {
		t.Error(len(got), ok)
	}
	if _, ok := h.between(floor-1, last); ok {
		t.Error("it claims to know what it forgot")
	}
}

// The state is written now and then, and the log is let go of up to the time before.
func TestCheckpoints(t *testing.T) {
	s := &store{}
	var got []string
	for i := raft.Index(1); i <= 3*checkpointCommands; i++ {
		if i%1000 == 0 { // a member that begins with a snapshot asks for the same
			var state bytes.Buffer
			_, err := s.Snapshot().WriteTo(&state)
			if s = new(store); err == nil {
				err = s.Restore(&state)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		_, effects := apply(t, s, i, command{Op: opPut, Key: "k"})
		for _, e := range effects {
			got = append(got, fmt.Sprint(e.Kind, " ", e.Target, " at ", i))
		}
	}
	want := []string{"checkpoint 0 at 4096", "promote-checkpoint 4096 at 6144", "checkpoint 0 at 8192",
		"promote-checkpoint 8192 at 10240", "checkpoint 0 at 12288"}
	for i := range want {
		want[i] = strings.Replace(want[i], "promote-checkpoint", raft.EffectPromoteCheckpoint.String(), 1)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// sample is a store with something of everything.
func sample(t testing.TB) *store {
	s := &store{}
	for i, c := range sampleCommands() {
		apply(t, s, raft.Index(10*(i+1)), c)
	}
	return s
}

func sampleCommands() []command {
	return []command{
		{Op: opPut, Key: "a", Value: []byte("1")},
		{Op: opPut, Key: "ä", Value: bytes.Repeat([]byte{0, 255}, 100)},
		{Op: opPut, Key: "a", If: ifVersion, Version: 10, Value: []byte("2")},
		{Op: opPut, Key: "b", If: ifVersion, Value: nil},
		{Op: opDelete, Key: "b", If: ifValue},
		{Op: opPut, Key: "a", If: ifValue, Old: []byte("3"), Value: []byte("4")},
		{Op: opAnnounce, Node: nodeAddress{"n", "127.0.0.1:1", "http://127.0.0.1:2"}},
		{Op: opAnnounce, Node: nodeAddress{"m", "", ""}},
		{Op: opForget, Node: nodeAddress{Node: "m"}},
		{Op: opDelete, Key: "nothing"},
		{Op: opDelete, Key: "ä", If: ifVersion, Version: 300},
	}
}

// golden compares bytes with those of a file, which is written once for each version of a format.
func golden(t testing.TB, name string, got []byte) []byte {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *writeGolden && got != nil {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != nil && !bytes.Equal(got, want) {
		t.Errorf("%s: the bytes have changed; is it a new version?\n%x\nwant\n%x", name, got, want)
	}
	return want
}

// A snapshot has the bytes that it always had, and can be read.
func TestSnapshotGolden(t *testing.T) {
	var out bytes.Buffer
	n, err := sample(t).Snapshot().WriteTo(&out)
	if err != nil || n != int64(out.Len()) {
		t.Fatal(n, err)
	}
	want := golden(t, "snapshot-v1.bin", out.Bytes())
	for cut := range want {
		if err := new(store).Restore(bytes.NewReader(want[:cut])); err == nil {
			t.Errorf("cut at %d it is read", cut)
		}
	}
	if err := new(store).Restore(bytes.NewReader(append(want, 0))); !errors.Is(err, errSnapshot) {
		t.Error("with a byte more:", err)
	}
	newer := slices.Clone(want)
	newer[4]++
	if err := new(store).Restore(bytes.NewReader(newer)); !errors.Is(err, errSnapshotVersion) {
		t.Error("of a newer version:", err)
	}
}

// What is read is what is written again.
func FuzzRestore(f *testing.F) {
	f.Add(golden(f, "snapshot-v1.bin", nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &store{}
		if s.Restore(bytes.NewReader(b)) != nil {
			return
		}
		var out bytes.Buffer
		if _, err := s.Snapshot().WriteTo(&out); err != nil {
			t.Fatal(err)
		}
		again := &store{}
		if err := again.Restore(bytes.NewReader(out.Bytes())); err != nil {
			t.Fatal("what was written cannot be read:", err)
		}
		var twice bytes.Buffer
		if _, err := again.Snapshot().WriteTo(&twice); err != nil || !bytes.Equal(out.Bytes(), twice.Bytes()) {
			t.Fatal("equal states have other bytes", err)
		}
	})
}
