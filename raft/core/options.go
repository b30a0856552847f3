package core

import (
	"errors"
	"fmt"
)

// Strategy says when a cluster moves to a newer version of its machine.
type Strategy uint8

const (
	// VersionAll waits until every member has the version.
	VersionAll Strategy = 0
	// VersionQuorum takes the leader's own version as soon as it leads: a member with older code goes on
	// replicating and applies nothing behind it.
	VersionQuorum Strategy = 1
)

// Options of a server. The zero value of each field but Self is its default.
type Options struct {
	// Self is the server's identity.
	Self Identity
	// Machine is the newest version of the machine that this server's code has.
	Machine uint64
	// Strategy for newer versions.
	Strategy Strategy
	// BatchEntries bounds the entries of one message. Default 128, at most 65,536.
	BatchEntries int
	// BatchBytes bounds the payloads of one message, beyond its first entry. Default 1 MiB.
	BatchBytes int
	// WindowEntries bounds the entries on their way to one follower. Default 4,096.
	WindowEntries int
	// WindowBytes bounds their payloads; an entry larger than it goes alone. Default 8 MiB.
	WindowBytes int
	// Elections are drawn from 1 to ResetMS after the reset of the connection to the leader (default 100),
	// from SuspectMinMS to SuspectMaxMS after it was suspected (default 50 and 300). A failed election doubles the upper
	// bound, up to ElectionMaxMS (default 2,000).
	ResetMS, SuspectMinMS, SuspectMaxMS, ElectionMaxMS uint32
	// TransferMS bounds a transfer of leadership. Default 1,000.
	TransferMS uint32
	// ReadMS is after how long reads that nobody answered are asked for again. Default 100.
	ReadMS uint32
	// SnapshotMS is how long a snapshot that is received may make no progress. Default 30,000.
	SnapshotMS uint32
	// VersionsMS is how often peers with an older machine are asked for their version. Default 1,000.
	VersionsMS uint32
	// AwaitMS is after how long a missing entry is asked for again. Default 30,000.
	AwaitMS uint32
}

func (o Options) withDefaults() Options {
	integer := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	span := func(v *uint32, d uint32) {
		if *v == 0 {
			*v = d
		}
	}
	integer(&o.BatchEntries, 128)
	integer(&o.BatchBytes, 1<<20)
	integer(&o.WindowEntries, 4096)
	integer(&o.WindowBytes, 8<<20)
	span(&o.ResetMS, 100)
	span(&o.SuspectMinMS, 50)
	span(&o.SuspectMaxMS, 300)
	span(&o.ElectionMaxMS, 2000)
	span(&o.TransferMS, 1000)
	span(&o.ReadMS, 100)
	span(&o.SnapshotMS, 30_000)
	span(&o.VersionsMS, 1000)
	span(&o.AwaitMS, 30_000)
	return o
}

func (o Options) validate() error {
	var errs []error
	if err := o.Self.ID.Validate(); err != nil {
		errs = append(errs, err)
	}
	if err := o.Self.UID.Validate(); err != nil {
		errs = append(errs, err)
	}
	if o.Self.Incarnation == 0 {
		errs = append(errs, errors.New("core: Self has no incarnation"))
	}
	if o.Strategy > VersionQuorum {
		errs = append(errs, fmt.Errorf("core: Strategy %d is unknown", o.Strategy))
	}
	if o.BatchEntries < 1 || o.BatchEntries > 1<<16 {
		errs = append(errs, fmt.Errorf("core: BatchEntries %d is not in 1 to 65536", o.BatchEntries))
	}
	if o.BatchBytes < 1 || o.WindowEntries < 1 || o.WindowBytes < 1 {
		errs = append(errs, fmt.Errorf("core: BatchBytes %d, WindowEntries %d or WindowBytes %d is below 1", o.BatchBytes, o.WindowEntries, o.WindowBytes))
	}
	if o.SuspectMinMS > o.SuspectMaxMS || o.SuspectMaxMS > o.ElectionMaxMS {
		errs = append(errs, fmt.Errorf("core: SuspectMinMS %d, SuspectMaxMS %d, ElectionMaxMS %d are not ascending", o.SuspectMinMS, o.SuspectMaxMS, o.ElectionMaxMS))
	}
	return errors.Join(errs...)
}

// Restore is what a server knows when it starts, from its log and its snapshot.
type Restore struct {
	// State is the durable hard state.
	State HardState
	// Snapshot is the newest one; a zero ID when there is none. A new member of a new cluster has its initial
	// configuration here, with index 0; one that is to join has none.
	Snapshot SnapshotMeta
	// Terms are the first entry above the snapshot and the first of each later term, ascending.
	Terms []EntryID
	// Entries are those of the core's kinds above the snapshot, ascending.
	Entries []Entry
	// Last is the end of the log. All of it is durable.
	Last EntryID
	// Commit is an index that is known to be committed, at least the snapshot's.
	Commit Index
}
