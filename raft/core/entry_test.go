package core_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

// golden reads a payload that was written once and is never written again.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// goldenConfiguration is what configuration-v1.bin holds.
func goldenConfiguration() core.Configuration {
	c := core.Configuration{Epoch: 1 << 40, Members: []core.Member{
		{Identity: core.Identity{ID: core.ServerID{Name: "kv", Node: "alpha"}, UID: "uid-1", Incarnation: 7}, Membership: core.Voter},
		{Identity: core.Identity{ID: core.ServerID{Name: "kv", Node: "beta"}, UID: "uid-2", Incarnation: 1 << 63}, Membership: core.Promotable, Target: 300},
		{Identity: core.Identity{ID: core.ServerID{Name: "kv", Node: "gamma"}, UID: "uid-3", Incarnation: 9}, Membership: core.NonVoter},
	}}
	for k := range c.Cluster {
		c.Cluster[k] = byte(k)
	}
	return c
}

func TestGoldenEntries(t *testing.T) {
	machine, err := core.UnmarshalNoop(golden(t, "noop-v1.bin"))
	if err != nil || machine != 300 || !bytes.Equal(core.MarshalNoop(300), golden(t, "noop-v1.bin")) {
		t.Errorf("noop: version %d, %v", machine, err)
	}
	want := goldenConfiguration()
	c, err := core.UnmarshalConfiguration(golden(t, "configuration-v1.bin"))
	if err != nil || !reflect.DeepEqual(c, want) || !bytes.Equal(want.Marshal(), golden(t, "configuration-v1.bin")) {
		t.Errorf("configuration: %+v, %v", c, err)
	}
	if b := golden(t, "delete-v1.bin"); !bytes.Equal(core.MarshalDelete(), b) {
		t.Errorf("deletion: % x", core.MarshalDelete())
	}
	if err := core.UnmarshalDelete(golden(t, "delete-v1.bin")); err != nil {
		t.Errorf("deletion: %v", err)
	}
}

// TestNewerEntries: a payload of a newer format is told apart from a damaged one.
func TestNewerEntries(t *testing.T) {
	_, err := core.UnmarshalNoop(golden(t, "noop-v2.bin"))
	if !errors.Is(err, core.ErrVersion) || errors.Is(err, core.ErrBadEntry) {
		t.Errorf("noop: %v", err)
	}
	_, err = core.UnmarshalConfiguration(golden(t, "configuration-v2.bin"))
	if !errors.Is(err, core.ErrVersion) || errors.Is(err, core.ErrBadEntry) {
		t.Errorf("configuration: %v", err)
	}
	if err := core.UnmarshalDelete(golden(t, "delete-v2.bin")); !errors.Is(err, core.ErrVersion) {
		t.Errorf("deletion: %v", err)
	}
}

// TestDamagedEntries: every prefix and every payload with a byte behind it is refused.
func TestDamagedEntries(t *testing.T) {
	for name, decode := range map[string]func([]byte) error{
		"noop-v1.bin":          func(b []byte) error { _, err := core.UnmarshalNoop(b); return err },
		"configuration-v1.bin": func(b []byte) error { _, err := core.UnmarshalConfiguration(b); return err },
		"delete-v1.bin":        core.UnmarshalDelete,
	} {
		b := golden(t, name)
		for n := range b {
			if err := decode(b[:n]); !errors.Is(err, core.ErrBadEntry) {
				t.Errorf("%s cut to %d bytes: %v", name, n, err)
			}
		}
		if err := decode(append(bytes.Clone(b), 0)); !errors.Is(err, core.ErrBadEntry) {
			t.Errorf("%s with a byte more: %v", name, err)
		}
	}
}

func FuzzUnmarshalNoop(f *testing.F) {
	f.Add(golden(f, "noop-v1.bin"))
	f.Add(golden(f, "noop-v2.bin"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := core.UnmarshalNoop(b); err == nil && !bytes.Equal(core.MarshalNoop(v), b) {
			t.Fatal("decoding then encoding changed the bytes")
		}
	})
}

func FuzzUnmarshalConfiguration(f *testing.F) {
	f.Add(golden(f, "configuration-v1.bin"))
	f.Add(golden(f, "configuration-v2.bin"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := core.UnmarshalConfiguration(b); err == nil && !bytes.Equal(c.Marshal(), b) {
			t.Fatal("decoding then encoding changed the bytes")
		}
	})
}

func FuzzUnmarshalDelete(f *testing.F) {
	f.Add(golden(f, "delete-v1.bin"))
	f.Add(golden(f, "delete-v2.bin"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := core.UnmarshalDelete(b); err == nil && !bytes.Equal(core.MarshalDelete(), b) {
			t.Fatal("other bytes are taken for a deletion")
		}
	})
}
