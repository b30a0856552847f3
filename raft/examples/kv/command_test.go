package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// Commands have the bytes that they always had.
func TestCommandGolden(t *testing.T) {
	var out strings.Builder
	all := append(sampleCommands(), command{Op: opSnapshot})
	for _, c := range all {
		fmt.Fprintf(&out, "%x\n", c.append(nil))
	}
	lines := strings.Fields(string(golden(t, "commands-v1.txt", []byte(out.String()))))
	if len(lines) != len(all) {
		t.Fatalf("%d commands, want %d", len(lines), len(all))
	}
	for i, line := range lines {
		b, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		c, err := decodeCommand(b)
		if want := all[i]; err != nil || c.Op != want.Op || c.Key != want.Key || c.If != want.If || c.Version != want.Version ||
			!bytes.Equal(c.Old, want.Old) || !bytes.Equal(c.Value, want.Value) || c.Node != want.Node {
			t.Errorf("%s: %+v, %v; want %+v", line, c, err, want)
		}
		for cut := range b {
			if _, err := decodeCommand(b[:cut]); err == nil {
				t.Errorf("%s is read when cut at %d", line, cut)
			}
		}
		b[0]++
		if _, err := decodeCommand(b); err == nil {
			t.Errorf("%s: a newer version is read", line)
		}
	}
}

// What is beyond the bounds is no command.
func TestCommandBounds(t *testing.T) {
	for _, c := range []command{
		{Op: opPut}, {Op: opPut, Key: strings.Repeat("k", maxKey+1)}, {Op: opPut, Key: "\xff"},
		{Op: opPut, Key: "k", Value: make([]byte, maxValue+1)}, {Op: opPut, Key: "k", If: conditionEnd},
		{Op: opForget}, {Op: opAnnounce, Node: nodeAddress{"n", strings.Repeat("a", maxAddr+1), ""}}, {Op: opEnd}, {},
	} {
		if got, err := decodeCommand(c.append(nil)); err == nil {
			t.Errorf("%.100v", got)
		}
	}
}

func FuzzDecodeCommand(f *testing.F) {
	for _, line := range strings.Fields(string(golden(f, "commands-v1.txt", nil))) {
		b, err := hex.DecodeString(line)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCommand(b)
		if err == nil && !bytes.Equal(c.append(nil), b) {
			t.Fatalf("%+v has other bytes", c)
		}
	})
}

// Queries' answers come through, and damaged ones are refused.
func TestQueryEncoding(t *testing.T) {
	s := sample(t)
	for _, key := range []string{"a", "nothing"} {
		b, err := getQuery(s, []byte(key))
		g, bad := decodeGot(b)
		if err != nil || bad != nil || g.Found != (key == "a") || g.Index != s.applied || g.Found && !reflect.DeepEqual(g.Item, *s.keys.get(key)) {
			t.Errorf("%q: %+v, %v, %v", key, g, err, bad)
		}
		for cut := range b {
			if _, err := decodeGot(b[:cut]); err == nil {
				t.Errorf("%q is read when cut at %d", key, cut)
			}
		}
	}
	b, err := listQuery(s, listing{Limit: 1, Values: true}.encode())
	l, bad := decodeListed(b)
	if err != nil || bad != nil || len(l.Items) != 1 || !l.More || l.Items[0].Key != "a" || string(l.Items[0].Value) != "2" {
		t.Errorf("%+v, %v, %v", l, err, bad)
	}
	b, err = listQuery(s, listing{Prefix: "a", Limit: 9}.encode())
	if l, bad = decodeListed(b); err != nil || bad != nil || len(l.Items) != 1 || l.More || len(l.Items[0].Value) > 0 {
		t.Errorf("without values: %+v, %v, %v", l, err, bad)
	}
	for _, arg := range [][]byte{nil, {0}, listing{Limit: maxList + 1}.encode(), append(listing{Limit: 1}.encode(), 0)} {
		if _, err := listQuery(s, arg); err == nil {
			t.Errorf("%x is a listing", arg)
		}
	}
}

// FuzzAnswers: what other nodes answer and ask for is refused or has what it should have.
func FuzzAnswers(f *testing.F) {
	s := sample(f)
	for _, arg := range [][]byte{[]byte("a"), []byte("nothing")} {
		b, err := getQuery(s, arg)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	arg := listing{Limit: 9, Values: true}.encode()
	b, err := listQuery(s, arg)
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{arg, b, result{Outcome: outcomeMismatch, Version: 300, Existed: true}.encode()} {
		f.Add(b)
	}
	good := func(t *testing.T, items ...item) {
		for _, i := range items {
			if !goodKey(i.Key) || len(i.Value) > maxValue {
				t.Fatalf("%q", i.Key)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeResult(b); err == nil && len(r.encode()) != len(b) {
			t.Fatalf("%x became %+v", b, r)
		}
		if g, err := decodeGot(b); err == nil && g.Found {
			good(t, g.Item)
		}
		if l, err := decodeListed(b); err == nil {
			good(t, l.Items...)
		}
		if answer, err := listQuery(s, b); err == nil {
			if _, err := decodeListed(answer); err != nil {
				t.Fatalf("%x is answered with %x", b, answer)
			}
		}
	})
}
