package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// Bounds of sessions.
const (
	maxSessions     = 256
	maxOutstanding  = 16  // writes of one session that are not answered
	keptAnswers     = 128 // of one session, for those who ask again
	sessionIdleness = 15 * time.Minute
)

// sessions are those that clients opened on this node. A client numbers its writes; one that it sends again under the same number gets the
// answer to the first, whether that is there already or not. Towards the cluster each is a raft.ClientSession, so that the write
// is applied once, whatever leaders do meanwhile. Both end with the life of the node.
type sessions struct {
	server *server

	mu   sync.Mutex
	open map[string]*session
}

type session struct {
	raft *raft.ClientSession

	mu sync.Mutex
	// attempts are the newest writes by their number, those that were answered and those that were not.
	attempts    map[uint64]*attempt
	forgotten   uint64 // answers to numbers up to it are not kept
	outstanding int
	used        time.Time
}

// attempt is one write.
type attempt struct {
	command [sha256.Size]byte
	done    chan struct{} // closed when the fields below are set
	reply   raft.Reply
	err     error
}

func (t *sessions) get(id string) (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if x := t.open[id]; x != nil {
		return x, nil
	}
	return nil, &apiError{Status: http.StatusGone, Code: "session_expired", Message: "there is no such session on this node, or no longer", Applied: appliedMaybe}
}

// process has the session's command of that number applied, once, and returns the answer. It waits until ctx ends; the write goes on
// without it, and can be asked for again by the same number.
func (t *sessions) process(ctx context.Context, id, number string, command []byte) (raft.Reply, error) {
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || n == 0 {
		return raft.Reply{}, badRequest(http.StatusBadRequest, "bad_sequence", "sequence numbers the writes of a session from 1")
	}
	x, err := t.get(id)
	if err != nil {
		return raft.Reply{}, err
	}
	a, fresh, err := x.begin(n, command)
	if err != nil {
		return raft.Reply{}, err
	}
	if fresh {
		if err := t.start(x, n, a, command); err != nil {
			return raft.Reply{}, err
		}
	}
	select {
	case <-a.done:
		return a.reply, a.err
	case <-ctx.Done():
		return raft.Reply{}, &apiError{Status: http.StatusGatewayTimeout, Code: "timeout", Message: "there is no answer yet", Applied: appliedMaybe, Retry: true}
	}
}

// begin finds the attempt of a number, or makes it.
func (x *session) begin(n uint64, command []byte) (a *attempt, fresh bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.used = time.Now()
	sum := sha256.Sum256(command)
	if a := x.attempts[n]; a != nil {
		if a.command != sum {
			return nil, false, badRequest(http.StatusConflict, "sequence_in_use", "another write of the session had this number")
		}
		return a, false, nil
	}
	if n <= x.forgotten {
		return nil, false, &apiError{Status: http.StatusConflict, Code: "answer_forgotten", Message: "the answer to this number is not kept any more", Applied: appliedMaybe}
	}
	if x.outstanding == maxOutstanding {
		return nil, false, &apiError{Status: http.StatusTooManyRequests, Code: "busy", Message: "too many writes of the session are under way", Applied: appliedNo, Retry: true}
	}
	a = &attempt{command: sum, done: make(chan struct{})}
	x.attempts[n] = a
	x.outstanding++
	return a, true, nil
}

// start sends a new attempt on its way. It ends when it is answered, or with the node.
func (t *sessions) start(x *session, n uint64, a *attempt, command []byte) error {
	release, err := t.server.admit()
	if err != nil {
		x.finish(n, a, raft.Reply{}, err)
		x.withdraw(n)
		return err
	}
	t.server.background.Go(func() {
		defer release()
		reply, err := x.raft.Process(t.server.life, command, raft.ProcessOptions{})
		x.finish(n, a, reply, err)
		if err == nil {
			return
		}
		if e := apiErrorOf(err); e.Applied == appliedNo && e.Retry {
			x.withdraw(n)
		}
	})
	return nil
}

// finish answers an attempt, and forgets what is too old.
func (x *session) finish(n uint64, a *attempt, reply raft.Reply, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a.reply, a.err = reply, err
	close(a.done)
	x.outstanding--
	if n > keptAnswers {
		x.forgotten = max(x.forgotten, n-keptAnswers)
	}
	for k, old := range x.attempts { // those without an answer stay until they have one
		if k <= x.forgotten && old.answered() {
			delete(x.attempts, k)
		}
	}
}

func (a *attempt) answered() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// withdraw lets a number be used again whose write was not applied.
func (x *session) withdraw(n uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.attempts, n)
}

// openSession opens a session.
func (s *server) openSession(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel, err := deadline(r)
	if err != nil {
		return err
	}
	defer cancel()
	s.sessions.expire(ctx)
	if s.sessions.count() >= maxSessions {
		return &apiError{Status: http.StatusServiceUnavailable, Code: "sessions_full", Message: "the node has no room for another session", Applied: appliedNo, Retry: true}
	}
	opened, err := s.node.OpenSession(ctx, s.self, raft.SessionOptions{})
	if err != nil {
		return err
	}
	id := rand.Text() // hard to guess, and of no other life of the node
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	if s.sessions.open == nil {
		s.sessions.open = map[string]*session{}
	}
	s.sessions.open[id] = &session{raft: opened, attempts: map[uint64]*attempt{}, used: time.Now()}
	writeJSON(w, http.StatusOK, map[string]any{"session": id, "node": s.opts.ID, "idle_seconds": int(sessionIdleness.Seconds())})
	return nil
}

func (s *server) closeSession(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	x, err := s.sessions.get(id)
	if err != nil {
		return err
	}
	ctx, cancel, err := deadline(r)
	if err != nil {
		return err
	}
	defer cancel()
	s.sessions.drop(id)
	if err := x.raft.Close(ctx); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]bool{"closed": true})
	return nil
}

func (t *sessions) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

func (t *sessions) drop(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, id)
}

// expire closes the sessions that nobody uses.
func (t *sessions) expire(ctx context.Context) {
	t.mu.Lock()
	var idle []*session
	for id, x := range t.open {
		x.mu.Lock()
		if x.outstanding == 0 && time.Since(x.used) > sessionIdleness {
			delete(t.open, id)
			idle = append(idle, x)
		}
		x.mu.Unlock()
	}
	t.mu.Unlock()
	for _, x := range idle {
		if err := x.raft.Close(ctx); err != nil { // the cluster keeps it for as long as this node lives
			t.server.log.Warn("an idle session could not be closed", "err", err)
		}
	}
}
