package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// A watch shows what changed, in order, once, and goes on where it is told.
func testWatch(t *testing.T, c *cluster) {
	w := c.watch("b", "prefix=w/")
	one := c.put("a", "w/1", "x")
	c.put("a", "other", "x")
	c.call("a", "POST", "/v1/cas", `{"key":"w/1","if_value":"y","value":"z"}`) // changes nothing
	c.must("a", "DELETE", keyPath("w/none"), "")                               // nor does that
	session := c.openSession("c")
	var two, three written
	for range 3 {
		c.must("c", "PUT", keyPath("w/2")+"?sequence=1&session="+session, "y").into(t, &two)
	}
	c.must("c", "DELETE", keyPath("w/1"), "").into(t, &three)
	w.want("put", "w/1", "x", one.Index)
	w.want("put", "w/2", "y", two.Index)
	w.want("delete", "w/1", "", three.Index)

	again := c.watch("a", fmt.Sprintf("prefix=w/&after=%d", one.Index)) // on another node
	again.want("put", "w/2", "y", two.Index)
	again.want("delete", "w/1", "", three.Index)
	again.cancel()
	browser := c.watch("c", fmt.Sprintf("prefix=w/&after=%d", one.Index-1), "Last-Event-ID", fmt.Sprint(two.Index)) // it connects again
	browser.want("delete", "w/1", "", three.Index)
	browser.cancel()

	// What others write moves the place too, so that a watch that is told little falls behind by little.
	place := c.watch("a", "prefix=none")
	other := c.put("a", "other", "y")
	for e := range place.events {
		if e.ID == fmt.Sprint(other.Index) {
			break
		}
	}
	place.cancel()

	// Readers can be seen, and are gone when their watches end.
	readers := func() int { return len(c.nodes["b"].node.Engine().Readers()) }
	if readers() == 0 {
		t.Error("the watch is not listed")
	}
	w.cancel()
	c.await("the reader to be closed", func() bool { return readers() == 0 && len(c.nodes["b"].watchers) == 0 })
}

// Who asks for changes that are not kept any more is told so, and goes on from a list.
func testCompacted(t *testing.T, c *cluster) {
	first := c.put("a", "compacted", "1")
	var taken struct{ Index uint64 }
	c.must("a", "POST", "/v1/snapshot", "").into(t, &taken)
	c.await("the snapshot", func() bool {
		m, err := c.nodes["a"].node.KeyMetrics(serverName)
		return err == nil && uint64(m.Snapshot) >= taken.Index
	})
	c.await("the log to be let go of", func() bool { // the release follows the snapshot
		w := c.nodes["a"]
		uid := w.node.Servers()[0].UID
		l, err := w.node.Engine().Log(uid)
		if err != nil {
			t.Fatal(err)
		}
		return uint64(l.First()) > taken.Index
	})
	refused := c.get("a", fmt.Sprint("/v1/watch?after=", first.Index-1))
	if refused.status != http.StatusGone || refused.failure(t).Code != "compacted" {
		t.Fatalf("%+v", refused)
	}
	var page struct {
		Keys  []listedKey
		Index uint64
	}
	c.must("a", "GET", "/v1/keys?prefix=compacted&consistency=local", "").into(t, &page)
	if len(page.Keys) != 1 || page.Index < uint64(first.Index) {
		t.Fatalf("%+v", page)
	}
	w := c.watch("a", fmt.Sprint("prefix=compacted&after=", page.Index))
	early := c.watch("a", fmt.Sprint("prefix=compacted&after=", first.Index)) // nothing has changed since
	second := c.put("b", "compacted", "2")
	w.want("put", "compacted", "2", second.Index)
	early.want("put", "compacted", "2", second.Index)
}

