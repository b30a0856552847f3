package raft

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// writeGolden writes golden files that are missing. One that exists is never written again.
var writeGolden = flag.Bool("write-golden", false, "write the golden files that do not exist")

func golden(t testing.TB, name string, made []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && *writeGolden {
		b, err = made, errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, made, 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// commands is one command of every kind and variant.
func commands() map[string]Command {
	const millis = 1_700_000_000_123
	origin := Origin{Node: "node-a", Request: 300}
	return map[string]Command{
		"user-plain":   {Kind: KindUser, Time: millis, Payload: []byte("payload")},
		"user-empty":   {Kind: KindUser, Payload: []byte{}},
		"user-leader":  {Kind: KindUser, Time: millis, Priority: Low, Reply: ReplyFromLeader, Payload: []byte("x")},
		"user-session": {Kind: KindUser, Time: millis, Session: SessionHeader{ID: 7, Sequence: 1000, LowestUnacked: 999}, Reply: ReplyFromLocal, Origin: origin, Payload: []byte("x")},
		"user-member":  {Kind: KindUser, Time: millis, Session: SessionHeader{ID: math.MaxUint64, Sequence: math.MaxUint64 - 1, LowestUnacked: 1}, Priority: Low, Reply: ReplyFromMember, Origin: origin, ReplyNode: "node-b", Payload: bytes.Repeat([]byte{0xff}, 40)},
		"open":         {Kind: KindSessionOpen, Time: millis, Reply: ReplyFromLeader, Origin: origin, Open: OpenID{1, 15: 9}, Window: DefaultSessionWindow, Node: "node-a", Incarnation: 1 << 40},
		"open-ordered": {Kind: KindSessionOpen, Open: OpenID{2}, Window: MaxSessionWindow, Ordered: true, Node: strings.Repeat("n", MaxName)},
		"keep-alive":   {Kind: KindSessionKeepAlive, Session: SessionHeader{ID: 7}, Node: "node-b", Incarnation: 2, Acked: [2]uint64{5, 0}},
		"close":        {Kind: KindSessionClose, Priority: Low, Session: SessionHeader{ID: 7}, Reply: ReplyFromLocal, Origin: origin},
		"expire-one":   {Kind: KindSessionExpire, Time: millis, Session: SessionHeader{ID: 7}, Armed: 70},
		"expire-node":  {Kind: KindSessionExpire, Time: millis, Node: "node-a", Incarnation: 3, Armed: 70},
		"timeout":      {Kind: KindTimeout, Time: millis, Timer: "sweep", Armed: 12},
		"node-up":      {Kind: KindNodeUp, Time: millis, Node: "node-c", Incarnation: 4, Armed: 12},
		"node-down":    {Kind: KindNodeDown, Time: millis, Node: "node-c", Incarnation: 4},
		"version":      {Kind: KindMachineVersion, Time: millis, Version: 2},
	}
}

// goldenName tells the kind of a golden file by its name, for the fuzzer.
func goldenName(name string, c Command) string {
	return fmt.Sprintf("command-v1-%d-%s.bin", c.Kind, name)
}

func TestCommandGolden(t *testing.T) {
	for name, c := range commands() {
		b, err := AppendCommand([]byte("before"), &c)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b = b[len("before"):]
		if c.Kind == KindUser && len(b)-len(c.Payload) > MaxCommandHeader {
			t.Errorf("%s: header of %d bytes", name, len(b)-len(c.Payload))
		}
		if want := golden(t, goldenName(name, c), b); !bytes.Equal(b, want) {
			t.Errorf("%s encodes as\n%s, the golden file is\n%s", name, hex.Dump(b), hex.Dump(want))
		}
		got, err := DecodeCommand(c.Kind, b)
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%s: decoded %+v, %v", name, got, err)
		}
		if err := StampCommand(b, 77); err != nil {
			t.Errorf("%s: stamp: %v", name, err)
		}
		c.Time = 77
		if got, err = DecodeCommand(c.Kind, b); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%s: stamped %+v, %v", name, got, err)
		}
	}
}

