package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/rawl-db/rawl/raft"
)

// The API of a cluster of three: all of it by any node.
func TestAPI(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	for _, x := range []struct {
		name string
		test func(*testing.T, *cluster)
	}{
		{"keys", testKeys}, {"list", testList}, {"bad", testBadInput}, {"cas", testCAS}, {"sessions", testSessions}, {"watch", testWatch},
		{"client", testClient}, {"transfer", testTransfer}, {"page", testPage}, {"metrics", testMetrics}, {"compacted", testCompacted},
		{"members", testMembers},
	} {
		t.Run(x.name, func(t *testing.T) {
			sub := *c
			sub.t = t
			x.test(t, &sub)
		})
	}
}

// Any key can be put, read on every node with each consistency, and deleted.
func testKeys(t *testing.T, c *cluster) {
	for i, key := range []string{"k", "a/b", "..", "../a//b/.", "ä ö%2F?#", strings.Repeat("k", maxKey), "v\x00"} {
		value := fmt.Sprint("value\x00\xff", i)
		at := c.put("abc"[i%3:i%3+1], key, value)
		if at.Key != key || at.Existed || at.Version != at.Index || at.Index == 0 {
			t.Errorf("%q: %+v", key, at)
		}
		for id := range c.nodes {
			for _, query := range []string{"", "?consistency=linearizable", "?consistency=leader", fmt.Sprint("?consistency=local&min_index=", at.Index)} {
				got := c.get(id, keyPath(key)+query)
				if got.status != http.StatusOK || got.body != value || got.header.Get("Kv-Version") != fmt.Sprint(at.Version) {
					t.Errorf("%q at %s%s: %+v", key, id, query, got)
				}
			}
		}
		var gone written
		c.must("b", http.MethodDelete, keyPath(key), "").into(t, &gone)
		if gone.Version != 0 || !gone.Existed {
			t.Errorf("%q deleted: %+v", key, gone)
		}
		if got := c.get("c", keyPath(key)); got.status != http.StatusNotFound || got.failure(t).Code != "no_such_key" {
			t.Errorf("%q after that: %+v", key, got)
		}
	}
	largest := strings.Repeat("x", maxValue)
	c.put("a", "large", largest)
	if got := c.get("b", keyPath("large")); got.body != largest {
		t.Error("a value of full length has", len(got.body), "bytes")
	}
	c.must("a", http.MethodDelete, keyPath("large"), "")
}

func testList(t *testing.T, c *cluster) {
	for i := range 25 {
		c.put("a", fmt.Sprintf("list/%02d", i), fmt.Sprint(i))
	}
	c.put("b", "lisu", "behind")
	var got []string
	for after := ""; ; {
		var page struct {
			Keys  []listedKey
			More  bool
			Index raft.Index
		}
		c.must("c", http.MethodGet, "/v1/keys?values=true&limit=10&prefix=list/&after="+url.QueryEscape(after), "").into(t, &page)
		for _, k := range page.Keys {
			got = append(got, k.Key+"="+*k.Value)
			after = k.Key
		}
		if !page.More {
			break
		}
		if len(page.Keys) != 10 || page.Index == 0 {
			t.Fatalf("%+v", page)
		}
	}
	if len(got) != 25 || got[0] != "list/00=0" || got[24] != "list/24=24" {
		t.Errorf("%q", got)
	}
}

