package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// shownEvents is how many records an eventLog keeps.
const shownEvents = 40

// event is one record of the log, for the status page.
type event struct {
	Time  time.Time `json:"time"`
	Level string    `json:"level"`
	Text  string    `json:"text"`
}

// eventLog is a slog.Handler that hands on what it gets, and keeps the newest records.
type eventLog struct {
	slog.Handler
	prefix string // attributes of With
	ring   *eventRing
}

type eventRing struct {
	mu   sync.Mutex
	list []event
}

func newEventLog(to slog.Handler) *eventLog { return &eventLog{Handler: to, ring: &eventRing{}} }

// Enabled implements slog.Handler: what is shown is kept, whoever else wants it.
func (l *eventLog) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || l.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (l *eventLog) Handle(ctx context.Context, r slog.Record) error {
	var text strings.Builder
	text.WriteString(r.Message + l.prefix)
	r.Attrs(func(a slog.Attr) bool {
		text.WriteString(" " + a.String())
		return true
	})
	if r.Level >= slog.LevelInfo {
		l.ring.add(event{r.Time, r.Level.String(), text.String()})
	}
	if !l.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l *eventLog) WithAttrs(list []slog.Attr) slog.Handler {
	c := *l
	for _, a := range list {
		c.prefix += " " + a.String()
	}
	c.Handler = l.Handler.WithAttrs(list)
	return &c
}

// WithGroup implements slog.Handler.
func (l *eventLog) WithGroup(name string) slog.Handler {
	c := *l
	c.Handler = l.Handler.WithGroup(name)
	return &c
}

func (r *eventRing) add(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == 2*shownEvents {
		r.list = append(r.list[:0], r.list[shownEvents:]...)
	}
	r.list = append(r.list, e)
}

// newest returns the newest records, the newest first.
func (l *eventLog) newest() []event {
	l.ring.mu.Lock()
	defer l.ring.mu.Unlock()
	list := make([]event, 0, shownEvents)
	for k := len(l.ring.list) - 1; k >= 0 && len(list) < shownEvents; k-- {
		list = append(list, l.ring.list[k])
	}
	return list
}
