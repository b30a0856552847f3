package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft"
)

const (
	// watchBeat is how often a silent watch says something, so that both sides notice when the other is gone.
	watchBeat = 10 * time.Second
	// watchPatience is how long a client may take for what it is sent.
	watchPatience = 30 * time.Second
)

// watcher sends the changes of keys as server-sent events. It reads this node's log beside the machine, with a reader of the engine's,
// and asks the machine only which entries changed something.
type watcher struct {
	server *server
	prefix string
	after  raft.Index // the client has everything up to it
	reader *engine.Reader

	mu   sync.Mutex // of the connection: beats come between
	w    http.ResponseWriter
	ctrl *http.ResponseController
}

// change is the data of an event.
type change struct {
	Index raft.Index `json:"index"`
	Key   string     `json:"key"`
	*Text
}

// watch serves GET /v1/watch: what changed behind after, or Last-Event-ID, or from now on.
func (s *server) watch(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if len(q.Get("prefix")) > maxKey {
		return badRequest(http.StatusBadRequest, "bad_prefix", fmt.Sprintf("a prefix has at most %d bytes", maxKey))
	}
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		q.Set("after", last) // a browser that connects again sends the same URL
	}
	select {
	case s.watchers <- struct{}{}:
		defer func() { <-s.watchers }()
	default:
		return &apiError{Status: http.StatusServiceUnavailable, Code: "busy", Message: "the node has too many watches", Retry: true}
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.draining, func() { cancel(raft.ErrClosed) })()
	x := &watcher{server: s, prefix: q.Get("prefix"), w: w, ctrl: http.NewResponseController(w)}
	if err := x.open(ctx, q); err != nil {
		return x.explain(err)
	}
	defer x.reader.Close()
	return x.serve(ctx, cancel)
}

// open places the reader.
func (x *watcher) open(ctx context.Context, q url.Values) error {
	s := x.server
	after, err := indexOf(q, "after")
	if err != nil {
		return err
	}
	if x.after = after; !q.Has("after") {
		ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
		defer cancel()
		if x.after, _, err = s.changes(ctx, 0, 0, 0); err != nil {
			return err
		}
	}
	for {
		var gap *engine.GapError
		if err := x.openReader(); !errors.As(err, &gap) {
			return err
		}
		// What the log has let go of is not missed when it changed nothing: a snapshot may end behind the last command.
		last := gap.First - 1
		_, lost, err := s.changes(ctx, last, x.after, last)
		if err != nil {
			return err
		}
		if len(lost) > 0 {
			return gap
		}
		x.after = last
	}
}

func (x *watcher) openReader() (err error) {
	s := x.server
	for _, i := range s.node.Servers() {
		if i.ID == s.self {
			x.reader, err = s.node.Engine().OpenReader(i.UID, engine.AtIndex(x.after+1), engine.ReaderOptions{
				Name: "watch " + x.name(), Types: []uint8{uint8(raft.KindUser)}})
			return err
		}
	}
	return raft.ErrUnknownServer
}

// name is the prefix as far as it fits a reader's name.
func (x *watcher) name() string {
	return strings.ToValidUTF8(x.prefix[:min(len(x.prefix), 100)], "")
}

// changes asks the machine of this node, as soon as it has applied an entry, which of the entries between two indexes changed a key. It also
// returns how far the machine is. Error: errForgotten.
func (s *server) changes(ctx context.Context, applied, above, upTo raft.Index) (raft.Index, []raft.Index, error) {
	var at raft.Index
	list, err := s.node.LocalQuery(ctx, serverName, func(m raft.Machine) (any, error) {
		st, ok := m.(*store)
		if !ok {
			return nil, errQuery
		}
		if at = st.applied; upTo == 0 {
			return []raft.Index(nil), nil
		}
		list, known := st.history.between(above, upTo)
		if !known {
			return nil, errForgotten
		}
		return list, nil
	}, raft.QueryOptions{Applied: raft.EntryID{Index: applied}})
	if err != nil {
		return 0, nil, err
	}
	return at, list.([]raft.Index), nil
}

// errForgotten says that the machine does not know any more which entries changed something.
var errForgotten = errors.New("kv: too far back")

