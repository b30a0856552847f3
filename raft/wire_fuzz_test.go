package raft

import (
	"bytes"
	"testing"
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

func FuzzDecodeSnapshotPart(f *testing.F) { fuzzPackets(f, wireSnapshotPart, wireSnapshotReply) }

func FuzzDecodeContact(f *testing.F) { fuzzPackets(f, wireHeartbeat, wireBeliefs, wireMachineMessage) }
