package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitUnknown = 3 // a write may have been applied
	exitNot     = 4 // there is no such key, or the comparison failed
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// errUsage wraps what is wrong with the command line.
var errUsage = errors.New("see go doc github.com/rawl-db/rawl/raft/examples/kv")

// run executes the program and returns its exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	var err error
	switch name {
	case "-demo", "--demo", "demo":
		err = demo(ctx, args, out, errOut)
	case "serve":
		err = serve(ctx, args, out, errOut)
	case "certify":
		err = certifyCommand(args, errOut)
	default:
		err = clientCommand(ctx, name, args, in, out, errOut)
	}
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitDone
	}
	fmt.Fprintln(errOut, "kv:", err)
	var api *apiError
	var unknown *unknownError
	switch {
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.As(err, &unknown), errors.As(err, &api) && api.Applied == appliedMaybe:
		return exitUnknown
	case errors.As(err, &api) && (api.Code == "no_such_key" || api.Code == "mismatch"):
		return exitNot
	}
	return exitFailed
}

// parse reads flags, and wants between min and max arguments behind them.
func parse(f *flag.FlagSet, args []string, errOut io.Writer, min, max int) error {
	f.SetOutput(errOut)
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if n := f.NArg(); n < min || n > max {
		return fmt.Errorf("%w: %s takes %d to %d arguments, not %d", errUsage, f.Name(), min, max, n)
	}
	return nil
}

func certifyCommand(args []string, errOut io.Writer) error {
	f := flag.NewFlagSet("certify", flag.ContinueOnError)
	dir := f.String("dir", "", "directory of the authority, made if need be")
	if err := parse(f, args, errOut, 1, 100); err != nil {
		return err
	}
	if *dir == "" {
		return fmt.Errorf("%w: certify needs -dir", errUsage)
	}
	for _, node := range f.Args() {
		if err := certify(*dir, node); err != nil {
			return err
		}
	}
	return nil
}
