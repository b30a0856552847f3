package raft

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft/core"
)

// seen is an overview as another node sees it.
func seen(t *testing.T, view map[string]any) map[string]any {
	t.Helper()
	b, err := packetCodec{}.Append(nil, &response{answer: answer{any: view}})
	if err != nil || len(b) > 2*maxOverviewBytes {
		t.Fatal(len(b), err)
	}
	p, err := packetCodec{}.Decode(b, alpha, beta)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*response).answer.any.(map[string]any)
}

// angry is a user's value that cannot be encoded.
type angry struct{}

func (angry) MarshalJSON() ([]byte, error) { panic("no") }

// TestOverviewTravels: what is simple stays as it is, what is not is what JSON makes of it, and what cannot be sent is replaced
// while the rest arrives.
func TestOverviewTravels(t *testing.T) {
	loop := map[string]any{}
	loop["loop"] = loop
	type point struct {
		X, Y int
		Name string `json:"name"`
	}
	got := seen(t, map[string]any{
		"term": uint64(math.MaxUint64), "int": -7, "point": point{1, -2, "p"}, "index": Index(9), "duration": time.Second,
		"big": []uint64{math.MaxUint64}, "bytes": []byte{1}, "strings": []string{"a"}, "nan": math.Inf(1), "nil map": map[string]int(nil),
		"half": float32(0.5), "channel": make(chan int), "angry": angry{}, "loop": loop,
		"odd members": []core.Member{{}}, "many": make([]any, maxOverviewValues), "long": strings.Repeat("x", maxOverviewBytes),
		"zzz": "behind them",
	})
	want := map[string]any{
		"term": uint64(math.MaxUint64), "int": -7, "point": map[string]any{"X": 1, "Y": -2, "name": "p"}, "index": 9,
		"duration": int(time.Second), "big": []any{uint64(math.MaxUint64)}, "bytes": "AQ==", "strings": []any{"a"}, "nan": math.Inf(1),
		"nil map": nil, "half": 0.5, "zzz": "behind them",
	}
	for key, v := range want {
		if !reflect.DeepEqual(got[key], v) {
			t.Errorf("%s: %#v, want %#v", key, got[key], v)
		}
	}
	for _, key := range []string{"channel", "angry", "loop", "many", "long"} {
		if text, _ := got[key].(string); !strings.HasPrefix(text, "raft: not to be sent: ") {
			t.Errorf("%s: %#v", key, got[key])
		}
	}
	if list, _ := got["odd members"].([]any); len(list) != 1 {
		t.Errorf("%#v", got["odd members"])
	}
	if len(got) != 18 {
		t.Errorf("%d keys", len(got))
	}
}

// TestOverviewFull: the values that an overview may have are shared, and each key has one.
func TestOverviewFull(t *testing.T) {
	view := map[string]any{"a": make([]any, maxOverviewValues-10), "b": make([]any, 20)}
	for _, key := range []string{"c", "d", "e", "f"} {
		view[key] = 1
	}
	got := seen(t, view)
	if list, _ := got["a"].([]any); len(list) != maxOverviewValues-10 {
		t.Errorf("%T", got["a"])
	}
	if _, replaced := got["b"].(string); !replaced || got["f"] != 1 || len(got) != 6 {
		t.Errorf("%v, %v", got["b"], got["f"])
	}
}
