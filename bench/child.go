package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// child is a measuring process, seen from its parent.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	enc *json.Encoder
	dec *json.Decoder
}

// startChild starts this program again as a worker for the row, and waits until it is warm.
// The end of ctx kills it.
func startChild(ctx context.Context, r row) (_ *child, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, exe, workerCommand)}
	c.cmd.WaitDelay = time.Second
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.enc, c.dec = json.NewEncoder(c.in), json.NewDecoder(out)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start measuring process: %w", err)
	}
	_, err = c.ask(r)
	if err != nil {
		c.kill()
		return nil, err
	}
	return c, nil
}

// ask sends one line and waits for its answer.
func (c *child) ask(what any) (measure, error) {
	if err := c.enc.Encode(what); err != nil {
		return measure{}, fmt.Errorf("measuring process: %w", err)
	}
	var r reply
	if err := c.dec.Decode(&r); err != nil {
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
	_ = c.in.Close()
	if err := c.cmd.Wait(); err != nil {
		return m, fmt.Errorf("measuring process: %w", err)
	}
	return m, nil
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}
