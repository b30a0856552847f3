package raft

import "io"

// Machine is the replicated state machine of one member, written by the user. Every member applies the same
// commands in the same order, so all of them must come to the same state, replies and effects: a machine
// looks at nothing but its state, the command and the Meta, and knows no clock, no randomness, no map order
// and no other machine. Package machinetest proves the contract for a machine of yours.
//
// All methods are called by one goroutine at a time; only a View is used beside it. A method may take its
// time: it holds up its own cluster's member and no other. A panic stops this member alone, with a
// MachineError.
type Machine interface {
	// Apply applies a user's command, appends effects to ctx, and returns the reply. The command must not
	// be changed, and must not be kept, not even in part: it lies in the log's memory; copy what is to
	// stay. The reply belongs to the caller from then on: it must not be changed any more. It may be nil;
	// one above MaxReply is not delivered: its client gets ErrReplyTooLarge, and the command is applied all
	// the same. A command that the machine refuses is a reply that says so; there are no errors.
	Apply(ctx *ApplyContext, command []byte) (reply []byte)

	// Snapshot captures the state as it is now, at once, without encoding or copying all of it: commands wait for
	// it. Equal states give Views that write equal bytes.
	Snapshot() View

	// Restore takes over a state that a View of this or another member wrote, up to io.EOF. It is called at
	// most once, on a machine that has applied nothing. Errors of the reader are returned; after an error
	// the machine is not used any more.
	Restore(r io.Reader) error
}

// View is the state of a machine at one moment. WriteTo runs on another goroutine, once, or not at all,
// while later commands are applied, and writes the state as it was when Snapshot returned. Errors of the
// writer are returned. Equal states should be written as equal bytes: a member that had a part of it from one leader takes the rest
// from another then. A View that is an io.Closer is closed when it is not needed any more, by any
// goroutine.
type View interface {
	io.WriterTo
}

// Meta is what a machine may know of the entry that it applies.
type Meta struct {
	Index Index
	Term  Term
	// Time is the leader's clock when it appended the entry, in milliseconds since 1970 (UTC). It
	// never falls from one entry to the next, also when leaders' clocks differ.
	Time int64
	// Version is the machine version in force; 0 for a machine that is not Versioned.
	Version uint64
	// Session, when not zero, is the client's session, and the command's number in it.
	Session  SessionHeader
	Priority Priority
	// Reply, Origin and ReplyNode say who answers whom.
	Reply     ReplyMode
	Origin    Origin
	ReplyNode NodeID
}

// ApplyContext is what Apply and ApplyEvent are given: what is known of the entry, and where effects
// go. It may be used only until the call returns.
type ApplyContext struct {
	Meta
	Effects
}

// NewApplyContext returns a context for calling a machine by hand, as tests do that are not content with
// replies: ctx.Asked returns the effects. The role is that of the member.
func NewApplyContext(meta Meta, role Role) *ApplyContext {
	ctx := &ApplyContext{Meta: meta}
	ctx.begin(role, meta.Index)
	return ctx
}

// EventApplier is a Machine that hears of what is committed beside its users' commands.
type EventApplier interface {
	// ApplyEvent applies an Event as Apply does a command. A machine that uses timers or monitors has
	// to have it.
	ApplyEvent(ctx *ApplyContext, event Event)
}

// StateEnterer is a Machine that hears of its server's states.
type StateEnterer interface {
	// StateEnter says that the server is in the given state, between the entries before and behind that
	// moment. Effects are carried out as that state allows. It is for effects, not for changing the state:
	// it happens at other moments on other members.
	StateEnter(state ServerState, effects *Effects)
}

// Ticker is a Machine that wants to be called now and then while its server leads.
type Ticker interface {
	// Tick is called with the present time, milliseconds since 1970 (UTC). Like StateEnter it must not
	// change the state.
	Tick(millis int64, effects *Effects)
}

// SnapshotInstalled is a Machine that hears when it takes the place of another by a snapshot from the
// leader.
type SnapshotInstalled interface {
	// SnapshotInstalled is called after Restore, with the position that the state now has, and
	// the machine that it replaces with its position. The old one may be read, and is not used any more
	// afterwards.
	SnapshotInstalled(at EntryID, old Machine, oldAt EntryID, effects *Effects)
}