// An open watch does not keep a node from stopping; it is told.
func TestStopWithWatch(t *testing.T) {
	c := newCluster(t, "a")
	w := c.watch("a", "")
	at := c.put("a", "k", "v")
	w.want("put", "k", "v", at.Index)
	c.stop("a")
	if e := w.next(); e.Kind != "error" || !strings.Contains(e.Data, `"stopping"`) {
		t.Errorf("%+v", e)
	}
	c.start("a", []string{"a"})
	c.await("it to be ready", func() bool { return c.get("a", "/readyz").status == http.StatusOK })
	if got := c.get("a", keyPath("k")); got.body != "v" {
		t.Errorf("after the restart: %+v", got)
	}
	again := c.watch("a", "after=0") // the history came back with the recovery checkpoint
	again.want("put", "k", "v", at.Index)
}

// The page says who leads, can be read without scripts, and its forms work.
func testPage(t *testing.T, c *cluster) {
	w := c.watch("a", "prefix=page")
	defer w.cancel()
	c.await("a to hear where b is", func() bool { return c.nodes["a"].opts.Book.announced("b").URL != "" })
	leader := c.leader()
	got := c.get("a", "/")
	for _, want := range []string{`id="leader">` + leader, `<noscript>`, `action="/snapshot"`, "watch page", c.nodes["b"].opts.Own.URL, `<progress`, ">ok</span>"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if strings.Contains(got.body, `data-transfer="`+leader) || strings.Count(got.body, "data-transfer") != 2 {
		t.Error("there are not two buttons for the two that do not lead")
	}
	if !strings.Contains(got.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Error(got.header)
	}
	for _, path := range []string{"/page.css", "/page.js"} {
		if a := c.get("a", path); a.status != http.StatusOK || len(a.body) == 0 {
			t.Errorf("%s: %+v", path, a)
		}
	}
	to := "a"
	if leader == to {
		to = "b"
	}
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	if a := c.call("c", "POST", "/transfer", "node="+to, form...); a.status != http.StatusSeeOther || c.leader() != to {
		t.Errorf("%+v, %s leads", a, c.leader())
	}
	if a := c.call("c", "POST", "/transfer", "node=stranger", form...); a.status != http.StatusNotFound || !strings.Contains(a.body, "That did not work") {
		t.Errorf("%+v", a)
	}
	if a := c.call("c", "POST", "/snapshot", "", form...); a.status != http.StatusSeeOther {
		t.Errorf("%+v", a)
	}
	var status clusterStatus
	c.await("all members to say how they are", func() bool {
		status = clusterStatus{}
		c.get("b", "/status.json").into(t, &status)
		return len(status.Members) == 3 && !slices.ContainsFunc(status.Members, func(m memberStatus) bool { return m.Status == nil || m.Status.Disk == "" })
	})
	if len(status.Events) == 0 || status.Events[0].Time.After(time.Now()) {
		t.Errorf("%+v", status.Events)
	}
}

// The metrics are in the format that Prometheus reads: each family once, with its type, then samples of that family.
func testMetrics(t *testing.T, c *cluster) {
	seen, family := map[string]bool{}, ""
	for _, line := range strings.Split(strings.TrimSpace(c.get("a", "/metrics").body), "\n") {
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "# TYPE "):
			if family = fields[2]; seen[family] {
				t.Errorf("%s comes twice", family)
			}
			seen[family] = true
		case strings.HasPrefix(line, "# HELP "):
		default:
			name, _, _ := strings.Cut(line, "{")
			name, _, _ = strings.Cut(name, " ")
			var v float64
			if _, err := fmt.Sscan(fields[len(fields)-1], &v); err != nil || name != family && name != family+"_sum" && name != family+"_count" {
				t.Errorf("in %s: %s", family, line)
			}
		}
	}
	for _, want := range []string{"kv_leader", "kv_index", "kv_disk_health", "kv_requests_total", "kv_commit_seconds", "kv_peer_up"} {
		if !seen[want] {
			t.Errorf("no %s", want)
		}
	}
}
