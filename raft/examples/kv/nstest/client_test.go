//go:build linux

package nstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	attemptPatience = 2 * time.Second // of one request
	writePatience   = 6 * time.Second // of a write in a session, which is sent again
	sessionWrites   = 100             // after which a client opens another one
)

// client is one of those that use the service. It belongs to one goroutine.
type client struct {
	number int
	urls   []string // of the nodes
	http   http.Client
	rand   *rand.Rand

	// session is open at the node at, "" if none is; sequence numbers its next write.
	session  string
	at       string
	sequence uint64
}

func newClient(number int, urls []string, seed uint64) *client {
	return &client{number: number, urls: urls, rand: rand.New(rand.NewPCG(seed, uint64(number)+1)), http: http.Client{
		Timeout:   attemptPatience + time.Second,
		Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: time.Second}).DialContext},
	}}
}

func (c *client) anyNode() string { return c.urls[c.rand.IntN(len(c.urls))] }

// answer is what came back for a request.
type answer struct {
	status int
	header http.Header
	body   []byte
	fault  struct { // of a status that is no success
		Code    string
		Applied string
		Retry   bool
		Version uint64
	}
}

// send makes one request. unsent says of an error that the node has certainly not had it.
func (c *client) send(ctx context.Context, method, target string, q url.Values, body []byte) (a answer, unsent bool, err error) {
	if q == nil {
		q = url.Values{}
	}
	q.Set("timeout", attemptPatience.String())
	r, err := http.NewRequestWithContext(ctx, method, target+"?"+q.Encode(), bytes.NewReader(body))
	if err != nil {
		return a, true, err
	}
	got, err := c.http.Do(r)
	if err == nil {
		a.status, a.header = got.StatusCode, got.Header
		a.body, err = io.ReadAll(got.Body)
		_ = got.Body.Close() // it was read
	}
	if err != nil {
		var op *net.OpError
		return a, errors.As(err, &op) && op.Op == "dial", err
	}
	if a.status >= 300 {
		wrapped := struct{ Error any }{&a.fault}
		if err := json.Unmarshal(a.body, &wrapped); err != nil {
			return a, false, fmt.Errorf("status %d: %.100q", a.status, a.body)
		}
	}
	return a, false, nil
}

// outcome is what a client knows in the end of something that it wanted.
type outcome int

const (
	done    outcome = iota // it was, and the operation has the answer
	refused                // it was not, and will not be
	unknown
)

// read gets the key by a linearizable read.
func (c *client) read(ctx context.Context, o *operation) outcome {
	a, _, err := c.send(ctx, http.MethodGet, c.anyNode()+"/v1/keys/"+o.key, nil, nil)
	switch {
	case err == nil && a.status == http.StatusOK:
		o.found, o.got = true, string(a.body)
		if o.version, err = strconv.ParseUint(a.header.Get("Kv-Version"), 10, 64); err != nil {
			return refused // porcupine has nothing to judge
		}
		return done
	case err == nil && a.fault.Code == "no_such_key":
		return done
	}
	return refused // it has changed nothing
}

// request is the operation as the API has it.
func (o *operation) request() (method, path string, body []byte) {
	switch o.kind {
	case put:
		return http.MethodPut, "/v1/keys/" + o.key, []byte(o.value)
	case remove:
		return http.MethodDelete, "/v1/keys/" + o.key, nil
	}
	compare := map[string]any{"key": o.key, "value": o.value}
	if o.kind == create {
		compare["if_version"] = 0
	} else {
		compare["if_value"] = o.old
	}
	body, _ = json.Marshal(compare) // of strings
	return http.MethodPost, "/v1/cas", body
}

// result reads the answer to a write: whether it is final, and what it says.
func (o *operation) result(a answer) (outcome, bool) {
	switch {
	case a.status == http.StatusOK:
		var w struct {
			Version uint64
			Existed bool
		}
		if json.Unmarshal(a.body, &w) != nil {
			return unknown, true
		}
		o.matched, o.found, o.version = true, w.Existed, w.Version
		return done, true
	case a.fault.Code == "mismatch":
		o.version = a.fault.Version
		return done, true
	case a.fault.Applied == "no":
		return refused, !a.fault.Retry
	}
	return unknown, !a.fault.Retry
}

// write writes once, outside of sessions.
func (c *client) write(ctx context.Context, o *operation) outcome {
	method, path, body := o.request()
	a, unsent, err := c.send(ctx, method, c.anyNode()+path, nil, body)
	switch {
	case unsent:
		return refused
	case err != nil:
		return unknown
	}
	end, _ := o.result(a)
	return end
}

// writeOnce writes in a session: it sends the write again, under its number, until there is an answer or patience ends.
func (c *client) writeOnce(ctx context.Context, o *operation) outcome {
	if !c.begin(ctx) {
		return refused
	}
	method, path, body := o.request()
	q := url.Values{"session": {c.session}, "sequence": {strconv.FormatUint(c.sequence, 10)}}
	end := refused // until one attempt may have gone another way: it may still be under way when a later one is refused
	for until := time.Now().Add(writePatience); time.Now().Before(until); {
		a, unsent, err := c.send(ctx, method, c.at+path, q, body)
		if err == nil {
			last, final := o.result(a)
			if last == done {
				c.sequence++
				return done
			}
			end = max(end, last)
			if final {
				break
			}
		} else if !unsent {
			end = unknown
		}
		select {
		case <-ctx.Done():
			return end
		case <-time.After(20 * time.Millisecond):
		}
	}
	c.abandon(ctx) // what became of its last number is not known
	return end
}

// begin opens a session, unless one is open that has not been used much. It tries once.
func (c *client) begin(ctx context.Context) bool {
	if c.session != "" && c.sequence <= sessionWrites {
		return true
	}
	c.abandon(ctx)
	c.at = c.anyNode()
	a, _, err := c.send(ctx, http.MethodPost, c.at+"/v1/sessions", nil, nil)
	var opened struct{ Session string }
	if err != nil || a.status != http.StatusOK || json.Unmarshal(a.body, &opened) != nil {
		return false
	}
	c.session, c.sequence = opened.Session, 1
	return true
}

// abandon ends the session as far as that is possible.
func (c *client) abandon(ctx context.Context) {
	if c.session == "" {
		return
	}
	_, _, _ = c.send(ctx, http.MethodDelete, c.at+"/v1/sessions/"+c.session, nil, nil) // the node may be gone, and the session with it
	c.session = ""
}
