package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// child is a measuring process, seen from its parent.
type child struct{ *process }

// startChild starts a worker for the row, and waits until it is warm. The end of ctx kills it.
func startChild(ctx context.Context, r row) (*child, error) {
	p, err := startProcess(ctx, workerCommand)
	if err != nil {
		return nil, err
	}
	c := &child{p}
	if _, err := c.ask(r); err != nil {
		c.kill()
		return nil, err
	}
	return c, nil
}

// ask sends one line and waits for its answer.
func (c *child) ask(what any) (measure, error) {
	var r reply
	if err := c.exchange(what, &r); err != nil {
		return measure{}, fmt.Errorf("measuring process: %w", err)
	}
	if r.Error != "" {
		return measure{}, errors.New(r.Error)
	}
	return r.Measure, nil
}

func (c *child) slice(d time.Duration) (measure, error) { return c.ask(request{Slice: d}) }

// finish returns all slices together and waits for the process to end.
func (c *child) finish() (measure, error) {
	m, err := c.ask(request{})
	if err != nil {
		c.kill()
		return m, err
	}
	if err := c.process.finish(); err != nil {
		return m, fmt.Errorf("measuring process: %w", err)
	}
	return m, nil
}