// What is wrong is refused with a status, and JSON that says what.
func testBadInput(t *testing.T, c *cluster) {
	type row struct {
		method, path, body string
		status             int
		code               string
	}
	rows := []row{
		{"PUT", keyPath(strings.Repeat("k", maxKey+1)), "v", http.StatusRequestURITooLong, "key_too_long"},
		{"PUT", keysPath, "v", http.StatusBadRequest, "bad_key"},
		{"PUT", keysPath + "%ff", "v", http.StatusBadRequest, "bad_key"},
		{"PUT", keyPath("k"), strings.Repeat("v", maxValue+1), http.StatusRequestEntityTooLarge, "value_too_large"},
		{"GET", keyPath("k") + "?consistency=perfect", "", http.StatusBadRequest, "unknown_consistency"},
		{"GET", keyPath("k") + "?min_index=1", "", http.StatusBadRequest, "bad_min_index"},
		{"GET", keyPath("k") + "?consistency=local&min_index=x", "", http.StatusBadRequest, "bad_min_index"},
		{"GET", keyPath("k") + "?timeout=-1s", "", http.StatusBadRequest, "bad_timeout"},
		{"PUT", keyPath("k") + "?timeout=1h", "v", http.StatusBadRequest, "bad_timeout"},
		{"GET", "/v1/keys?limit=0", "", http.StatusBadRequest, "bad_limit"},
		{"GET", "/v1/keys?limit=1001", "", http.StatusBadRequest, "bad_limit"},
		{"GET", "/v1/keys?prefix=" + strings.Repeat("k", maxKey+1), "", http.StatusBadRequest, "bad_prefix"},
		{"GET", "/v1/keys?consistency=", "", http.StatusOK, ""},
		{"GET", "/v1/watch?after=-1", "", http.StatusBadRequest, "bad_after"},
		{"POST", "/v1/cas", "", http.StatusBadRequest, "bad_json"},
		{"POST", "/v1/cas", `{"key":`, http.StatusBadRequest, "bad_json"},
		{"POST", "/v1/cas", `{"key":"k","if_version":1,"value":"v"} {}`, http.StatusBadRequest, "bad_json"},
		{"POST", "/v1/cas", `{"key":"k","if_version":-1,"value":"v"}`, http.StatusBadRequest, "bad_json"},
		{"POST", "/v1/cas", `{"key":"k","if_versoin":1,"value":"v"}`, http.StatusBadRequest, "bad_json"},
		{"POST", "/v1/cas", `{"key":"","if_version":1,"value":"v"}`, http.StatusBadRequest, "bad_key"},
		{"POST", "/v1/cas", `{"key":"k","value":"v"}`, http.StatusBadRequest, "bad_comparison"},
		{"POST", "/v1/cas", `{"key":"k","if_version":1,"if_value":"x","value":"v"}`, http.StatusBadRequest, "bad_comparison"},
		{"POST", "/v1/cas", `{"key":"k","if_version":1}`, http.StatusBadRequest, "bad_comparison"},
		{"POST", "/v1/cas", `{"key":"k","if_version":1,"value":"` + strings.Repeat("v", maxValue+1) + `"}`, http.StatusRequestEntityTooLarge, "value_too_large"},
		{"POST", "/v1/cas", `{"key":"` + strings.Repeat("k", maxJSON) + `"}`, http.StatusRequestEntityTooLarge, "value_too_large"},
		{"PUT", keyPath("k") + "?session=none&sequence=1", "v", http.StatusGone, "session_expired"},
		{"PUT", keyPath("k") + "?session=none&sequence=0", "v", http.StatusBadRequest, "bad_sequence"},
		{"DELETE", "/v1/sessions/none", "", http.StatusGone, "session_expired"},
		{"POST", "/v1/members", `{"node":"stranger"}`, http.StatusConflict, "unknown_node"},
		{"DELETE", "/v1/members/stranger", "", http.StatusNotFound, "not_a_member"},
		{"DELETE", "/v1/members/" + strings.Repeat("s", 200), "", http.StatusNotFound, "not_a_member"},
		{"POST", "/v1/transfer", `{"node":"stranger"}`, http.StatusNotFound, "not_a_member"},
		{"GET", "/v1/nothing", "", http.StatusNotFound, "no_such_path"},
		{"POST", "/", "", http.StatusMethodNotAllowed, "wrong_method"},
	}
	for path, method := range map[string]string{keyPath("k"): "POST", "/v1/keys": "PUT", "/v1/cas": "GET", "/v1/watch": "POST", "/v1/sessions": "GET",
		"/v1/members": "DELETE", "/v1/members/a": "GET", "/v1/transfer": "GET", "/v1/snapshot": "GET", "/metrics": "POST", "/transfer": "GET"} {
		rows = append(rows, row{method, path, "", http.StatusMethodNotAllowed, "wrong_method"})
	}
	for _, x := range rows {
		got := c.call("a", x.method, x.path, x.body)
		if got.status != x.status || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s %.60s %.60s: %d %.200s, want %d", x.method, x.path, x.body, got.status, got.body, x.status)
			continue
		}
		if x.code == "" {
			continue
		}
		if e := got.failure(t); e.Code != x.code || e.Retry {
			t.Errorf("%s %.60s: %+v, want %s", x.method, x.path, e, x.code)
		}
		if x.status == http.StatusMethodNotAllowed && got.header.Get("Allow") == "" {
			t.Errorf("%s %s: no method is allowed", x.method, x.path)
		}
	}
	for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "http://elsewhere.example"}} {
		if got := c.call("a", "PUT", keyPath("k"), "v", headers...); got.status != http.StatusForbidden || got.failure(t).Code != "cross_origin" {
			t.Errorf("from another site: %+v", got)
		}
	}
	if got := c.get("a", keyPath("k")); got.status != http.StatusNotFound {
		t.Errorf("something was written: %+v", got)
	}
}

