package raft

import (
	"bytes"
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

// fuzzPackets decodes packets of some kinds: what is one has these bytes and no others.
func fuzzPackets(f *testing.F, kinds ...byte) {
	for _, b := range goldenPackets(f) {
		if bytes.IndexByte(kinds, b[0]) >= 0 {
			f.Add(b)
		}
	}
	for _, b := range hostilePackets() {
		if bytes.IndexByte(kinds, b[0]) >= 0 && len(b) < 1<<16 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 0 && bytes.IndexByte(kinds, b[0]) < 0 {
			b[0] = kinds[int(b[0])%len(kinds)]
		}
		p, err := packetCodec{}.Decode(bytes.Clone(b), alpha, beta)
		if err != nil {
			return
		}
		if again, err := (packetCodec{}).Append(nil, p); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x became %x: %v", b, again, err)
		}
	})
}

func FuzzDecodeRequest(f *testing.F) { fuzzPackets(f, wireRequest, wireWithdrawal) }

func FuzzDecodeResponse(f *testing.F) { fuzzPackets(f, wireResponse) }

func FuzzDecodeSnapshotPart(f *testing.F) {
	fuzzPackets(f, wireSnapshotPart, wireSnapshotReply, wireSnapshotHold)
}

func FuzzDecodeContact(f *testing.F) { fuzzPackets(f, wireHeartbeat, wireBeliefs, wireMachineMessage) }

// FuzzDecodeNotice: what heartbeats carry beside themselves.
func FuzzDecodeNotice(f *testing.F) {
	f.Add(appendNotice(nil, 9, "kv"))
	f.Add(append(appendNotice(nil, 1<<40, "a server"), "of later code"...))
	f.Add(uvarints(nil, 9, 1<<62))
	f.Fuzz(func(t *testing.T, b []byte) {
		if term, name, ok := decodeNotice(b); ok && !bytes.HasPrefix(b, appendNotice(nil, term, name)) {
			t.Fatalf("%x is taken for term %d of %q", b, term, name)
		}
	})
}

// FuzzOpenContext: what comes beside the state with the header of a snapshot.
func FuzzOpenContext(f *testing.F) {
	c := core.Configuration{Cluster: core.ClusterID{1, 2}, Epoch: 1, Members: []core.Member{
		{Identity: core.Identity{ID: ServerID{Name: "kv", Node: alpha}, UID: "uid-1", Incarnation: 7}, Membership: core.Voter}}}
	for _, name := range []string{"context-v1.bin", "context-v2.bin"} {
		f.Add(sealContext(c, 300, golden(f, name, nil)))
	}
	f.Add(uvarints(nil, 300, 1<<62))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, applier, err := openContext(b)
		if err == nil && !bytes.Equal(sealContext(m.Configuration, m.ConfigurationIndex, applier), b) {
			t.Fatalf("%x is taken for %+v", b, m)
		}
	})
}
