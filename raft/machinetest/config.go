package machinetest

import (
	"fmt"
	"math/rand/v2"

	"github.com/rawl-db/rawl/raft"
)

// Config says what to prove, and how thoroughly.
type Config struct {
	// New makes the machine, in its state before the first command. Required.
	New func() raft.Machine
	// Command draws a user's command from r, and from nothing else. Required.
	Command func(r *rand.Rand) []byte
	// Old makes the machine as an older release has it, whose Version is lower than, or equal to, that of New. nil
	// compares with no other release.
	Old func() raft.Machine
	// Seeds is the number of logs to make up, default 20; Entries that of entries in each, default 400.
	Seeds, Entries int
	// FirstSeed is the first seed, default 1.
	FirstSeed uint64
}

// T is the part of testing.TB that Run uses.
type T interface {
	Helper()
	Fatal(args ...any)
}

// Run fails the test when the machine breaks the contract.
func Run(t T, c Config) {
	t.Helper()
	if err := Check(c); err != nil {
		t.Fatal(err)
	}
}

// Check returns the first Violation that it finds, or ErrConfig, or nil. It waits for as long as the
// machine takes. A machine whose views are not frozen may make the Go runtime stop the process, when it
// finds a map read and written at once.
func Check(c Config) error {
	if c.New == nil || c.Command == nil || c.Seeds < 0 || c.Entries < 0 {
		return fmt.Errorf("%w: New and Command are required, %d seeds, %d entries", ErrConfig, c.Seeds, c.Entries)
	}
	if c.Seeds == 0 {
		c.Seeds = 20
	}
	if c.Entries == 0 {
		c.Entries = 400
	}
	if c.FirstSeed == 0 {
		c.FirstSeed = 1
	}
	for seed := c.FirstSeed; seed < c.FirstSeed+uint64(c.Seeds); seed++ {
		if err := checkSeed(&c, seed); err != nil {
			return err
		}
	}
	return nil
}

// checkSeed makes up one log and proves everything with it.
func checkSeed(c *Config, seed uint64) error {
	h, err := record(c, seed)
	if err != nil {
		return err
	}
	for _, check := range []func(*Config, *history) error{checkAgain, checkMemory, checkLocal, checkViews, checkFaults,
		checkRestore, checkOld} {
		if err := check(c, h); err != nil {
			return err
		}
	}
	return nil
}
