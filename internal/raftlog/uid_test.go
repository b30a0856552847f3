package raftlog

import (
	"errors"
	"strings"
	"testing"
)

func TestUIDValidate(t *testing.T) {
	for _, tc := range []struct {
		name string
		uid  UID
		ok   bool
	}{
		{"one character", "a", true},
		{"whole alphabet", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", true},
		{"longest", UID(strings.Repeat("x", MaxUIDLen)), true},
		{"like a flag", "-rf", true},
		{"empty", "", false},
		{"129 bytes", UID(strings.Repeat("x", MaxUIDLen+1)), false},
		{"dot", ".", false},
		{"parent", "..", false},
		{"dot inside", "a.b", false},
		{"slash", "a/b", false},
		{"backslash", `a\b`, false},
		{"NUL", "a\x00b", false},
		{"space", "a b", false},
		{"newline", "a\n", false},
		{"padding", "YQ==", false},
		{"plus of plain base64", "a+b", false},
		{"non-ASCII letter", "é", false},
		{"full-width letter", "ａ", false},
		{"invalid UTF-8", "\xff", false},
		{"before A", "@", false},
		{"after Z", "[", false},
		{"before a", "`", false},
		{"after z", "{", false},
		{"before 0", "/", false},
		{"after 9", ":", false},
	} {
		err := tc.uid.Validate()
		if (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
		if err != nil && !errors.Is(err, ErrBadUID) {
			t.Errorf("%s: %v does not wrap ErrBadUID", tc.name, err)
		}
	}
}

func TestUIDEveryByte(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for c := range 256 {
		uid := UID([]byte{'a', byte(c)})
		if got, want := uid.Validate() == nil, strings.IndexByte(alphabet, byte(c)) >= 0; got != want {
			t.Errorf("byte %#02x: valid %v, want %v", c, got, want)
		}
	}
}

func TestUIDCaseDistinguishes(t *testing.T) {
	lower, upper := UID("orders"), UID("ORDERS")
	if lower.Validate() != nil || upper.Validate() != nil {
		t.Fatal("both must be valid")
	}
	if m := map[UID]int{lower: 1, upper: 2}; len(m) != 2 {
		t.Fatal("uids that differ in case must name two logs")
	}
}