// Every cut and every extension of a command without payload is refused.
func TestCommandCut(t *testing.T) {
	for name, c := range commands() {
		b, err := AppendCommand(nil, &c)
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(b) - len(c.Payload) {
			if _, err := DecodeCommand(c.Kind, b[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s cut to %d of %d bytes: %v", name, n, len(b), err)
			}
		}
		if c.Kind == KindUser {
			continue
		}
		if _, err := DecodeCommand(c.Kind, append(b, 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s with a byte behind it: %v", name, err)
		}
	}
}

func TestCommandOfNewerFormat(t *testing.T) {
	newer := golden(t, "command-v2.bin", append([]byte{2, 0xff}, "of a later version"...))
	if _, err := DecodeCommand(KindUser, newer); !errors.Is(err, ErrUnknownFormat) || errors.Is(err, ErrMalformed) {
		t.Errorf("version 2: %v", err)
	}
	if err := StampCommand(newer, 1); !errors.Is(err, ErrUnknownFormat) {
		t.Errorf("stamp of version 2: %v", err)
	}
	b, _ := AppendCommand(nil, &Command{Kind: KindUser})
	for _, kind := range []CommandKind{0, 15, lastCommandKind + 1, 255} {
		if _, err := DecodeCommand(kind, b); !errors.Is(err, ErrUnknownFormat) {
			t.Errorf("%v: %v", kind, err)
		}
		if _, err := AppendCommand(nil, &Command{Kind: kind}); !errors.Is(err, ErrUnknownFormat) {
			t.Errorf("encoding %v: %v", kind, err)
		}
	}
}

func TestCommandRefused(t *testing.T) {
	long := strings.Repeat("n", MaxName+1)
	origin := Origin{Node: "a", Request: 1}
	for name, c := range map[string]Command{
		"time before 1970":       {Kind: KindUser, Time: -1},
		"priority":               {Kind: KindUser, Priority: 2},
		"reply mode":             {Kind: KindUser, Reply: 4},
		"origin without reply":   {Kind: KindUser, Origin: origin},
		"reply without origin":   {Kind: KindUser, Reply: ReplyFromLocal},
		"origin without node":    {Kind: KindUser, Reply: ReplyFromLeader, Origin: Origin{Request: 1}},
		"origin too long":        {Kind: KindUser, Reply: ReplyFromLeader, Origin: Origin{Node: long}},
		"no replying node":       {Kind: KindUser, Reply: ReplyFromMember, Origin: origin},
		"replying node unasked":  {Kind: KindUser, Reply: ReplyFromLocal, Origin: origin, ReplyNode: "b"},
		"session without number": {Kind: KindUser, Session: SessionHeader{ID: 1}},
		"number without session": {Kind: KindUser, Session: SessionHeader{Sequence: 1, LowestUnacked: 1}},
		"lowest above number":    {Kind: KindUser, Session: SessionHeader{ID: 1, Sequence: 1, LowestUnacked: 2}},
		"highest number":         {Kind: KindUser, Session: SessionHeader{ID: 1, Sequence: math.MaxUint64, LowestUnacked: 2}},
		"open id of zeros":       {Kind: KindSessionOpen, Window: 1, Node: "a"},
		"window 0":               {Kind: KindSessionOpen, Open: OpenID{1}, Node: "a"},
		"window too wide":        {Kind: KindSessionOpen, Open: OpenID{1}, Window: MaxSessionWindow + 1, Node: "a"},
		"open by nobody":         {Kind: KindSessionOpen, Open: OpenID{1}, Window: 1},
		"keep-alive of none":     {Kind: KindSessionKeepAlive, Node: "a"},
		"keep-alive by nobody":   {Kind: KindSessionKeepAlive, Session: SessionHeader{ID: 1}},
		"close of none":          {Kind: KindSessionClose},
		"expiry of nothing":      {Kind: KindSessionExpire},
		"expiry of two things":   {Kind: KindSessionExpire, Session: SessionHeader{ID: 1}, Node: "a"},
		"expiry answered":        {Kind: KindSessionExpire, Node: "a", Reply: ReplyFromLeader},
		"timeout of no timer":    {Kind: KindTimeout},
		"timer too long":         {Kind: KindTimeout, Timer: long},
		"low timeout":            {Kind: KindTimeout, Timer: "t", Priority: Low},
		"no node up":             {Kind: KindNodeUp},
	} {
		if b, err := AppendCommand([]byte("kept"), &c); !errors.Is(err, ErrMalformed) || string(b) != "kept" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

// A command that comes again and again is decoded without allocation.
func TestCommandDecodeAllocs(t *testing.T) {
	c := commands()["user-member"]
	b, err := AppendCommand(nil, &c)
	if err != nil {
		t.Fatal(err)
	}
	var d commandDecoder
	var got Command
	if n := testing.AllocsPerRun(100, func() { err = d.decode(&got, c.Kind, b) }); n != 0 || err != nil {
		t.Errorf("%v allocations, %v", n, err)
	}
	for i := range 3 * maxInterned {
		c.ReplyNode = fmt.Sprint("node-", i)
		b, _ := AppendCommand(nil, &c)
		if err := d.decode(&got, c.Kind, b); err != nil || got.ReplyNode != c.ReplyNode || len(d.names) > maxInterned {
			t.Fatalf("%+v, %d names, %v", got, len(d.names), err)
		}
	}
}

func FuzzDecodeCommand(f *testing.F) {
	for name, c := range commands() {
		f.Add(uint8(c.Kind), golden(f, goldenName(name, c), nil))
	}
	f.Add(uint8(KindUser), golden(f, "command-v2.bin", nil))
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		c, err := DecodeCommand(CommandKind(kind), b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnknownFormat) {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := AppendCommand(nil, &c)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%+v encodes as %x, %v; it came of %x", c, again, err, b)
		}
	})
}
