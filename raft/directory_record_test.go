package raft

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft/core"
)

// records are one of each kind that the directory holds, by the names of their golden files.
func records() map[string]*serverRecord {
	plain := serverRecord{Name: "s", UID: "s-1", Cluster: "c", Machine: "m", Incarnation: 7, Version: 3}
	member := plain
	member.Initial = core.Configuration{Cluster: core.ClusterID{1, 2}, Epoch: 1, Members: []core.Member{
		{Identity: core.Identity{ID: ServerID{Name: "s", Node: "a"}, UID: "s-1", Incarnation: 7}, Membership: core.Voter},
		{Identity: core.Identity{ID: ServerID{Name: "s", Node: "b"}, UID: "s-2", Incarnation: 9}, Membership: core.Voter},
	}}
	own := member
	own.Options = &ServerOptions{TickInterval: time.Second, SnapshotTimeout: time.Minute, WindowEntries: 100, WindowBytes: 1 << 20,
		RecoveryInterval: -1, AwaitTimeout: 5 * time.Second}
	own.Stopped = true
	deleted := plain
	deleted.Deleted = true
	damaged := member
	damaged.NextUID, damaged.NextIncarnation = "s-9", 1<<60
	both := own
	both.NextUID, both.NextIncarnation = "s-9", 1<<60
	return map[string]*serverRecord{"record-v3.bin": &damaged, "record-v3-options.bin": &both, "record-v1.bin": &plain, "record-v1-member.bin": &member, "record-v1-deleted.bin": &deleted,
		"record-v2.bin": &own}
}

func TestRecordGolden(t *testing.T) {
	for name, r := range records() {
		b := r.marshal()
		if want := golden(t, name, b); !bytes.Equal(b, want) {
			t.Errorf("%s\n%s, the golden file is\n%s", name, hex.Dump(b), hex.Dump(want))
		}
		got, err := unmarshalRecord(golden(t, name, nil))
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		for n := range b {
			if _, err := unmarshalRecord(b[:n]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s cut to %d bytes: %v", name, n, err)
			}
		}
	}
	if _, err := unmarshalRecord(golden(t, "record-v4.bin", []byte{4, 0, 0xff})); !errors.Is(err, ErrUnknownFormat) {
		t.Errorf("version 4: %v", err)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for name := range records() {
		f.Add(golden(f, name, nil))
	}
	f.Add(golden(f, "record-v3.bin", nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := unmarshalRecord(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnknownFormat) {
				t.Fatal(err)
			}
			return
		}
		if again := r.marshal(); !bytes.Equal(again, b) {
			t.Fatalf("encodes as %x, came of %x", again, b)
		}
	})
}
