package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// sseEvent is one event of a stream.
type sseEvent struct{ Kind, ID, Data string }

// errStream wraps what is wrong with a stream.
var errStream = errors.New("kv: malformed stream of events")

// readEvents reads a stream and calls f with each event, one without data among them, until f or the reader fails.
func readEvents(r io.Reader, f func(sseEvent) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20) // a value of full length, every byte escaped
	var e sseEvent
	for lines.Scan() {
		switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
		case "":
			if e != (sseEvent{}) {
				if err := f(e); err != nil {
					return err
				}
			}
			e = sseEvent{}
		case "event":
			e.Kind = value
		case "id":
			e.ID = value
		case "data":
			e.Data = value
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("%w: %w", errStream, err)
	} else if err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

// watch prints changes until ctx ends. When a node goes away it goes on at the next, where it was.
func (i *invocation) watch(ctx context.Context, args []string) error {
	q := url.Values{"prefix": {strings.Join(args, "")}}
	if i.after != "" {
		q.Set("after", i.after)
	}
	for k := 0; ; k++ {
		err := i.follow(ctx, i.client.servers[k%len(i.client.servers)], q)
		var final *apiError
		switch {
		case ctx.Err() != nil:
			return nil // interrupted
		case errors.As(err, &final) && !final.Retry, errors.Is(err, errStream):
			return err
		}
		fmt.Fprintln(i.errOut, "kv: the watch goes on elsewhere:", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// follow watches on one server, and notes in q where it is.
func (i *invocation) follow(ctx context.Context, server string, q url.Values) error {
	answer, err := i.send(ctx, server, call{method: http.MethodGet, path: "/v1/watch", query: q, read: true})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10)) // what came is what can be shown
		return errorIn(answer.StatusCode, body)
	}
	return readEvents(answer.Body, func(e sseEvent) error {
		if e.Kind == "error" {
			return errorIn(http.StatusOK, []byte(e.Data))
		}
		if e.ID != "" {
			q.Set("after", e.ID)
		}
		if e.Kind != "put" && e.Kind != "delete" {
			return nil
		}
		_, err := fmt.Fprintf(i.out, "%s %s\n", e.Kind, e.Data)
		return err
	})
}
