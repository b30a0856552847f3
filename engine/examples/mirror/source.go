package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/rawl-db/rawl/engine"
)

const (
	// maxSessions bounds the connections that are served at a time; more wait to be accepted.
	maxSessions = 4096
	// requestWithin is how long a target may take to say what it wants.
	requestWithin = 10 * time.Second
	// takeWithin is how long a target may take to make room for a batch.
	takeWithin = time.Minute
)

// source serves the logs of an engine.
type source struct {
	e   *engine.Engine
	log *slog.Logger
}

// serve serves until ctx ends, and returns when all connections have ended. It closes ln.
func (s *source) serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var sessions sync.WaitGroup
	defer sessions.Wait()
	defer cancel()
	closed := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer closed()
	free := make(chan struct{}, maxSessions)
	for {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return nil
		}
		if err != nil {
			return errors.Join(err, ln.Close())
		}
		free <- struct{}{}
		sessions.Go(func() {
			defer func() { <-free }()
			if err := s.session(ctx, conn); err != nil && ctx.Err() == nil {
				s.log.Warn("connection ended", "err", err)
			}
		})
	}
}

// session answers one request. It closes conn.
func (s *source) session(ctx context.Context, conn net.Conn) error {
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := conn.SetReadDeadline(time.Now().Add(requestWithin)); err != nil {
		return err
	}
	k, body, err := (&frameReader{from: conn, limit: maxRequestBytes}).next()
	if err != nil {
		return err
	}
	if body, err = cutHello(body); err != nil {
		return err
	}
	switch k {
	case kindList:
		return s.list(conn)
	case kindFollow:
		var req request
		if err := parseJSON(body, &req); err != nil {
			return err
		}
		return s.watched(ctx, cancel, conn, &req)
	}
	return fmt.Errorf("%w: request of kind %d", ErrFrame, k)
}

// list sends the names of all logs.
func (s *source) list(conn net.Conn) error {
	uids := []engine.UID{}
	for l := range s.e.Logs() {
		uids = append(uids, l.UID())
	}
	slices.Sort(uids)
	return send(conn, appendJSON(nil, kindLogs, nil, uids))
}

// watched follows a log for as long as the target holds the connection: a reader that waits for
// entries would not notice its end.
func (s *source) watched(ctx context.Context, cancel func(), conn net.Conn, req *request) error {
	var watcher sync.WaitGroup
	defer watcher.Wait() // conn is closed by then, or by ctx
	defer cancel()
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	watcher.Go(func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, conn) // a target says nothing more
	})
	return s.follow(ctx, conn, req)
}

// follow sends what comes behind the request's place, until ctx ends, or to the end of what is
// committed.
func (s *source) follow(ctx context.Context, conn net.Conn, req *request) error {
	r, err := s.open(conn, req)
	if err != nil {
		return err
	}
	defer r.Close()
	place := r.Cursor().String()
	if err := send(conn, appendFrame(nil, kindPlace, func(b []byte) []byte { return append(b, place...) })); err != nil {
		return err
	}
	batches := r.TailBatches(ctx)
	if req.Once {
		batches = r.Batches(ctx)
	}
	var buf []byte
	for batch, err := range batches {
		if ctx.Err() != nil || errors.Is(err, engine.ErrClosed) {
			return nil
		}
		if err != nil {
			return refuse(conn, err)
		}
		buf = appendBatch(buf[:0], kindBatch, &batch)
		if err := send(conn, buf); err != nil {
			return err
		}
	}
	return send(conn, appendFrame(buf[:0], kindEnd, func(b []byte) []byte { return b }))
}

// open opens the reader that a request asks for, and sends a snapshot first if it asks for that. After an
// error the target was told.
func (s *source) open(conn net.Conn, req *request) (*engine.Reader, error) {
	o := engine.ReaderOptions{Name: "mirror", Checksums: true, Checksum: req.Checksum}
	if !req.Restart {
		from := engine.AtIndex(1)
		if req.Cursor != nil {
			from = engine.AtCursor(*req.Cursor)
		}
		r, err := s.e.OpenReader(req.UID, from, o)
		if err != nil {
			return nil, refuse(conn, err)
		}
		return r, nil
	}
	snapshot, r, err := s.e.Bootstrap(req.UID, o)
	if err != nil {
		return nil, refuse(conn, err)
	}
	if snapshot == nil {
		return r, nil
	}
	if err := errors.Join(s.sendSnapshot(conn, req.UID, snapshot), snapshot.Close()); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// refuse tells the target why there is nothing more, and returns that.
func refuse(conn net.Conn, why error) error {
	return errors.Join(why, send(conn, appendJSON(nil, kindRefused, nil, refusal(why))))
}

// send writes frames. A target that takes none for too long loses the connection.
func send(conn net.Conn, frames []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(takeWithin)); err != nil {
		return err
	}
	_, err := conn.Write(frames)
	return err
}
