package errorfs

import "fmt"

// Fault is what befalls an operation.
type Fault uint8

const (
	// EIO fails any operation, which then has no effect; a sync has that of SyncDropped, and
	// a Close closes nevertheless.
	EIO Fault = iota + 1
	// LateEIO carries the operation out in full and reports EIO. A file that was created or
	// opened, or a lock that was taken, is closed again.
	LateEIO
	// NoSpace fails what may need space with ENOSPC: Create, Lock, Write, Rename, Link and
	// MkdirAll. A write stores its first half.
	NoSpace
	// ShortTransfer ends a read or write in the middle: ErrShortWrite or io.EOF. The middle of
	// a direct transfer is rounded down to a block.
	ShortTransfer
	// SyncDropped fails a sync, or a write that implies one: programs go on reading the new
	// bytes, later syncs succeed, and the device never gets them (ext4, xfs). A failed SyncDir
	// leaves the entries unsynced.
	SyncDropped
	// SyncReverted fails a sync and makes programs read the old bytes (btrfs).
	SyncReverted
	// SyncTorn fails a sync of which the device got a part, drawn from the operation's number.
	SyncTorn
	// SyncKept fails a sync after which everything is durable nevertheless.
	SyncKept
	// Stall blocks any operation until Release or Heal, and then carries it out. Nothing else
	// blocks: of a queue only the operation itself and those linked behind it.
	Stall
)

// Faults returns every fault that ends in an error: all but Stall.
func Faults() []Fault {
	return []Fault{EIO, LateEIO, NoSpace, ShortTransfer, SyncDropped, SyncReverted, SyncTorn, SyncKept}
}

func (f Fault) String() string {
	names := [...]string{"none", "EIO", "late EIO", "no space", "short transfer",
		"sync dropped", "sync reverted", "sync torn", "sync kept", "stall"}
	if int(f) >= len(names) {
		return fmt.Sprintf("fault(%d)", uint8(f))
	}
	return names[f]
}

// hits says whether the fault can befall the operation.
func (f Fault) hits(op Op) bool {
	switch f {
	case NoSpace:
		switch op.Kind {
		case OpCreate, OpLock, OpWrite, OpRename, OpLink, OpMkdirAll:
			return true
		}
		return false
	case ShortTransfer:
		return op.Kind == OpRead || op.Kind == OpWrite
	case SyncDropped, SyncReverted, SyncTorn, SyncKept:
		switch op.Kind {
		case OpDatasync, OpSync, OpSyncDir:
			return true
		}
		return op.Kind == OpWrite && op.Durable
	}
	return true
}

// OpKind names an operation.
type OpKind uint8

const (
	OpCreate OpKind = iota + 1
	OpOpen
	OpRename
	OpLink
	OpRemove
	OpMkdirAll
	OpList
	OpStat
	OpSyncDir
	OpLock
	OpFreeSpace
	OpRead
	OpWrite
	OpDatasync
	OpSync
	OpTruncate
	OpSize
	OpClose
)

func (k OpKind) String() string {
	names := [...]string{"none", "create", "open", "rename", "link", "remove", "mkdir", "list", "stat", "syncdir",
		"lock", "statfs", "read", "write", "datasync", "sync", "truncate", "size", "close"}
	if int(k) >= len(names) {
		return fmt.Sprintf("op(%d)", uint8(k))
	}
	return names[k]
}

// Op describes an operation to Plan.Match and to who waits for a stall.
type Op struct {
	Kind OpKind
	// Name is what the caller named, or the name the file was opened with; To is the new name
	// of OpRename and OpLink.
	Name, To string
	// Off and Len are the bytes of OpRead and OpWrite; Len is the size of OpTruncate and OpCreate.
	Off, Len int64
	// Durable says that an OpWrite implies a sync, by its DSync or its file's SyncMode.
	Durable bool
	// Queued says that it came through a Queue.
	Queued bool
}
