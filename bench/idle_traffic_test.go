package main

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"testing"
	"time"
)

func TestIdleTraffic(t *testing.T) {
	l := idleLife{Dir: t.TempDir(), Clusters: 3, Rest: 300 * time.Millisecond, Store: newRow(1, 1)}
	l.Store.WALFile = 1 << 20
	var out bytes.Buffer
	if err := l.traffic(t.Context(), io.Discard, &out); err != nil {
		t.Fatal(err)
	}
	var got []int
	for d := json.NewDecoder(&out); d.More(); {
		var r idleTraffic
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.Suite != "traffic" || r.MessagesPerS <= 0 || r.BytesPerS <= 0 || r.Ratio == nil {
			t.Errorf("%+v", r)
		}
		got = append(got, r.Clusters)
	}
	if !slices.Equal(got, []int{1, 3}) {
		t.Errorf("of %v clusters", got)
	}
}

func TestWithNumber(t *testing.T) {
	for _, c := range []struct{ args, want []string }{
		{[]string{"-failover"}, []string{"-failover", "100"}},
		{[]string{"--failover", "-nodes", "process"}, []string{"--failover", "100", "-nodes", "process"}},
		{[]string{"-nodes", "process", "-failover", "3", "-tls"}, []string{"-nodes", "process", "-failover", "3", "-tls"}},
		{[]string{"-failover=3"}, []string{"-failover=3"}},
		{nil, nil},
	} {
		if got := withNumber(c.args, "failover", "100"); !slices.Equal(got, c.want) {
			t.Errorf("%v became %v, want %v", c.args, got, c.want)
		}
	}
}
