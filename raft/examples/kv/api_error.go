package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// What an apiError says of a write.
const (
	appliedNo    = "no"    // it was not applied, and will not be
	appliedMaybe = "maybe" // it may have been applied, or may still be
)

// apiError is the answer to a request that failed.
type apiError struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
	// Applied is there for writes only.
	Applied string `json:"applied,omitempty"`
	// Retry says that the same request may go well later, here or on another node.
	Retry bool `json:"retry"`
	// Leader is the node that is believed to lead, if that is known.
	Leader string `json:"leader,omitempty"`
	// Version is the key's version when a comparison failed.
	Version *raft.Index `json:"version,omitempty"`
}

func (e *apiError) Error() string { return e.Code + ": " + e.Message }

// badRequest makes an apiError about the request itself: nothing was applied, and it will not go well another time.
func badRequest(status int, code, message string) *apiError {
	return &apiError{Status: status, Code: code, Message: message, Applied: appliedNo}
}

// failures are what errors mean over HTTP, the first that fits.
var failures = []struct {
	err    error
	status int
	code   string
}{
	{raft.ErrTooLarge, http.StatusRequestEntityTooLarge, "too_large"},
	{raft.ErrSessionExpired, http.StatusGone, "session_expired"},
	{raft.ErrStale, http.StatusConflict, "given_up"},
	{raft.ErrSessionsFull, http.StatusServiceUnavailable, "sessions_full"},
	{raft.ErrForbidden, http.StatusForbidden, "forbidden"},
	{core.ErrChangeInProgress, http.StatusConflict, "change_in_progress"},
	{core.ErrConfigurationMoved, http.StatusConflict, "configuration_moved"},
	{core.ErrAlreadyMember, http.StatusConflict, "already_member"},
	{core.ErrNotMember, http.StatusNotFound, "not_a_member"},
	{core.ErrNotVoter, http.StatusConflict, "not_a_voter"},
	{core.ErrBadMember, http.StatusConflict, "bad_member"},
	{core.ErrAlreadyLeader, http.StatusConflict, "already_leader"},
	{core.ErrTransferring, http.StatusServiceUnavailable, "transferring"},
	{core.ErrTransferTimeout, http.StatusServiceUnavailable, "transfer_failed"},
	{raft.ErrBusy, http.StatusServiceUnavailable, "busy"},
	{raft.ErrUnknownServer, http.StatusServiceUnavailable, "no_member_here"},
	{raft.ErrStopped, http.StatusServiceUnavailable, "member_stopped"},
	{raft.ErrClosed, http.StatusServiceUnavailable, "stopping"},
	{raft.ErrNoLeader, http.StatusServiceUnavailable, "no_leader"},
	{raft.ErrLost, http.StatusServiceUnavailable, "lost_track"},
	{raft.ErrUnreachable, http.StatusServiceUnavailable, "unreachable"},
	{context.DeadlineExceeded, http.StatusGatewayTimeout, "timeout"},
	{context.Canceled, http.StatusServiceUnavailable, "canceled"},
}

// apiErrorOf turns what went wrong into an answer.
func apiErrorOf(err error) *apiError {
	var done *apiError
	if errors.As(err, &done) {
		return done
	}
	e := &apiError{Status: http.StatusInternalServerError, Code: "internal", Message: err.Error()}
	for _, f := range failures {
		if errors.Is(err, f.err) {
			e.Status, e.Code = f.status, f.code
			break
		}
	}
	var p *raft.ProposalError
	if !errors.As(err, &p) { // a read
		e.Retry = e.Status >= http.StatusInternalServerError && e.Code != "internal"
		return e
	}
	e.Applied, e.Retry, e.Leader = appliedNo, p.Retriable, p.Leader.Node
	if p.Outcome == raft.MaybeApplied {
		e.Applied = appliedMaybe
	}
	return e
}

// writeError answers with an error.
func writeError(w http.ResponseWriter, err error) {
	e := apiErrorOf(err)
	if e.Retry {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, e.Status, map[string]*apiError{"error": e})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the client is gone: nobody is left to tell
}
