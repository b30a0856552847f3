package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// client talks to the API of some nodes: to the first, and when that does not help to the next.
type client struct {
	servers []string
	http    http.Client
	// session and sequence, when session is not "", number the writes, all to the first server.
	session  string
	sequence uint64
}

// unknownError says that a write was sent and not answered.
type unknownError struct{ cause error }

func (e *unknownError) Error() string {
	return fmt.Sprintf("the write may have been applied: %v", e.cause)
}

// Unwrap returns the cause.
func (e *unknownError) Unwrap() error { return e.cause }

// call is a request.
type call struct {
	method, path string
	query        url.Values
	body         []byte
	read         bool // it changes nothing, and may be repeated
}

// keyPath is the path of a key.
func keyPath(key string) string {
	// A dot may mean a path of its own to what is in between.
	return keysPath + strings.ReplaceAll(url.PathEscape(key), ".", "%2E")
}

// do makes the call, on one server after the other, for as long as it cannot have been carried out, until ctx ends. It returns
// the answer's body, and what the API said is wrong as an *apiError.
func (c *client) do(ctx context.Context, x call) ([]byte, http.Header, error) {
	for k := 0; ; k++ {
		body, header, again, err := c.once(ctx, c.servers[k%len(c.servers)], x)
		if err == nil || !again || ctx.Err() != nil {
			return body, header, err
		}
		if (k+1)%len(c.servers) != 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return nil, nil, err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// once makes the call on one server. again says that it may be made again.
func (c *client) once(ctx context.Context, server string, x call) (body []byte, h http.Header, again bool, err error) {
	answer, err := c.send(ctx, server, x)
	if err == nil {
		defer answer.Body.Close()
		body, err = io.ReadAll(answer.Body)
	}
	if err != nil {
		var dial *net.OpError
		if unsent := errors.As(err, &dial) && dial.Op == "dial"; !unsent && !x.read {
			return nil, nil, c.session != "", &unknownError{err}
		}
		return nil, nil, true, err
	}
	if answer.StatusCode < 300 {
		return body, answer.Header, false, nil
	}
	e := errorIn(answer.StatusCode, body)
	return nil, answer.Header, e.Retry && (x.read || c.session != "" || e.Applied == appliedNo), e
}

// errorIn is the error that an answer holds.
func errorIn(status int, body []byte) *apiError {
	var wrapped struct{ Error *apiError }
	if json.Unmarshal(body, &wrapped) != nil || wrapped.Error == nil {
		return &apiError{Status: status, Code: "http", Message: fmt.Sprintf("status %d: %.200s", status, body), Applied: appliedMaybe}
	}
	wrapped.Error.Status = status
	return wrapped.Error
}

func (c *client) send(ctx context.Context, server string, x call) (*http.Response, error) {
	q := url.Values{}
	for name, values := range x.query {
		q[name] = values
	}
	if c.session != "" && !x.read {
		q.Set("session", c.session)
		q.Set("sequence", strconv.FormatUint(c.sequence, 10))
	}
	target := strings.TrimSuffix(server, "/") + x.path
	if len(q) > 0 {
		target += "?" + q.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, x.method, target, bytes.NewReader(x.body))
	if err != nil {
		return nil, err
	}
	if x.method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	return c.http.Do(r)
}

// begin opens a session with the first server that takes one, and stays there.
func (c *client) begin(ctx context.Context) error {
	for k := 0; ; k++ {
		server := c.servers[k%len(c.servers)]
		body, _, again, err := c.once(ctx, server, call{method: http.MethodPost, path: "/v1/sessions", read: true}) // a session too many does no harm
		if err == nil {
			var opened struct{ Session string }
			if err := json.Unmarshal(body, &opened); err != nil {
				return err
			}
			c.servers, c.session, c.sequence = []string{server}, opened.Session, 1
			return nil
		}
		if !again || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// endSession closes the session, as far as that is possible: it ends by itself when nobody uses it.
func (c *client) endSession(ctx context.Context) {
	id := c.session
	c.session = ""
	_, _, _, _ = c.once(ctx, c.servers[0], call{method: http.MethodDelete, path: "/v1/sessions/" + id, read: true})
}