func testCAS(t *testing.T, c *cluster) {
	var first, second written
	c.must("a", "POST", "/v1/cas", `{"key":"cas","if_version":0,"value":"1"}`).into(t, &first)
	got := c.call("b", "POST", "/v1/cas", `{"key":"cas","if_version":0,"value":"2"}`)
	if e := got.failure(t); got.status != http.StatusPreconditionFailed || e.Code != "mismatch" || e.Applied != appliedNo || e.Version == nil || *e.Version != first.Version {
		t.Errorf("%+v", got)
	}
	c.must("c", "POST", "/v1/cas", fmt.Sprintf(`{"key":"cas","if_version":%d,"value_base64":"/wA="}`, first.Version)).into(t, &second)
	if got := c.get("a", keyPath("cas")); got.body != "\xff\x00" {
		t.Errorf("%q", got.body)
	}
	c.must("a", "POST", "/v1/cas", `{"key":"cas","if_value_base64":"/wA=","delete":true}`)
	// Of many who want to be the first, one is.
	var all sync.WaitGroup
	won := make(chan int, 30)
	for k := range 30 {
		all.Go(func() {
			if c.call("abc"[k%3:k%3+1], "POST", "/v1/cas", fmt.Sprintf(`{"key":"race","if_version":0,"value":"%d"}`, k)).status == http.StatusOK {
				won <- k
			}
		})
	}
	all.Wait()
	if len(won) != 1 || c.get("b", keyPath("race")).body != fmt.Sprint(<-won) {
		t.Error("there is not one winner")
	}
}

// openSession opens a session at a node.
func (c *cluster) openSession(id string) string {
	c.t.Helper()
	var opened struct{ Session string }
	c.must(id, "POST", "/v1/sessions", "").into(c.t, &opened)
	return opened.Session
}

// A write of a session is applied once, however often it is sent; its answer is kept.
func testSessions(t *testing.T, c *cluster) {
	session := c.openSession("a")
	path := func(n int) string { return fmt.Sprintf("/v1/cas?session=%s&sequence=%d", session, n) }
	var answers sync.Map
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			answers.Store(c.must("a", "POST", path(1), `{"key":"once","if_version":0,"value":"1"}`).body, true)
		})
	}
	all.Wait()
	count := 0
	answers.Range(func(any, any) bool { count++; return true })
	if count != 1 {
		t.Error(count, "answers to one write")
	}
	c.must("b", "DELETE", keyPath("once"), "")
	c.must("a", "POST", path(1), `{"key":"once","if_version":0,"value":"1"}`) // the answer, and nothing else
	if got := c.get("c", keyPath("once")); got.status != http.StatusNotFound {
		t.Errorf("it was applied again: %+v", got)
	}
	if got := c.call("a", "POST", path(1), `{"key":"once","if_version":0,"value":"2"}`); got.failure(t).Code != "sequence_in_use" {
		t.Errorf("%+v", got)
	}
	for n := 2; n <= keptAnswers+10; n++ {
		c.must("a", "PUT", fmt.Sprintf("%s?session=%s&sequence=%d", keyPath("once"), session, n), fmt.Sprint(n))
	}
	if e := c.call("a", "POST", path(1), `{"key":"once","if_version":0,"value":"1"}`).failure(t); e.Code != "answer_forgotten" || e.Applied != appliedMaybe {
		t.Errorf("%+v", e)
	}
	last := fmt.Sprintf("%s?session=%s&sequence=%d", keyPath("once"), session, uint64(1)<<62)
	for range 2 { // numbers may have gaps of any size
		c.must("a", "PUT", last, "last")
	}
	c.must("a", "DELETE", "/v1/sessions/"+session, "")
	if e := c.call("a", "PUT", keyPath("once")+"?sequence=999&session="+session, "x").failure(t); e.Code != "session_expired" {
		t.Errorf("%+v", e)
	}
}

