package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rawl-db/rawl/engine"
)

// Exit codes.
const (
	exitSound   = 0
	exitFailure = 1
	exitDamaged = 10
	exitInUse   = 11
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// command is one call of the tool.
type command struct {
	out, err io.Writer
	args     []string // behind the flags: DIR first

	json, payload, yes, all    bool
	walDir, file, acceptLosses string
	walDirB, uid               string
}

const usage = `usage: rawl COMMAND [flags] DIR ...

  ls      DIR                      logs, one per line
  stat    DIR                      summary: sizes, write-ahead log, owner
  dump    DIR UID [FIRST [LAST]]   entries of a log and where they are
  dump    -file NUMBER DIR         frames and records of one WAL file
  verify  DIR                      read and check everything
  recover DIR                      open, recover, flush, close
  repair  DIR                      plan a repair; with -yes do it
  diff    DIR DIR                  first entry in which two replicas' logs differ
  pins    DIR                      what holds which bytes
  readers DIR                      slots of named readers; live readers are known to the
                                   running engine only
  backup  DIR TO                   copy a directory that is not in use

  -json              one JSON document; dump: one object per line
  -wal DIR           the engine's WALDir, when it is not DIR/wal
  -payload           dump: show payloads, in hexadecimal
  -file NUMBER       dump: number of a WAL file, hexadecimal as in its name
  -yes               repair: write
  -uid UID           diff: this log only
  -wal-b DIR         diff: WALDir of the second directory, as -wal
  -accept-loss UIDS  repair: cut these logs (uid,uid) back to their last sound entry
  -all               repair: do that with every quarantined log

exit: 0 sound or done, 1 usage or failure, 10 damaged, quarantined or different, 11 in use
`

// run executes the tool and returns its exit code.
func run(args []string, out, errOut io.Writer) int {
	c := &command{out: out, err: errOut}
	if len(args) == 0 {
		fmt.Fprint(errOut, usage)
		return exitFailure
	}
	commands := map[string]struct {
		run      func() (int, error)
		min, max int
	}{
		"ls": {c.ls, 1, 1}, "stat": {c.stat, 1, 1}, "dump": {c.dump, 1, 4}, "verify": {c.verify, 1, 1},
		"recover": {c.recover, 1, 1}, "repair": {c.repair, 1, 1}, "diff": {c.diff, 2, 2}, "pins": {c.pins, 1, 1},
		"readers": {c.readers, 1, 1}, "backup": {c.backup, 2, 2},
	}
	do, known := commands[args[0]]
	switch {
	case args[0] == "help" || args[0] == "-h" || args[0] == "-help" || args[0] == "--help":
		fmt.Fprint(out, usage)
		return exitSound
	case !known:
		fmt.Fprintf(errOut, "rawl: no command %q; see rawl help\n", args[0])
		return exitFailure
	}
	if err := c.parse(args[0], args[1:]); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(out, usage)
		return exitSound
	} else if err != nil {
		fmt.Fprintf(errOut, "rawl %s: %v\n", args[0], err)
		return exitFailure
	}
	if len(c.args) < do.min || len(c.args) > do.max {
		fmt.Fprintf(errOut, "rawl %s: %d arguments; see rawl help\n", args[0], len(c.args))
		return exitFailure
	}
	code, err := do.run()
	if err != nil {
		fmt.Fprintf(errOut, "rawl %s: %v\n", args[0], err)
		return exitCode(err)
	}
	return code
}

// parse reads flags wherever they stand.
func (c *command) parse(name string, args []string) error {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.BoolVar(&c.json, "json", false, "")
	f.StringVar(&c.walDir, "wal", "", "")
	switch name {
	case "dump":
		f.BoolVar(&c.payload, "payload", false, "")
		f.StringVar(&c.file, "file", "", "")
	case "diff":
		f.StringVar(&c.uid, "uid", "", "")
		f.StringVar(&c.walDirB, "wal-b", "", "")
	case "repair":
		f.BoolVar(&c.yes, "yes", false, "")
		f.BoolVar(&c.all, "all", false, "")
		f.StringVar(&c.acceptLosses, "accept-loss", "", "")
	}
	for {
		if err := f.Parse(args); err != nil {
			return err
		}
		if f.NArg() == 0 {
			return nil
		}
		c.args = append(c.args, f.Arg(0))
		args = f.Args()[1:]
	}
}

func (c *command) dir() string { return c.args[0] }

func exitCode(err error) int {
	switch {
	case errors.Is(err, engine.ErrInUse):
		return exitInUse
	case errors.Is(err, engine.ErrCorrupt), errors.Is(err, engine.ErrMissingWAL), errors.Is(err, engine.ErrIncomplete):
		return exitDamaged
	}
	return exitFailure
}

func soundOr(damaged bool) int {
	if damaged {
		return exitDamaged
	}
	return exitSound
}

func (c *command) uids() []engine.UID {
	var uids []engine.UID
	for _, s := range strings.Split(c.acceptLosses, ",") {
		if s != "" {
			uids = append(uids, engine.UID(s))
		}
	}
	return uids
}
