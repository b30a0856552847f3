package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"unicode/utf8"

	"github.com/rawl-db/rawl/raft"
)

// Consistencies of a read.
const (
	linearizable = "linearizable" // reflects all that was answered before it began
	fromLeader   = "leader"       // old only while two nodes believe to lead
	local        = "local"        // what this node has applied, however old
)

// Text is a value in JSON: as text where it is UTF-8, else in base64.
type Text struct {
	Value       *string `json:"value,omitempty"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
}

func textOf(b []byte) Text {
	if utf8.Valid(b) {
		s := string(b)
		return Text{Value: &s}
	}
	return Text{ValueBase64: b}
}

// written is the answer to a write.
type written struct {
	Key string `json:"key"`
	// Version is the key's from now on, 0 when it is deleted. Existed says that there was one before.
	Version raft.Index `json:"version"`
	Existed bool       `json:"existed"`
	// Index is the entry of the log, for min_index and watch; 0 when the answer is that to an earlier attempt.
	Index raft.Index `json:"index"`
}

// read runs a registered query with the consistency that the request names.
func (s *server) read(r *http.Request, query string, arg []byte) ([]byte, error) {
	q := r.URL.Query()
	ctx, cancel, err := deadline(r)
	if err != nil {
		return nil, err
	}
	defer cancel()
	atLeast, err := indexOf(q, "min_index")
	if err != nil {
		return nil, err
	}
	switch level := q.Get("consistency"); {
	case atLeast != 0 && level != local:
		return nil, badRequest(http.StatusBadRequest, "bad_min_index", "min_index is for local reads")
	case level == linearizable || level == "":
		return s.node.ConsistentQuery(ctx, s.self, query, arg)
	case level == fromLeader:
		return s.node.LeaderQuery(ctx, s.self, query, arg)
	case level == local:
		return s.node.QueryMember(ctx, s.self, query, arg, raft.QueryOptions{Applied: raft.EntryID{Index: atLeast}})
	}
	return nil, badRequest(http.StatusBadRequest, "unknown_consistency", "consistency is linearizable, leader or local")
}

// indexOf reads a parameter that is an index, 0 when it is not there.
func indexOf(q url.Values, name string) (raft.Index, error) {
	if !q.Has(name) {
		return 0, nil
	}
	n, err := strconv.ParseUint(q.Get(name), 10, 63)
	if err != nil {
		return 0, badRequest(http.StatusBadRequest, "bad_"+name, name+" is an index of the log")
	}
	return raft.Index(n), nil
}

// getKey answers with the value as it is, and its version in a header.
func (s *server) getKey(w http.ResponseWriter, r *http.Request) error {
	key, err := keyOf(r)
	if err != nil {
		return err
	}
	b, err := s.read(r, queryGet, []byte(key))
	if err != nil {
		return err
	}
	g, err := decodeGot(b)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Kv-Index", fmt.Sprint(g.Index))
	if !g.Found {
		return &apiError{Status: http.StatusNotFound, Code: "no_such_key", Message: fmt.Sprintf("there is no key %q", key)}
	}
	h.Set("Kv-Version", fmt.Sprint(g.Item.Version))
	h.Set("Content-Type", "application/octet-stream")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(g.Item.Value)))
	_, _ = w.Write(g.Item.Value) // the client is gone: nobody is left to tell
	return nil
}

func (s *server) putKey(w http.ResponseWriter, r *http.Request) error {
	key, err := keyOf(r)
	if err != nil {
		return err
	}
	value, err := readBody(w, r, maxValue)
	if err != nil {
		return err
	}
	return s.write(w, r, &command{Op: opPut, Key: key, Value: value})
}

func (s *server) deleteKey(w http.ResponseWriter, r *http.Request) error {
	key, err := keyOf(r)
	if err != nil {
		return err
	}
	return s.write(w, r, &command{Op: opDelete, Key: key})
}

// comparison is the body of a compare-and-set: one condition, and either a new value or Delete.
type comparison struct {
	Key string `json:"key"`
	// IfVersion is the version that the key has to have; 0: it must not be there. IfValue is the value instead.
	IfVersion     *raft.Index `json:"if_version,omitempty"`
	IfValue       *string     `json:"if_value,omitempty"`
	IfValueBase64 []byte      `json:"if_value_base64,omitempty"`
	Text
	Delete bool `json:"delete,omitempty"`
}

// command returns what the comparison asks for.
func (c *comparison) command() (*command, error) {
	if err := checkKey(c.Key); err != nil {
		return nil, err
	}
	out := &command{Op: opPut, Key: c.Key, Value: c.ValueBase64}
	conditions, values := 0, 0
	if c.IfVersion != nil {
		conditions, out.If, out.Version = conditions+1, ifVersion, *c.IfVersion
	}
	if c.IfValue != nil {
		conditions, out.If, out.Old = conditions+1, ifValue, []byte(*c.IfValue)
	}
	if c.IfValueBase64 != nil {
		conditions, out.If, out.Old = conditions+1, ifValue, c.IfValueBase64
	}
	if c.Value != nil {
		values, out.Value = values+1, []byte(*c.Value)
	}
	if c.ValueBase64 != nil {
		values++
	}
	if c.Delete {
		values, out.Op = values+1, opDelete
	}
	if conditions != 1 || values != 1 {
		return nil, badRequest(http.StatusBadRequest, "bad_comparison",
			"one of if_version, if_value and if_value_base64 is needed, and one of value, value_base64 and delete")
	}
	for _, v := range [][]byte{out.Old, out.Value} {
		if err := checkValue(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *server) compareAndSet(w http.ResponseWriter, r *http.Request) error {
	var body comparison
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	c, err := body.command()
	if err != nil {
		return err
	}
	return s.write(w, r, c)
}

// write has a command applied, in the session that the request names or in none, and answers.
func (s *server) write(w http.ResponseWriter, r *http.Request, c *command) error {
	ctx, cancel, err := deadline(r)
	if err != nil {
		return err
	}
	defer cancel()
	var reply raft.Reply
	if q := r.URL.Query(); q.Has("session") || q.Has("sequence") {
		reply, err = s.sessions.process(ctx, q.Get("session"), q.Get("sequence"), c.append(nil))
	} else {
		reply, err = s.propose(ctx, c)
	}
	if err != nil {
		return err
	}
	res, err := decodeResult(reply.Data)
	if err != nil {
		return err
	}
	switch res.Outcome {
	case outcomeDone:
		writeJSON(w, http.StatusOK, written{c.Key, res.Version, res.Existed, reply.Index})
		return nil
	case outcomeMismatch:
		return &apiError{Status: http.StatusPreconditionFailed, Code: "mismatch", Message: "the key is not what the request wants it to be",
			Applied: appliedNo, Version: &res.Version}
	}
	return &apiError{Status: http.StatusNotImplemented, Code: "not_understood", Message: "the cluster runs code that does not know the command", Applied: appliedNo}
}

// propose has the cluster apply a command. Errors: a *raft.ProposalError, and busy.
func (s *server) propose(ctx context.Context, c *command) (raft.Reply, error) {
	release, err := s.admit()
	if err != nil {
		return raft.Reply{}, err
	}
	defer release()
	return s.node.Process(ctx, s.self, c.append(nil), raft.ProcessOptions{})
}

// admit takes one of the places for writes.
func (s *server) admit() (release func(), err error) {
	select {
	case s.writes <- struct{}{}:
		return func() { <-s.writes }, nil
	default:
		return nil, &apiError{Status: http.StatusServiceUnavailable, Code: "busy", Message: "too many writes are under way", Applied: appliedNo, Retry: true}
	}
}

// listedKey is a key in the answer to a list.
type listedKey struct {
	Key     string     `json:"key"`
	Version raft.Index `json:"version"`
	*Text
}

// listKeys answers with keys in order.
func (s *server) listKeys(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	l := listing{Prefix: q.Get("prefix"), After: q.Get("after"), Limit: 100, Values: q.Get("values") == "true"}
	if len(l.Prefix) > maxKey || len(l.After) > maxKey {
		return badRequest(http.StatusBadRequest, "bad_prefix", fmt.Sprintf("prefix and after have at most %d bytes", maxKey))
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil || n == 0 || n > maxList {
			return badRequest(http.StatusBadRequest, "bad_limit", fmt.Sprintf("limit is 1 to %d", maxList))
		}
		l.Limit = n
	}
	b, err := s.read(r, queryList, l.encode())
	if err != nil {
		return err
	}
	found, err := decodeListed(b)
	if err != nil {
		return err
	}
	keys := make([]listedKey, 0, len(found.Items))
	for _, i := range found.Items {
		k := listedKey{Key: i.Key, Version: i.Version}
		if l.Values {
			v := textOf(i.Value)
			k.Text = &v
		}
		keys = append(keys, k)
	}
	writeJSON(w, http.StatusOK, struct {
		Keys  []listedKey `json:"keys"`
		More  bool        `json:"more"`
		Index raft.Index  `json:"index"` // a watch behind it misses nothing
	}{keys, found.More, found.Index})
	return nil
}
