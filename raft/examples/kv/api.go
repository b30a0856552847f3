package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	defaultTimeout = 10 * time.Second
	maxTimeout     = time.Minute
	maxJSON        = 3 << 20 // two values of full length in base64
	keysPath       = "/v1/keys/"
)

// handlerFunc answers a request, or returns why it cannot.
type handlerFunc func(w http.ResponseWriter, r *http.Request) error

// methods are the handlers of a path.
type methods map[string]handlerFunc

// handler returns the API.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	for path, m := range map[string]methods{
		"/v1/keys":           {"GET": s.listKeys},
		"/v1/cas":            {"POST": s.compareAndSet},
		"/v1/watch":          {"GET": s.watch},
		"/v1/sessions":       {"POST": s.openSession},
		"/v1/sessions/{id}":  {"DELETE": s.closeSession},
		"/v1/members":        {"GET": s.listMembers, "POST": s.addMember},
		"/v1/members/{node}": {"DELETE": s.removeMember},
		"/v1/transfer":       {"POST": s.transfer},
		"/v1/snapshot":       {"POST": s.snapshot},
		"/metrics":           {"GET": s.metrics},
		"/healthz":           {"GET": s.healthz},
		"/readyz":            {"GET": s.readyz},
		"/status.json":       {"GET": s.statusJSON},
		"/{$}":               {"GET": s.page},
		"/page.css":          {"GET": s.pageFile},
		"/page.js":           {"GET": s.pageFile},
		"/transfer":          {"POST": s.pageTransfer},
		"/snapshot":          {"POST": s.pageSnapshot},
		"/": {"GET": func(_ http.ResponseWriter, r *http.Request) error {
			return badRequest(http.StatusNotFound, "no_such_path", "there is nothing at "+r.URL.Path)
		}},
	} {
		mux.Handle(path, s.dispatch(path, m))
	}
	keys := s.dispatch(keysPath, methods{"GET": s.getKey, "PUT": s.putKey, "DELETE": s.deleteKey})
	// Other sites' pages must not write through the browser of somebody who can reach this port.
	own := http.NewCrossOriginProtection()
	own.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, badRequest(http.StatusForbidden, "cross_origin", "the page of another site must not do this"))
	}))
	return own.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.EscapedPath(), keysPath) { // the mux would make another key of one with // or ..
			keys.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// dispatch serves a path by method, with JSON for what goes wrong, and counts.
func (s *server) dispatch(path string, m methods) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &codeWriter{ResponseWriter: w, code: http.StatusOK}
		began := time.Now()
		defer func() { s.figures.add(path, c.code, time.Since(began)) }()
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		h, ok := m[method]
		if !ok {
			for known := range m {
				c.Header().Add("Allow", known)
			}
			writeError(c, badRequest(http.StatusMethodNotAllowed, "wrong_method", r.Method+" cannot be done with "+r.URL.Path))
			return
		}
		if err := h(c, r); err != nil {
			writeError(c, err)
		}
	})
}

// codeWriter notes the status of the answer.
type codeWriter struct {
	http.ResponseWriter
	code int
}

func (c *codeWriter) WriteHeader(code int) {
	c.code = code
	c.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (c *codeWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// deadline returns the context of a request, which ends with its timeout parameter.
func deadline(r *http.Request) (context.Context, context.CancelFunc, error) {
	limit := defaultTimeout
	if text := r.URL.Query().Get("timeout"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || d > maxTimeout {
			return nil, nil, badRequest(http.StatusBadRequest, "bad_timeout", "timeout is a duration such as 2s, of at most "+maxTimeout.String())
		}
		limit = d
	}
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	return ctx, cancel, nil
}

// keyOf returns the key in the path of a request.
func keyOf(r *http.Request) (string, error) {
	key, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), keysPath))
	if err != nil {
		return "", badKey(err.Error())
	}
	return key, checkKey(key)
}

func checkKey(key string) error {
	switch {
	case len(key) > maxKey:
		return badRequest(http.StatusRequestURITooLong, "key_too_long", fmt.Sprintf("a key of %d bytes, at most %d are possible", len(key), maxKey))
	case !goodKey(key):
		return badKey("a key is not empty, and UTF-8")
	}
	return nil
}

func badKey(why string) error { return badRequest(http.StatusBadRequest, "bad_key", why) }

// checkValue refuses what no command could hold.
func checkValue(value []byte) error {
	if len(value) > maxValue {
		return valueTooLarge()
	}
	return nil
}

func valueTooLarge() error {
	return badRequest(http.StatusRequestEntityTooLarge, "value_too_large", fmt.Sprintf("a value has at most %d bytes", maxValue))
}

// readBody reads at most so many bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var much *http.MaxBytesError
	if errors.As(err, &much) {
		return nil, valueTooLarge()
	}
	if err != nil {
		return nil, badRequest(http.StatusBadRequest, "bad_body", err.Error())
	}
	return b, nil
}

// readJSON reads a body that is one JSON object with known fields.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	b, err := readBody(w, r, maxJSON)
	if err != nil {
		return err
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badRequest(http.StatusBadRequest, "bad_json", err.Error())
	}
	if _, err := d.Token(); err != io.EOF {
		return badRequest(http.StatusBadRequest, "bad_json", "there is more behind the object")
	}
	return nil
}
