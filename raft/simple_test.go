package raft

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
)

// register is a Fold over a map, with every function or only the required one.
func register(whole bool) Fold[map[string]int] {
	f := Fold[map[string]int]{
		Apply: func(_ *ApplyContext, s map[string]int, command []byte) (map[string]int, []byte) {
			if s == nil {
				s = map[string]int{}
			}
			s[string(command)]++
			return s, fmt.Append(nil, s[string(command)])
		},
	}
	if whole {
		f.New = func() map[string]int { return map[string]int{"new": 1} }
		f.Event = func(_ *ApplyContext, s map[string]int, ev Event) map[string]int {
			s[ev.(TimedOut).Name]--
			return s
		}
		f.Clone = maps.Clone[map[string]int]
		f.Encode = func(w io.Writer, s map[string]int) error {
			for _, k := range slices.Sorted(maps.Keys(s)) {
				if _, err := fmt.Fprintln(w, k, s[k]); err != nil {
					return err
				}
			}
			return nil
		}
		f.Decode = func(r io.Reader) (map[string]int, error) {
			s := map[string]int{}
			for {
				var k string
				var n int
				if _, err := fmt.Fscanln(r, &k, &n); err == io.EOF {
					return s, nil
				} else if err != nil {
					return nil, err
				}
				s[k] = n
			}
		}
	}
	return f
}

func TestSimple(t *testing.T) {
	for _, whole := range []bool{false, true} {
		create, err := Simple(register(whole))
		if err != nil {
			t.Fatal(err)
		}
		r := newReplica(t, create())
		wantReply(t, r.ask(Command{Kind: KindUser, Payload: []byte("a")}), StatusApplied, "1")
		wantReply(t, r.ask(Command{Kind: KindUser, Payload: []byte("a")}), StatusApplied, "2")
		r.apply(Command{Kind: KindTimeout, Timer: "a"})
		c, err := r.Capture()
		if err != nil {
			t.Fatal(err)
		}
		wantReply(t, r.ask(Command{Kind: KindUser, Payload: []byte("b")}), StatusApplied, "1")
		want := "{\"a\":2}\n"
		if whole {
			want = "a 1\nnew 1\n"
		}
		var state bytes.Buffer
		if n, err := c.View.WriteTo(&state); err != nil || n != int64(len(want)) || state.String() != want {
			t.Errorf("view of %q, %d bytes, %v; want %q", state.String(), n, err, want)
		}
		again := newReplica(t, create())
		if err := again.Restore(c.At, c.Context, &state); err != nil {
			t.Fatal(err)
		}
		_, restored := again.snapshot()
		if string(restored) != want {
			t.Errorf("restored %q, want %q", restored, want)
		}
	}
}

func TestSimpleIncomplete(t *testing.T) {
	if _, err := Simple(Fold[int]{}); !errors.Is(err, ErrIncomplete) {
		t.Errorf("without Apply: %v", err)
	}
	f := register(true)
	f.Decode = nil
	if _, err := Simple(f); !errors.Is(err, ErrIncomplete) {
		t.Errorf("without Decode: %v", err)
	}
}

// A state that does not encode fails its snapshot, not the machine.
func TestSimpleNotEncoded(t *testing.T) {
	create, err := Simple(Fold[chan int]{Apply: func(_ *ApplyContext, s chan int, _ []byte) (chan int, []byte) { return s, nil }})
	if err != nil {
		t.Fatal(err)
	}
	r := newReplica(t, create())
	c, err := r.Capture()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.View.WriteTo(io.Discard); err == nil {
		t.Error("a channel was encoded")
	}
	r.apply(Command{Kind: KindUser})
}

type adder struct {
	*scripted
	sum int
}

func (m *adder) Apply(_ *ApplyContext, n int) any {
	m.sum += n
	if m.sum == 13 {
		return make(chan int) // has no encoding
	}
	return m.sum
}

func TestTyped(t *testing.T) {
	m := &adder{scripted: &scripted{}}
	var codec Codec[int, any]
	r := newReplica(t, Typed(m, codec))
	process := func(_ context.Context, command []byte) ([]byte, error) {
		return r.ask(Command{Kind: KindUser, Payload: command}).Data, nil
	}
	ctx := context.Background()
	for _, want := range []float64{5, 10} {
		if got, err := codec.Call(ctx, process, 5); err != nil || got != want {
			t.Errorf("sum %v, %v; want %v", got, err, want)
		}
	}
	if _, err := codec.Call(ctx, process, 3); err != ErrReplyEncoding || m.sum != 13 {
		t.Errorf("a reply without encoding: %v, sum %d", err, m.sum)
	}
	other := Codec[string, any]{}
	if _, err := other.Call(ctx, process, "five"); err != ErrNotUnderstood || m.sum != 13 {
		t.Errorf("a command that is none: %v, sum %d", err, m.sum)
	}
	if _, err := (Codec[chan int, any]{}).Call(ctx, process, nil); err == nil {
		t.Error("a channel was encoded")
	}
	process = func(context.Context, []byte) ([]byte, error) { return nil, io.EOF }
	if _, err := codec.Call(ctx, process, 5); err != io.EOF {
		t.Errorf("an error of process: %v", err)
	}
	for _, reply := range []string{"", "\x01x", "\x07"} {
		process = func(context.Context, []byte) ([]byte, error) { return []byte(reply), nil }
		if _, err := codec.Call(ctx, process, 5); !errors.Is(err, ErrMalformed) {
			t.Errorf("reply %q: %v", reply, err)
		}
	}
	// The optional interfaces are those of the machine inside.
	entered := 0
	m.enter = func(ServerState, *Effects) { entered++ }
	r.enter(StateFollower)
	if entered != 1 || Unwrap(r.Machine()) != m || Unwrap(&scripted{}) == nil {
		t.Errorf("the machine inside heard %d times of a state", entered)
	}
}
