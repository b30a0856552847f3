package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/rawl-db/rawl/engine"
)

const (
	// retryAfter is the pause before the source is connected to again.
	retryAfter = 100 * time.Millisecond
	// saveEvery is after how many entries a log's place is saved, so that little of the log is read
	// again at the next start.
	saveEvery = 10_000
)

var (
	// ErrChecksum means that the running checksums of source and target differ.
	ErrChecksum = errors.New("mirror: entries are not those that the source has read")
	// errBroken wraps what a new connection may mend.
	errBroken = errors.New("mirror: connection lost")
)

// target mirrors the logs of a source to an engine, of which it is the owner.
type target struct {
	e      *engine.Engine
	places *places
	dial   func(context.Context) (net.Conn, error)
	once   bool
	log    *slog.Logger
}

// run mirrors all logs of the source, until ctx ends or with once until there is no more. Its error
// names each log that can not be mirrored.
func (t *target) run(ctx context.Context) error {
	var uids []engine.UID
	err := t.persist(ctx, func() (err error) {
		uids, err = t.list(ctx)
		return err
	})
	if err != nil {
		return err
	}
	failed := make([]error, len(uids))
	var logs sync.WaitGroup
	for i, uid := range uids {
		logs.Go(func() {
			if err := t.persist(ctx, func() error { return t.session(ctx, uid) }); err != nil {
				failed[i] = fmt.Errorf("log %s: %w", uid, err)
				t.log.Error("log is not mirrored any more", "uid", string(uid), "err", err)
			}
		})
	}
	logs.Wait()
	return errors.Join(failed...)
}

// persist calls try until it succeeds or fails for good. The end of ctx is an error with once only: a
// target that follows for ever has no other end.
func (t *target) persist(ctx context.Context, try func() error) error {
	for {
		err := try()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil && t.once:
			return context.Cause(ctx)
		case ctx.Err() != nil:
			return nil
		case !mends(err):
			return err
		}
		t.log.Debug("again", "err", err)
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
		}
	}
}

// mends reports whether it helps to try again. A gap that is met once more, because the source takes
// snapshots faster than they travel, is bridged by the next one.
func mends(err error) bool {
	return errors.Is(err, errBroken) || errors.Is(err, engine.ErrBusy) || errors.Is(err, engine.ErrReadOnly) || canRestart(err)
}

// ask connects, sends a request and calls answer with what comes. ctx closes the connection.
func (t *target) ask(ctx context.Context, frame []byte, answer func(*frameReader) error) error {
	conn, err := t.dial(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := send(conn, frame); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return answer(&frameReader{from: conn, limit: maxFrameBytes})
}

// list returns the names of the source's logs.
func (t *target) list(ctx context.Context) (uids []engine.UID, err error) {
	err = t.ask(ctx, appendFrame(nil, kindList, appendHello), func(r *frameReader) error {
		k, body, err := r.next()
		if err != nil || k != kindLogs {
			return broken(k, err)
		}
		uids, err = parseLogs(body)
		return err
	})
	return uids, err
}

// broken makes an error, or a frame that should not come, a reason to connect again.
func broken(k kind, err error) error {
	if err == nil {
		err = fmt.Errorf("%w: kind %d", ErrFrame, k)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", errBroken, err)
}

// session mirrors one log until the connection ends; nil means that there is no more.
func (t *target) session(ctx context.Context, uid engine.UID) error {
	m, err := t.open(uid)
	if err != nil {
		return err
	}
	req := request{UID: uid, Checksum: m.at.checksum, Once: t.once}
	if m.known {
		req.Cursor = &m.at.cursor
	}
	err = t.follow(ctx, m, req)
	if canRestart(err) {
		t.log.Warn("log restarts from a snapshot", "uid", string(uid), "behind", m.at.cursor.At.String(), "why", err)
		err = t.follow(ctx, m, request{UID: uid, Once: t.once, Restart: true})
	}
	return errors.Join(err, m.save())
}

// follow sends a request and takes what comes.
func (t *target) follow(ctx context.Context, m *mirrored, req request) error {
	defer m.interrupt()
	return t.ask(ctx, appendJSON(nil, kindFollow, appendHello(nil), req), func(r *frameReader) error {
		for {
			k, body, err := r.next()
			if err != nil {
				return broken(k, err)
			}
			if k == kindEnd {
				return nil
			}
			if err := m.take(ctx, k, body); err != nil {
				return err
			}
		}
	})
}
