package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// command is one subcommand. run parses its own arguments.
type command struct {
	name, brief string
	run         func(ctx context.Context, args []string) error
}

func commands() []command {
	return []command{
		{"engine", "one row, chosen by flags", runEngine},
		{"read", "reads from memory and from segments", runRead},
		{"snapshot", "captured states and compactions beside writers and the device", runSnapshot},
		{"readers", "what external readers cost the writers", runReaders},
		{"flush", "flush of many logs with nothing in the foreground", runFlush},
		{"recover", "recovery of a full WAL; ten thousand idle logs", runRecover},
		{"raft", "clusters of three members, in one process or in three", runRaft},
		{"transfer", "a snapshot that goes to new members while clients write, and is interrupted", runTransfer},
		{"idle", "many clusters at rest: start, memory, CPU, reopening", runIdle},
		{"calm", "whether nodes take one another for lost under full CPU load", runCalm},
		{"doctor", "what this disk and kernel can do, and what auto chooses", runDoctor},
		{tortureCommand, "random work to be killed; -verify proves what is left", runTorture},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := dispatch(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return runSuite(ctx, args)
	}
	switch args[0] {
	case workerCommand:
		return runWorker(os.Stdin, os.Stdout)
	case nodeCommand:
		return runNode(ctx, os.Stdin, os.Stdout)
	case burnCommand:
		return burn(os.Stdin)
	case idleCommand:
		return runIdleLife(ctx, os.Stdin, os.Stdout)
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, args[1:])
		}
	}
	return fmt.Errorf("unknown command %q; -h lists them", args[0])
}

// newFlags makes a flag set that prints what the command is for before its flags.
func newFlags(name, text string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "usage: bench %s [flags]\n\n%s\n\n", name, text)
		fs.PrintDefaults()
	}
	return fs
}

// parse refuses what is left over after the flags.
func parse(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			err = fmt.Errorf("%w (%w)", err, flag.ErrHelp)
		}
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return nil
}
