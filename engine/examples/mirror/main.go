package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/rawl-db/rawl/engine"
)

// Exit codes.
const (
	exitDone       = 0
	exitFailure    = 1
	exitUnmirrored = 10
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// settings are what the flags say.
type settings struct {
	dir, address, cursors string
	write, once           bool
	logs                  int
	entries, snapshot     uint64
	walFile               int64
	out                   io.Writer
	log                   *slog.Logger
}

// run executes the program and returns its exit code.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	s := settings{out: out, log: slog.New(slog.NewTextHandler(errOut, nil))}
	side, err := s.parse(args, errOut)
	if err != nil {
		fmt.Fprintln(errOut, "mirror:", err)
		return exitFailure
	}
	if err := s.open(ctx, side); err != nil {
		fmt.Fprintln(errOut, "mirror:", err)
		for _, final := range []error{engine.ErrDiverged, engine.ErrCommitted, engine.ErrCompacted, ErrChecksum, ErrPlace} {
			if errors.Is(err, final) {
				return exitUnmirrored
			}
		}
		if refused := (*RefusedError)(nil); errors.As(err, &refused) {
			return exitUnmirrored
		}
		return exitFailure
	}
	return exitDone
}

// parse reads the flags and returns the side to run.
func (s *settings) parse(args []string, errOut io.Writer) (side func(context.Context, *engine.Engine) error, err error) {
	if len(args) == 0 {
		return nil, errors.New("source or target? see go doc github.com/rawl-db/rawl/engine/examples/mirror")
	}
	f := flag.NewFlagSet("mirror "+args[0], flag.ContinueOnError)
	f.SetOutput(errOut)
	f.StringVar(&s.dir, "dir", "", "directory of the engine")
	f.Int64Var(&s.walFile, "walfile", 0, "size of WAL files in bytes, 0 for the engine's default")
	switch args[0] {
	case "source":
		side = s.source
		f.StringVar(&s.address, "listen", "", "host:port or unix:path")
		f.BoolVar(&s.write, "write", false, "append demo entries")
		f.IntVar(&s.logs, "logs", 3, "with -write: number of logs")
		f.Uint64Var(&s.snapshot, "snapshot", 0, "with -write: take a snapshot after so many entries, 0 for never")
		f.Uint64Var(&s.entries, "entries", 0, "with -write: length of each log, 0 for no end")
	case "target":
		side = s.target
		f.StringVar(&s.address, "connect", "", "host:port or unix:path")
		f.StringVar(&s.cursors, "cursors", "", "directory of places, default -dir with .cursors behind it")
		f.BoolVar(&s.once, "once", false, "end with what is committed now")
	default:
		return nil, fmt.Errorf("no side %q", args[0])
	}
	if err := f.Parse(args[1:]); err != nil {
		return nil, err
	}
	if s.dir == "" || s.address == "" || f.NArg() > 0 {
		return nil, errors.New("-dir and -listen or -connect are needed, and nothing else")
	}
	if s.cursors == "" {
		s.cursors = s.dir + ".cursors"
	}
	return side, nil
}

// open runs a side on its engine. The engine is closed however long that takes.
func (s *settings) open(ctx context.Context, side func(context.Context, *engine.Engine) error) error {
	e, err := engine.Open(s.dir, engine.Options{WALFileBytes: s.walFile, Logger: s.log})
	if err != nil {
		return err
	}
	return errors.Join(side(ctx, e), e.Close(context.Background()))
}

// source serves, and beside that writes if it should.
func (s *settings) source(ctx context.Context, e *engine.Engine) error {
	if err := commitRecovered(e); err != nil {
		return err
	}
	d := demo{e: e, logs: s.logs, entries: s.entries, snapshot: s.snapshot}
	if !s.write {
		d.logs = 0
	}
	logs, err := d.open(ctx)
	if err != nil {
		return err
	}
	ln, err := listen(s.address)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, "listening on", ln.Addr())
	ctx, cancel := context.WithCancel(ctx)
	var writer sync.WaitGroup
	var failed error
	writer.Go(func() {
		if failed = d.write(ctx, logs); failed != nil {
			cancel()
		} else if ctx.Err() == nil {
			fmt.Fprintln(s.out, "written")
		}
	})
	err = (&source{e: e, log: s.log}).serve(ctx, ln)
	cancel()
	writer.Wait()
	return errors.Join(err, failed)
}

// listen listens on an address. A socket that a killed process left behind is removed.
func listen(address string) (net.Listener, error) {
	network, address := splitAddress(address)
	if network == "unix" {
		if info, err := os.Lstat(address); err == nil && info.Mode()&fs.ModeSocket != 0 {
			conn, err := net.Dial(network, address)
			if err == nil {
				_ = conn.Close()
				return nil, fmt.Errorf("mirror: %s is in use", address)
			}
			if err := os.Remove(address); err != nil {
				return nil, err
			}
		}
	}
	return net.Listen(network, address)
}

// target mirrors.
func (s *settings) target(ctx context.Context, e *engine.Engine) error {
	kept, err := openPlaces(s.cursors)
	if err != nil {
		return err
	}
	network, address := splitAddress(s.address)
	t := &target{e: e, places: kept, once: s.once, log: s.log, dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	return t.run(ctx)
}