// explain turns the end of a reader into what a client can act on.
func (x *watcher) explain(err error) error {
	var gap *engine.GapError
	if errors.As(err, &gap) || errors.Is(err, errForgotten) {
		return &apiError{Status: http.StatusGone, Code: "compacted",
			Message: fmt.Sprintf("the changes behind %d are not kept any more: list the keys, and watch behind the list's index", x.after)}
	}
	return err
}

// serve sends changes until one side ends. What is wrong from now on is an event too.
func (x *watcher) serve(ctx context.Context, cancel context.CancelCauseFunc) error {
	h := x.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	_ = x.ctrl.SetReadDeadline(time.Time{}) // the request is read; an error means that there is no deadline to lift
	if err := x.send("ready", x.after, map[string]raft.Index{"index": x.after}); err != nil {
		return nil
	}
	var beats sync.WaitGroup
	defer beats.Wait()
	defer cancel(nil)
	beats.Go(func() { x.beat(ctx, cancel) })
	err := x.run(ctx)
	if cause := context.Cause(ctx); errors.Is(cause, raft.ErrClosed) {
		err = cause
	}
	if err != nil && !errors.Is(err, errClientGone) && !errors.Is(err, context.Canceled) {
		_ = x.send("error", 0, map[string]*apiError{"error": apiErrorOf(x.explain(err))}) // the end, whether it arrives or not
	}
	return nil
}

// errClientGone says that the client does not take what it is sent.
var errClientGone = errors.New("kv: the client of a watch is gone")

// run follows the log.
func (x *watcher) run(ctx context.Context) error {
	for batch, err := range x.reader.TailBatches(ctx) {
		if err != nil {
			return err
		}
		_, list, err := x.server.changes(ctx, batch.Last.Index, x.after, batch.Last.Index)
		if err != nil {
			return err
		}
		changed := map[raft.Index]bool{}
		for _, i := range list {
			changed[i] = true
		}
		sent := x.after
		for k := range batch.Entries {
			if !changed[batch.Entries[k].Index] {
				continue
			}
			if sent, err = x.pass(&batch.Entries[k], sent); err != nil {
				return err
			}
		}
		if x.after = batch.Last.Index; sent != x.after {
			if err := x.write(fmt.Appendf(nil, "id: %d\n\n", x.after)); err != nil { // where to go on, no event
				return err
			}
		}
	}
	return nil
}

// pass sends an entry that changed a key, if it is one that the client watches, and returns what the client has.
func (x *watcher) pass(e *engine.Entry, sent raft.Index) (raft.Index, error) {
	entry, err := raft.DecodeCommand(raft.CommandKind(e.Type), e.Data)
	if err != nil {
		return sent, err
	}
	c, err := decodeCommand(entry.Payload)
	if err != nil {
		return sent, err
	}
	if !strings.HasPrefix(c.Key, x.prefix) {
		return sent, nil
	}
	kind, data := "delete", change{Index: e.Index, Key: c.Key}
	if c.Op == opPut {
		v := textOf(c.Value)
		kind, data.Text = "put", &v
	}
	return e.Index, x.send(kind, e.Index, data)
}

// send sends an event; id 0 is none.
func (x *watcher) send(kind string, id raft.Index, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	out := "event: " + kind + "\n"
	if id > 0 || kind == "ready" {
		out += "id: " + strconv.FormatUint(uint64(id), 10) + "\n"
	}
	return x.write(append(append([]byte(out+"data: "), b...), "\n\n"...))
}

func (x *watcher) write(b []byte) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	_ = x.ctrl.SetWriteDeadline(time.Now().Add(watchPatience)) // as in serve
	if _, err := x.w.Write(b); err != nil {
		return errClientGone
	}
	if err := x.ctrl.Flush(); err != nil {
		return errClientGone
	}
	return nil
}

// beat sends comments until ctx ends, and ends it when nobody takes them.
func (x *watcher) beat(ctx context.Context, cancel context.CancelCauseFunc) {
	every := time.NewTicker(watchBeat)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			if x.write([]byte(":\n\n")) != nil {
				cancel(errClientGone)
				return
			}
		}
	}
}
