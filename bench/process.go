package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// process is this program, started again for a hidden subcommand that reads and writes one JSON value after the other. It ends
// when its input does.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	enc *json.Encoder
	dec *json.Decoder
}

// startProcess starts a hidden subcommand. The end of ctx kills it.
func startProcess(ctx context.Context, command string) (_ *process, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, exe, command)}
	p.cmd.WaitDelay, p.cmd.Stderr = time.Second, os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.enc, p.dec = json.NewEncoder(p.in), json.NewDecoder(out)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start process: %w", err)
	}
	return p, nil
}

// exchange writes one value and reads the answer to it.
func (p *process) exchange(what, answer any) error {
	if err := p.enc.Encode(what); err != nil {
		return err
	}
	return p.dec.Decode(answer)
}

// finish ends the input and waits for the process to end.
func (p *process) finish() error {
	_ = p.in.Close()
	return p.cmd.Wait()
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
