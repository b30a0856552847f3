package raft

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/transport"
)

// Network is how a node reaches others.
type Network interface {
	// Join makes a node part of the network until the returned transport is closed. life numbers its lives and rises with each.
	Join(id NodeID, life uint64, r transport.Receiver[Packet]) (transport.Transport[Packet], error)
}

// InProcess is a network of nodes in this process, over one of package transport.
func InProcess(n *transport.Network[Packet]) Network { return inProcess{n} }

type inProcess struct{ net *transport.Network[Packet] }

// Join implements Network.
func (p inProcess) Join(id NodeID, _ uint64, r transport.Receiver[Packet]) (transport.Transport[Packet], error) {
	e, err := p.net.Join(id, r)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// NodeOptions configure a node. ID, Dir and Network must be set; the zero value of each other field is its
// default.
type NodeOptions struct {
	// ID names the node for all its lives: 1 to core.MaxNodeLen bytes.
	ID NodeID
	// Dir is the directory of its storage engine, made if need be.
	Dir string
	// Network joins it with the others.
	Network Network
	// Machines are what servers can run, by the name that is kept on disk. RegisterMachine adds others.
	Machines map[string]func() Machine
	// Queries are what other nodes may ask of a machine here. RegisterQuery adds others.
	Queries map[string]Query
	// MachineVersions says when a cluster moves to a newer version of its machine. Default: when all have it.
	MachineVersions core.Strategy
	// Engine configures that storage engine. Its Handler is the node's. While its health is stalled, after StallAfter, or read only,
	// leaders here hand over to a voter elsewhere that is better off, if there is one: they try once in twice the DetectionBound;
	// the default of StallAfter is that too, 1 s at least. When the engine has failed, its servers stop. A leader of whatever system
	// that is held up in one turn for as long, a Logger that hangs being one reason, loses its leadership to any voter elsewhere.
	Engine engine.Options
	// Systems are further storage engines, by name, for the servers that name one of them. A system that cannot be opened keeps
	// the node from opening; one that is left out keeps its servers, unknown here, until it is named again.
	Systems map[string]SystemOptions

	// HeartbeatInterval and DetectionBound are those between nodes. Defaults 100 ms and 1 s.
	HeartbeatInterval, DetectionBound time.Duration
	// SessionGrace is for how long the node of a session's client may be out of contact before the
	// session is expired. Default 1 min.
	SessionGrace time.Duration
	// TickInterval is how often Ticker and AuxHandler are called. Default 1 s. Machines with neither cost nothing.
	TickInterval time.Duration
	// SnapshotTimeout is for how long the transfer of a snapshot to another member may make no progress. What arrived is kept
	// for the next attempt. Default 30 s.
	SnapshotTimeout time.Duration
	// SnapshotBytesPerSecond bounds what this node sends of snapshots, to all members together, so that commits keep the device and
	// the network. At which rate states are written, and verified when they have come, Engine says. Default 80 MiB; -1 is no bound.
	SnapshotBytesPerSecond int64
	// RecoveryInterval is how many entries a server must have applied since it last wrote its state for an orderly stop to
	// write a recovery checkpoint: the next start goes on from there. Default 1,024; with -1 none is written.
	RecoveryInterval int
	// MaxCommandBytes bounds a command, of a client here as of one that a leader here is sent. Default 1 MiB, and never more
	// than the engine takes as an entry, less MaxCommandHeader. It should be the same on all nodes.
	MaxCommandBytes int
	// MailboxBytes bounds what waits for one server: beyond it messages are dropped, commands refused. Default 16 MiB.
	MailboxBytes int
	// UnappliedBytes bounds the commands of one leader that are not applied: beyond it the
	// answer is ErrBusy. Default 64 MiB.
	UnappliedBytes int
	// BatchEntries, BatchBytes, WindowEntries and WindowBytes are those of core.Options.
	BatchEntries, BatchBytes, WindowEntries, WindowBytes int
	// Authorize, if it is set, is asked before a call of another node is performed here, of a client or an operator there; an
	// error refuses it with ErrForbidden. It must not block, and is called by several goroutines. What members of a cluster tell
	// each other is not asked about: the transport knows its nodes. Default: every node may do everything.
	Authorize func(RemoteCall) error
	// Logger receives what an operator should know. Default: discarded.
	Logger *slog.Logger
	// Clock is the time that commands are stamped with, milliseconds since 1970 (UTC). It also numbers the lives of a node that
	// has lost its disk. Default the system's.
	Clock func() int64
}

func (o NodeOptions) withDefaults() NodeOptions {
	span := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	count := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	span(&o.HeartbeatInterval, 100*time.Millisecond)
	span(&o.DetectionBound, time.Second)
	span(&o.SessionGrace, time.Minute)
	span(&o.TickInterval, time.Second)
	span(&o.SnapshotTimeout, 30*time.Second)
	if o.SnapshotBytesPerSecond == 0 {
		o.SnapshotBytesPerSecond = 80 << 20
	}
	count(&o.RecoveryInterval, 1024)
	count(&o.MaxCommandBytes, 1<<20)
	count(&o.MailboxBytes, 16<<20)
	count(&o.UnappliedBytes, 64<<20)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = func() int64 { return time.Now().UnixMilli() }
	}
	return o
}

func (o NodeOptions) validate() error {
	var errs []error
	if len(o.ID) == 0 || len(o.ID) > core.MaxNodeLen {
		errs = append(errs, fmt.Errorf("raft: ID of %d bytes, want 1 to %d", len(o.ID), core.MaxNodeLen))
	}
	if o.Dir == "" {
		errs = append(errs, errors.New("raft: Dir is empty"))
	}
	if o.Network == nil {
		errs = append(errs, errors.New("raft: Network is nil"))
	}
	if o.Engine.Handler != nil {
		errs = append(errs, errors.New("raft: Engine.Handler is the node's own"))
	}
	errs = append(errs, o.validateSystems()...)
	if o.MaxCommandBytes < 1 || o.MailboxBytes < 1 || o.UnappliedBytes < 1 {
		errs = append(errs, fmt.Errorf("raft: MaxCommandBytes %d, MailboxBytes %d or UnappliedBytes %d is below 1",
			o.MaxCommandBytes, o.MailboxBytes, o.UnappliedBytes))
	}
	if r := o.SnapshotBytesPerSecond; r != -1 && r < 1<<10 {
		errs = append(errs, fmt.Errorf("raft: SnapshotBytesPerSecond %d, want 1 KiB or more, or -1", r))
	}
	if ms := o.SnapshotTimeout.Milliseconds(); ms < 1 || ms > math.MaxUint32 {
		errs = append(errs, fmt.Errorf("raft: SnapshotTimeout %v, want 1 ms to %d ms", o.SnapshotTimeout, uint32(math.MaxUint32)))
	}
	return errors.Join(errs...)
}