// The command-line client does what the API does.
func testClient(t *testing.T, c *cluster) {
	for _, x := range []struct {
		in   string
		args []string
		code int
		want string
	}{
		{"", []string{"put", "client/a", "1"}, exitDone, `"key":"client/a"`},
		{"from stdin", []string{"put", "-once", "client/../b"}, exitDone, `"key":"client/../b"`},
		{"", []string{"get", "client/../b"}, exitDone, "from stdin"},
		{"", []string{"get", "-consistency", "leader", "client/a"}, exitDone, "1"},
		{"", []string{"get", "-consistency", "none", "client/a"}, exitFailed, "unknown_consistency"},
		{"", []string{"get", "client/none"}, exitNot, "no_such_key"},
		{"", []string{"cas", "-if-value", "1", "client/a", "2"}, exitDone, `"existed":true`},
		{"", []string{"cas", "-once", "-if-value", "1", "client/a", "2"}, exitNot, "mismatch"},
		{"", []string{"cas", "-if-version", "0", "client/a", "2"}, exitNot, "mismatch"},
		{"", []string{"list", "-values", "client/"}, exitDone, `"value":"2"`},
		{"", []string{"cas", "-if-value", "2", "-delete", "client/a"}, exitDone, `"version":0`},
		{"", []string{"delete", "client/../b"}, exitDone, `"existed":true`},
		{"", []string{"members"}, exitDone, `"leader":true`},
		{"", []string{"members", "add", "stranger"}, exitFailed, "unknown_node"},
		{"", []string{"status"}, exitDone, `"disk":"ok"`},
		{strings.Repeat("x", maxValue+1), []string{"put", "client/c"}, exitFailed, "value_too_large"},
	} {
		if out, code := c.kv(x.in, x.args...); code != x.code || !strings.Contains(out, x.want) {
			t.Errorf("%q: %d, %.300s", x.args, code, out)
		}
	}
}

func testTransfer(t *testing.T, c *cluster) {
	for range 3 {
		before := c.leader()
		var got struct{ Leader string }
		c.must("b", "POST", "/v1/transfer", `{}`).into(t, &got)
		if now := c.leader(); now == before || now != got.Leader {
			t.Errorf("from %s to %s, the answer was %s", before, now, got.Leader)
		}
	}
	if got := c.call("a", "POST", "/v1/transfer", fmt.Sprintf(`{"node":%q}`, c.leader())); got.status != http.StatusOK {
		t.Errorf("to the one that leads: %+v", got)
	}
}

// A node joins, has everything, leads, and leaves.
func testMembers(t *testing.T, c *cluster) {
	c.put("a", "members", "before")
	c.start("d", nil)
	var added answer
	c.await("the node to announce itself", func() bool {
		added = c.call("a", "POST", "/v1/members", `{"node":"d"}`)
		return added.status != http.StatusConflict || added.failure(t).Code != "unknown_node"
	})
	if added.status != http.StatusOK {
		t.Fatalf("%+v", added)
	}
	c.await("it to be a voter", func() bool {
		var got struct{ Members []member }
		c.must("a", "GET", "/v1/members", "").into(t, &got)
		for _, m := range got.Members {
			if m.Node == "d" && m.Membership == "voter" && m.URL == c.nodes["d"].opts.Own.URL {
				return true
			}
		}
		return false
	})
	if got := c.get("d", keyPath("members")); got.body != "before" {
		t.Errorf("%+v", got)
	}
	if e := c.call("a", "POST", "/v1/members", `{"node":"d"}`).failure(t); e.Code != "already_member" {
		t.Errorf("%+v", e)
	}
	c.must("a", "POST", "/v1/transfer", `{"node":"d"}`)
	c.put("d", "members", "by d")
	c.must("b", "DELETE", "/v1/members/d", "")
	if got := c.get("a", keyPath("members")); got.body != "by d" {
		t.Errorf("%+v", got)
	}
	c.await("it to be not ready", func() bool { return c.get("d", "/readyz").status == http.StatusServiceUnavailable })
	// The one that was removed while it followed hears of it, too, and can be added again as it is.
	c.must("a", "POST", "/v1/transfer", `{"node":"a"}`)
	c.must("a", "DELETE", "/v1/members/c", "")
	c.await("c to be not ready", func() bool { return c.get("c", "/readyz").status == http.StatusServiceUnavailable })
	c.await("c to be known again", func() bool { return c.call("b", "POST", "/v1/members", `{"node":"c"}`).status == http.StatusOK })
	c.await("c to be ready", func() bool { return c.get("c", "/readyz").status == http.StatusOK })
	if got := c.get("c", keyPath("members")); got.body != "by d" {
		t.Errorf("%+v", got)
	}
	c.stop("d")
}
