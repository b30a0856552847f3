package main

import (
	"context"
	"fmt"

	"github.com/rawl-db/rawl/engine"
)

// backup copies a directory that is not in use.
func (c *command) backup() (int, error) {
	to := c.args[1]
	if err := engine.Backup(context.Background(), c.dir(), c.walDir, to); err != nil {
		return 0, err
	}
	if c.json {
		return exitSound, writeJSON(c.out, map[string]string{"dir": c.dir(), "backup": to})
	}
	fmt.Fprintf(c.out, "copied %s to %s\n", c.dir(), to)
	return exitSound, nil
}
