package nstest

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// kind is what a client did.
type kind int

const (
	get    kind = iota
	put         // value
	remove      // the key
	create      // value, if there is no such key
	swap        // old for value
)

// operation is what a client did to a key, and what it knows of the answer.
type operation struct {
	client     int
	kind       kind
	key        string
	old, value string
	call, end  int64 // nanoseconds since the beginning; end counts if known
	known      bool  // there was an answer. What is not known may have happened, and may be still to come

	found   bool   // get, put, remove: there was such a key
	matched bool   // create, swap: it was done
	got     string // get: the value
	version uint64 // after the operation, 0 when there is no key then
}

// state is what a key is. The zero state is that of a key that never was.
type state struct {
	exists  bool
	value   string
	version uint64 // 0 when a write made it whose answer is not known
	newest  uint64 // version that the key has had
}

// is takes note of the version that an answer names, and reports whether it can be that.
func (s state) is(version uint64) (bool, state) {
	if s.version != 0 || !s.exists {
		return version == s.version, s
	}
	ok := version > s.newest
	s.version, s.newest = version, version
	return ok, s
}

// write is the state behind a write of o.value.
func (s state) write(o *operation) (bool, state) {
	next := state{exists: true, value: o.value, newest: s.newest}
	if !o.known {
		return true, next
	}
	next.version, next.newest = o.version, o.version
	return o.version > s.newest, next
}

// step applies an operation, and reports whether its answer can be what it is.
func (s state) step(o *operation) (bool, state) {
	switch o.kind {
	case get:
		ok, next := s.is(o.version)
		return ok && s.exists == o.found && s.value == o.got, next
	case put:
		ok, next := s.write(o)
		return ok && (!o.known || s.exists == o.found), next
	case remove:
		return !o.known || s.exists == o.found, state{newest: s.newest}
	}
	matches := !s.exists
	if o.kind == swap {
		matches = s.exists && s.value == o.old
	}
	switch {
	case o.known && matches != o.matched:
		return false, s
	case matches:
		return s.write(o)
	case o.known:
		return s.is(o.version)
	}
	return true, s
}

var model = porcupine.Model{
	Init: func() any { return state{} },
	Step: func(s, in, _ any) (bool, any) {
		ok, next := s.(state).step(in.(*operation))
		return ok, next
	},
}

// judgeKey has porcupine look for an order of operations on one key that explains all answers.
func judgeKey(list []*operation, patience time.Duration) porcupine.CheckResult {
	h := make([]porcupine.Operation, len(list))
	for i, o := range list {
		end := o.end
		if !o.known {
			end = math.MaxInt64
		}
		h[i] = porcupine.Operation{ClientId: o.client, Input: o, Call: o.call, Return: end}
	}
	return porcupine.CheckOperationsTimeout(model, h, patience)
}

func (o *operation) String() string {
	end, answer := "?", "?"
	if o.known {
		end = fmt.Sprint(o.end / 1e3)
		answer = fmt.Sprintf("found=%t matched=%t got=%.60q version=%d", o.found, o.matched, o.got, o.version)
	}
	what := [...]string{"get", "put", "delete", "create", "swap"}[o.kind]
	return fmt.Sprintf("%12d - %-12s client %2d %s old=%.60q value=%.60q: %s", o.call/1e3, end, o.client, what, o.old, o.value, answer)
}

func describe(list []*operation) string {
	var b strings.Builder
	for _, o := range list {
		fmt.Fprintln(&b, o)
	}
	return b.String()
}

// TestModel has histories that are told apart.
func TestModel(t *testing.T) {
	wrote := operation{kind: put, value: "a", call: 1, end: 2, known: true, version: 5}
	lost := operation{kind: put, value: "b", call: 3}
	read := func(call, end int64, got string, version uint64) operation {
		return operation{kind: get, call: call, end: end, known: true, found: got != "", got: got, version: version}
	}
	swapped := func(call int64, old, value string, matched bool, version uint64) operation {
		return operation{kind: swap, old: old, value: value, call: call, end: call + 1, known: true, matched: matched, version: version}
	}
	removed := operation{kind: remove, call: 3, end: 4, known: true, found: true}
	for _, c := range []struct {
		name string
		list []operation
		want porcupine.CheckResult
	}{
		{"in order", []operation{wrote, read(3, 4, "a", 5)}, porcupine.Ok},
		{"stale", []operation{wrote, read(3, 4, "", 0)}, porcupine.Illegal},
		{"at the same time", []operation{wrote, read(1, 4, "", 0)}, porcupine.Ok},
		{"another version", []operation{wrote, read(3, 4, "a", 6)}, porcupine.Illegal},
		{"unanswered, later", []operation{wrote, lost, read(4, 5, "a", 5), read(6, 7, "b", 9)}, porcupine.Ok},
		{"unanswered, never", []operation{wrote, lost, read(4, 5, "a", 5)}, porcupine.Ok},
		{"unanswered, at two places", []operation{wrote, lost, read(4, 5, "b", 8), read(6, 7, "b", 9)}, porcupine.Illegal},
		{"and back", []operation{wrote, lost, read(4, 5, "b", 8), read(6, 7, "a", 5)}, porcupine.Illegal},
		{"older than what was", []operation{wrote, lost, read(4, 5, "b", 4)}, porcupine.Illegal},
		{"applied again", []operation{wrote, {kind: put, value: "c", call: 3, end: 4, known: true, found: true, version: 6}, read(5, 6, "a", 7)}, porcupine.Illegal},
		{"swapped", []operation{wrote, swapped(3, "a", "c", true, 6), read(5, 6, "c", 6)}, porcupine.Ok},
		{"swapped twice", []operation{wrote, swapped(3, "a", "c", true, 6), swapped(5, "a", "d", true, 7)}, porcupine.Illegal},
		{"refused", []operation{wrote, swapped(3, "b", "c", false, 5), read(5, 6, "a", 5)}, porcupine.Ok},
		{"refused without reason", []operation{wrote, swapped(3, "a", "c", false, 5)}, porcupine.Illegal},
		{"removed", []operation{wrote, removed, read(5, 6, "", 0)}, porcupine.Ok},
		{"removed and there", []operation{wrote, removed, read(5, 6, "a", 5)}, porcupine.Illegal},
		{"created over it", []operation{wrote, {kind: create, value: "c", call: 3, end: 4, known: true, matched: true, version: 6}}, porcupine.Illegal},
	} {
		list := make([]*operation, len(c.list))
		for i := range c.list {
			list[i] = &c.list[i]
		}
		if got := judgeKey(list, time.Minute); got != c.want {
			t.Errorf("%s: %v\n%s", c.name, got, describe(list))
		}
	}
}
