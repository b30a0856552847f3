package wal

import (
	"fmt"

	"github.com/rawl-db/rawl/internal/vfs"
)

// Strategy names the guarantee behind an acknowledgement; see the package documentation.
type Strategy uint8

const (
	// StrategyDatasync writes and syncs the data in one call. It is the default.
	StrategyDatasync Strategy = iota
	// StrategyDsync lets the descriptor sync the data of every write.
	StrategyDsync
	// StrategyOsync lets the descriptor sync data and metadata of every write.
	StrategyOsync
	// StrategySync writes, then syncs data and metadata.
	StrategySync
	// StrategyNone does not sync: a crash of the machine loses what was acknowledged.
	StrategyNone
)

var strategyNames = [...]string{"datasync", "dsync", "osync", "sync", "none"}

// String returns the strategy's name.
func (s Strategy) String() string { return enumName(strategyNames[:], int(s)) }

// ParseStrategy is the inverse of String.
func ParseStrategy(name string) (Strategy, error) {
	i, err := enumValue("strategy", strategyNames[:], name)
	return Strategy(i), err
}

// openMode is the sync mode in which files are opened for the strategy.
func (s Strategy) openMode() vfs.SyncMode {
	switch s {
	case StrategyDsync:
		return vfs.SyncData
	case StrategyOsync:
		return vfs.SyncFull
	}
	return vfs.SyncNone
}

// Prealloc says what a file looks like before it is written.
type Prealloc uint8

const (
	// PreallocRecycle writes into blocks that have been written before: files are used
	// again, new ones are filled with zeros. It is the default and the fastest.
	PreallocRecycle Prealloc = iota
	// PreallocFallocate reserves the space of every file and fills nothing. Files are not
	// used again.
	PreallocFallocate
	// PreallocNone lets files grow as they are written. They are not used again.
	PreallocNone
)

var preallocNames = [...]string{"recycle", "fallocate", "none"}

// String returns the name of the value.
func (p Prealloc) String() string { return enumName(preallocNames[:], int(p)) }

// ParsePrealloc is the inverse of String.
func ParsePrealloc(name string) (Prealloc, error) {
	i, err := enumValue("preallocation", preallocNames[:], name)
	return Prealloc(i), err
}

// Health is the state of the WAL as a whole.
type Health uint8

const (
	// OK means that batches are committed.
	OK Health = iota
	// ReadOnly means that there is no space to commit to: Append is refused, what is queued
	// waits, control records go on as long as the reserve lasts.
	ReadOnly
	// Failed is final: nothing will be committed any more.
	Failed
)

var healthNames = [...]string{"ok", "readOnly", "failed"}

// String returns the name of the state.
func (h Health) String() string { return enumName(healthNames[:], int(h)) }

func enumName(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown(%d)", i)
}

func enumValue(what string, names []string, name string) (int, error) {
	for i, n := range names {
		if n == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("wal: %s %q is none of %v", what, name, names)
}