// AuxHandler is a Machine with a local companion: state of this member only, that is neither replicated nor
// kept, for example caches, figures, or decisions when to take snapshots.
type AuxHandler interface {
	// HandleAux handles an aux event on this member, in any state. It may read the machine's state and must
	// not change it. Reply and error go to the caller of an AuxCall, and nowhere for other events.
	HandleAux(ctx *AuxContext, event AuxEvent) (reply []byte, err error)
}

// AuxContext is what HandleAux is given. It may be used only until the call returns.
type AuxContext struct {
	// State is the server's, Applied the last entry applied, Version the machine version in force.
	State   ServerState
	Applied EntryID
	Version uint64
	// Time is that of the last entry applied.
	Time int64
	Effects
}

// AuxKind says what an AuxEvent is.
type AuxKind uint8

// The kinds of aux events.
const (
	// AuxCall comes from a caller who waits for the answer.
	AuxCall AuxKind = iota
	// AuxCast comes from the machine's own Effects.Aux, or from a caller who does not wait.
	AuxCast
	// AuxEval comes after every round of applied entries.
	AuxEval
	// AuxTick comes now and then, in every state.
	AuxTick
	// AuxNodeUp and AuxNodeDown come of Effects.Monitor for ForAux.
	AuxNodeUp
	AuxNodeDown
	// AuxSessionDown comes of Effects.MonitorSession.
	AuxSessionDown
)

// AuxEvent is what an AuxHandler handles.
type AuxEvent struct {
	Kind AuxKind
	// Command is that of AuxCall and AuxCast.
	Command []byte
	// Node and Session are those of the news.
	Node    NodeID
	Session SessionID
}

// Overviewer is a Machine that can tell of itself.
type Overviewer interface {
	// Overview is shown to operators beside the server's own figures. It should be small, and is the caller's: the machine
	// changes nothing of it any more.
	Overview() map[string]any
}

// LiveIndexer is a Machine that leaves part of its state in the log.
type LiveIndexer interface {
	// LiveIndexes are the entries that the present state still refers to: snapshots do not let go of them.
	// It is called in the same moment as Snapshot. Indexes above the last applied one stop the member.
	LiveIndexes() Seq
}

// Versioned is a Machine whose rules change with the versions of its code. All members apply an entry under
// the same version, which committed entries raise once enough members know it. A member whose code is older
// than the version in force goes on replicating and stops applying.
type Versioned interface {
	// Version is the newest version that this code knows. It is constant. Version 0 needs no Versioned.
	Version() uint64
	// WhichMachine returns the machine that works by the rules of the given version, at most Version, with
	// the state of this one; it may be this one itself, which then follows Meta.Version. When the version
	// in force changes, it is asked, and then VersionChanged is applied, by which the state is brought into
	// its new form. Before Restore it is asked for the version in force at the snapshot.
	WhichMachine(version uint64) Machine
}

// ServerState is the state of a server as far as its machine hears of it.
type ServerState uint8

// The states.
const (
	// StateRecover is a server that applies again what it had applied before it was stopped.
	StateRecover ServerState = iota
	// StateRecovered comes once, between StateRecover and the first of the others.
	StateRecovered
	StateFollower
	StatePreVote
	StateCandidate
	StateLeader
	// StateAwaitCondition is a server that waits, for example for its disk or for a transfer of leadership.
	StateAwaitCondition
	StateReceiveSnapshot
	// StateDeleted is the last: the cluster is deleted, and this member with it.
	StateDeleted
)

// role is the one that decides about effects.
func (s ServerState) role() Role {
	switch s {
	case StateRecover:
		return RoleReplay
	case StateLeader:
		return RoleLeader
	}
	return RoleFollower
}

// unwrapper is a Machine around another value of the user's, whose optional interfaces count.
type unwrapper interface{ unwrap() any }

// optional finds an optional interface of a machine, also of one that is wrapped.
func optional[T any](m Machine) (T, bool) {
	var v any = m
	for {
		if t, ok := v.(T); ok {
			return t, true
		}
		w, ok := v.(unwrapper)
		if !ok {
			var none T
			return none, false
		}
		v = w.unwrap()
	}
}
