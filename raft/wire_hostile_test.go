package raft

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/detector"
)

// bytesOf counts what a function allocates.
func bytesOf(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func uvarints(b []byte, list ...uint64) []byte {
	for _, v := range list {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

// hostilePackets claim what is not there, or too much, or what no node sends.
func hostilePackets() map[string][]byte {
	huge := uvarints(nil, 1<<62)
	heartbeat := uvarints([]byte{wireHeartbeat, 0}, 1, 1, 1, 1, 1, 1, 1, 1, 1)
	request := uvarints([]byte{wireRequest}, 7, 1)
	request = append(request, 'k')
	part := uvarints([]byte{wireSnapshotPart, 1, 'k'}, 1, 1)
	response := []byte{wireResponse, 7, answerValue, 0, 0, 0, 0, 0, 0}
	failure := []byte{wireResponse, 7, answerError, 0, 0, 0, 0, 0, 0, errorSameLeader}
	many := make([]byte, 1<<20)
	var codes []byte
	for c := range byte(maxErrorCodes + 1) {
		codes = append(codes, c+1)
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	return map[string][]byte{
		"a name that is not there":              join([]byte{wireRequest, 7}, huge, []byte("k")),
		"notices that are not there":            join(heartbeat, huge),
		"too many notices":                      join(heartbeat, uvarints(nil, detector.MaxNotices+1), many[:detector.MaxNotices+1]),
		"a notice that is not there":            join(heartbeat, []byte{1}, huge),
		"a bool of 2":                           join([]byte{wireHeartbeat, 2}, heartbeat[2:], []byte{0}),
		"a number in a longer form":             {wireWithdrawal, 0x80, 0},
		"a number beyond 64 bits":               append([]byte{wireWithdrawal}, bytes.Repeat([]byte{0xff}, 10)...),
		"beliefs that are not there":            join([]byte{wireBeliefs}, huge),
		"too many beliefs":                      join([]byte{wireBeliefs}, uvarints(nil, beliefPage+1), many[:minBelief*(beliefPage+1)]),
		"live entries not there":                join(part, []byte{wireLive}, huge),
		"live entries within bounds, not there": join(part, []byte{wireLive}, uvarints(nil, livePartEntries)),
		"notices within bounds, not there":      join(heartbeat, uvarints(nil, detector.MaxNotices)),
		"too many live entries":                 join(part, []byte{wireLive}, uvarints(nil, livePartEntries+1), many[:minLive*(livePartEntries+1)]),
		"no live entries":                       join(part, []byte{wireLive, 0}),
		"a header of nothing":                   join(part, []byte{wireHeader}),
		"a part of no kind":                     join(part, []byte{9}),
		"a chunk below 0":                       join(part, []byte{wireChunk}, uvarints(nil, 1<<63), many[:16]),
		"a next chunk below 0":                  join([]byte{wireSnapshotReply, 1, 'k', 1, replyHave, 0}, uvarints(nil, 1<<63, 0)),
		"an unknown flag":                       {wireSnapshotReply, 1, 'k', 1, 32, 0, 0, 0},
		"no operation":                          join(request, []byte{0}),
		"an unknown level":                      join(request, []byte{wireQuery, 3, 0, 0, 0}),
		"a command that is none":                join(request, []byte{wireCommand, byte(KindUser), commandVersion, 0xff}, many[:8]),
		"a command of nobody's":                 join(request, []byte{wireCommand, byte(KindSessionClose), commandVersion, 0}, many[:8], []byte{0}),
		"a command of the core's":               join(request, []byte{wireCommand, core.KindConfiguration, commandVersion, 0}, many[:8]),
		"a deletion of more":                    join(request, []byte{wireCommand, core.KindDelete, 1}),
		"an undo of any life":                   join(request, []byte{wireStart, 0, 1}),
		"a start of no life":                    join(request, []byte{wireStart, 0, 0}, many[:64]),
		"a start with odd options":              join(request, []byte{wireStart, 1, 0, 0, 0, 0, 0, 0}, uvarints(nil, 1<<40, 0, 0, 0, 0, 0)),
		"a start of a bad cluster":              join(request, []byte{wireStart, 1, 0, 0, 0, 0, 0, 0}, many[:6], []byte{2, 1, 9}),
		"a value of no kind":                    join(response, []byte{9}),
		"members not there":                     join(response, []byte{wireMemberInfos}, huge),
		"too many members":                      join(response, []byte{wireMemberInfos}, uvarints(nil, core.MaxMembers+1), many[:minMemberInfo*(core.MaxMembers+1)]),
		"a bad configuration":                   join(response, []byte{wireConfiguration, 1, 9}),
		"keys that are not there":               join(response, []byte{wireAnOverview}, huge),
		"too many keys":                         join(response, []byte{wireAnOverview}, uvarints(nil, maxOverviewValues+1), many),
		"a key twice":                           join(response, []byte{wireAnOverview, 2, 1, 'k', wireNil, 1, 'k', wireNil}),
		"keys out of order":                     join(response, []byte{wireAnOverview, 2, 1, 'k', wireNil, 1, 'a', wireNil}),
		"an overview's unknown value":           join(response, []byte{wireAnOverview, 1, 1, 'k', 99}),
		"an overview too deep":                  join(response, []byte{wireAnOverview, 1, 1, 'k'}, bytes.Repeat([]byte{wireList, 1}, 1000), []byte{wireNil}),
		"codes that are not there":              join(failure, huge),
		"too many codes":                        join(failure, uvarints(nil, maxErrorCodes+1), codes, []byte{1, 'x'}),
		"codes out of order":                    join(failure, []byte{2, 5, 4, 1, 'x'}),
		"a code without a text":                 join(failure, []byte{1, 5, 0}),
		"a text that is too long":               join(failure, []byte{0}, uvarints(nil, maxErrorText+1), many[:maxErrorText+1]),
		"the same leader, said twice":           {wireResponse, 7, answerError, 0, 0, 0, 0, 1, 'k', 1, 'a', 0, 1, 'k', 1, 'a', 0, 0},
		"a session that is none":                join([]byte{wireMachineMessage, 1, 'k', messageSession, 0, 0}, many[:17]),
		"a message with an odd flag":            {wireMachineMessage, 1, 'k', 4, 0, 0},
		"a message to a server unnamed":         join([]byte{wireMessage, 1, 14}, many[:22]),
	}
}

// TestHostilePackets: they are refused, and cost no more than an honest packet.
func TestHostilePackets(t *testing.T) {
	for name, b := range hostilePackets() {
		var p Packet
		var err error
		if n := bytesOf(func() { p, err = packetCodec{}.Decode(b, alpha, beta) }); !errors.Is(err, ErrMalformed) || p != nil || n > 4*uint64(len(b))+16<<10 {
			t.Errorf("%s: %+v, %v, %d bytes allocated", name, p, err, n)
		}
	}
}

// TestDecodeMemory: the packets that take the most memory for their bytes stay within Decode's bounds.
func TestDecodeMemory(t *testing.T) {
	response := []byte{wireResponse, 7, answerValue, 0, 0, 0, 0, 0, 0}
	deep := append(bytes.Clone(response), wireAnOverview, 1, 1, 'k')
	deep = append(append(deep, bytes.Repeat([]byte{wireList, 1}, maxOverviewDepth-1)...), wireNil)
	lists := append(bytes.Clone(response), wireAnOverview, 1, 1, 'k', wireList)
	maps := uvarints(append(bytes.Clone(response), wireAnOverview, 1, 1, 'k', wireList), 1300)
	for range 1300 {
		maps = append(maps, wireMap, 1, 1, 'k', wireNil)
	}
	for name, b := range map[string][]byte{
		"notices": append(uvarints([]byte{wireHeartbeat, 0}, 1, 1, 1, 1, 1, 1, 1, 1, 1, detector.MaxNotices), make([]byte, detector.MaxNotices)...),
		"beliefs": append(uvarints([]byte{wireBeliefs}, beliefPage), make([]byte, 2*beliefPage)...),
		"live": append(uvarints([]byte{wireSnapshotPart, 1, 'k', 1, 1, wireLive}, livePartEntries),
			make([]byte, minLive*livePartEntries)...),
		"a list":  append(uvarints(lists, 4000), bytes.Repeat([]byte{wireNil}, 4000)...),
		"maps":    maps,
		"depth":   deep,
		"a chunk": append([]byte{wireSnapshotPart, 1, 'k', 1, 1, wireChunk, 0}, make([]byte, 1<<20)...),
	} {
		var err error
		n := bytesOf(func() { _, err = packetCodec{}.Decode(b, alpha, beta) })
		if err != nil || n > uint64(len(b))+1<<20 {
			t.Errorf("%s: %d bytes allocated for %d: %v", name, n, len(b), err)
		}
		t.Logf("%s: %d bytes allocated for %d", name, n, len(b))
	}
}

// TestPacketOwnership: payloads cannot grow into each other, nor into what stands behind the packet.
func TestPacketOwnership(t *testing.T) {
	list := goldenPackets(t)
	behind := append(bytes.Clone(list["message to a mailbox"]), "behind"...)
	p, err := packetCodec{}.Decode(behind[:len(behind)-len("behind")], alpha, beta)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(p.(*machineMessage).data, "overwritten"...)
	if !bytes.HasSuffix(behind, []byte("behind")) {
		t.Errorf("%q", behind)
	}
	p, err = packetCodec{}.Decode(list["snapshot live"], alpha, beta)
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(list["snapshot live"])
	_ = append(p.(*snapshotPart).live[0].Data, "overwritten"...)
	if !bytes.Equal(before, list["snapshot live"]) {
		t.Errorf("%x", list["snapshot live"])
	}
}
