package main

import (
	"testing"
	"time"
)

// Of two addresses each has its turn, the one that was given first, and all who ask in a turn get the same.
func TestAddressBook(t *testing.T) {
	var age time.Duration
	b := newAddressBook(map[string]string{"a": "given", "b": "same"})
	b.age = func() time.Duration { return age }
	b.learn([]nodeAddress{{"a", "learned", "u"}, {"b", "same", ""}, {"c", "new", ""}})
	for _, x := range []struct {
		at         time.Duration
		node, want string
	}{
		{0, "a", "given"}, {addressTurn - 1, "a", "given"}, {addressTurn, "a", "learned"}, {2 * addressTurn, "a", "given"},
		{addressTurn, "b", "same"}, {addressTurn, "c", "new"},
	} {
		age = x.at
		for range 2 {
			if got, err := b.Resolve(t.Context(), x.node); err != nil || got != x.want {
				t.Errorf("%s after %v: %q, %v; want %q", x.node, x.at, got, err, x.want)
			}
		}
	}
	if got, err := b.Resolve(t.Context(), "d"); err == nil {
		t.Error("a stranger is at", got)
	}
	if got := b.announced("a"); got.URL != "u" {
		t.Errorf("%+v", got)
	}
}
