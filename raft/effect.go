package raft

import (
	"errors"
	"fmt"
	"time"

	"github.com/rawl-db/rawl/readplan"
)

// Plan says where entries of the log are, to be read by whoever has the time; see package readplan.
type Plan = readplan.Plan

// EffectKind says what an Effect asks for.
type EffectKind uint8

// The kinds of effects. Who carries them out, and when, stands at the methods of Effects.
const (
	EffectSendMsg EffectKind = iota
	EffectCall
	EffectAppend
	EffectTryAppend
	EffectMonitor
	EffectDemonitor
	EffectTimer
	EffectLogRead
	EffectReleaseCursor
	EffectPromoteCheckpoint
	EffectCheckpoint
	EffectAux
	EffectReply

	effectKinds = int(EffectReply) + 1
)

// String names the kind.
func (k EffectKind) String() string {
	names := [effectKinds]string{"send-msg", "call", "append", "try-append", "monitor", "demonitor", "timer",
		"log-read", "release-cursor", "promote-checkpoint", "checkpoint", "aux", "reply"}
	if int(k) >= effectKinds {
		return fmt.Sprintf("effect-%d", uint8(k))
	}
	return names[k]
}

// MonitorOwner says who hears of a monitored node or session.
type MonitorOwner uint8

const (
	// ForMachine has the news committed, and every member's machine hears of it as an Event.
	ForMachine MonitorOwner = iota
	// ForAux has the AuxHandler of this member alone hear of it.
	ForAux
	// ForSessions is not for machines: the leader watches the nodes that own sessions, to expire them. When
	// an expiry spared a session that had been active, Demonitor and Monitor come together: the leader
	// judges anew.
	ForSessions
)

// Effect is one thing that a machine asks for, as data. Which fields count depends on Kind; all
// others are zero. Slices may be kept, and must not be changed: replies of sessions are in the table too.
type Effect struct {
	Kind EffectKind
	// Index is the entry whose application asked for it, 0 when a role, a tick or the aux handler did. A timer
	// or monitor hands it on as Command.Armed.
	Index Index

	// Local has the voter on Node carry it out instead of the leader, when there is one.
	Local bool
	// Event wraps a message as an event of the receiving client, in order with its other events.
	Event bool
	// Session is the addressee of a message, the session monitored, or the one that was opened
	// by the command answered.
	Session SessionID
	// Node is the node of the addressee, the node monitored, or the one that is to reply or read.
	Node NodeID
	// Name is the mailbox on Node that a message is for, or the timer's name.
	Name  string
	Owner MonitorOwner
	// Data is the message, the command, or the reply.
	Data []byte

	// Append is the rest of a command to append.
	Append AppendOptions

	// After is the time until a timer runs out, unless At is set: milliseconds since 1970 (UTC). A moment
	// that has passed runs out at once. Cancel stops the timer instead.
	After  time.Duration
	At     int64
	Cancel bool

	// Call is the function to call.
	Call func()
	// Indexes are what to read from the log; either Read or ReadPlan is given the result.
	Indexes  Seq
	Read     func(commands []LoggedCommand, effects *Effects)
	ReadPlan func(plan *Plan)

	// Target is the index at or below which a checkpoint is to be promoted.
	Target Index
	// When are the conditions of a released cursor.
	When CursorConditions

	// Origin, Mode and Status belong to a reply. Recalled says that the reply is that to an earlier entry with the
	// same command of a session.
	Origin   Origin
	Mode     ReplyMode
	Status   ReplyStatus
	Recalled bool
}

// LoggedCommand is a user's command read back from the log.
type LoggedCommand struct {
	ID EntryID
	// Time is the leader's clock when it appended the command, milliseconds since 1970 (UTC).
	Time int64
	// Data may be kept, but not changed.
	Data []byte
}

// Recipient is whom a message is for: a session, wherever its client is, or a named mailbox of a
// node. Make it with ToSession or ToMailbox.
type Recipient struct {
	Session SessionID
	Node    NodeID
	Name    string
}

// ToSession addresses the client of a session.
func ToSession(id SessionID) Recipient { return Recipient{Session: id} }

// ToMailbox addresses a named mailbox of a node.
func ToMailbox(node NodeID, name string) Recipient { return Recipient{Node: node, Name: name} }

// SendOptions says how a message is sent.
type SendOptions struct {
	// Local has the member on the addressee's node send it, when a voter is there; else the leader
	// does.
	Local bool
	// Event has the client receive it among its session's events, instead of by its message handler.
	Event bool
}

// AppendOptions says how a command of the machine's own goes into the log.
type AppendOptions struct {
	Priority Priority
	// Reply, Origin and ReplyNode say who answers whom when it is applied, as in Command. The zero
	// values ask for no answer.
	Reply     ReplyMode
	Origin    Origin
	ReplyNode NodeID
}

// CursorConditions delay a released cursor until all of them hold. One cursor waits at a time: a later one
// takes its place.
type CursorConditions struct {
	// Written waits until this index is durable here; 0 waits for nothing.
	Written Index
	// NoSnapshotSends waits until no snapshot is being sent to another member, by whichever member, and none was interrupted within
	// the last NodeOptions.SnapshotTimeout: it would begin anew with the newer one. One that has come no further for that time, or
	// that is interrupted at the same place again and again, is not waited for.
	NoSnapshotSends bool
}

// ErrEffect is wrapped by the cause of a MachineError when a machine asked for an effect that cannot be.
var ErrEffect = errors.New("raft: impossible effect")

// Effects collects what a machine asks for, in order. It allocates nothing once it has grown, and
// drops at once what would not be carried out in the server's present role. It may be used only
// until the call that it was handed to returns, and by its goroutine only. Slices, sets and functions that are
// handed over must not be changed afterwards.
//
// On the leader means: by the member that led when it applied the entry. Across a change of leaders an
// effect may be lost or happen twice; a machine asks again in StateEnter for StateLeader. Nothing
// happens while a restarted server applies again what it had applied before.
type Effects struct {
	list []Effect
	role Role
	at   Index
	bad  error // the first impossible effect
}

// begin empties the collector.
func (e *Effects) begin(role Role, at Index) {
	clear(e.list)
	e.list, e.role, e.at, e.bad = e.list[:0], role, at, nil
}

func (e *Effects) add(x Effect) {
	if rowOf(&x).at(e.role) == never {
		return
	}
	x.Index = e.at
	e.list = append(e.list, x)
}

// Asked returns what was asked for so far, without what would not be carried out in any case, and an error that
// wraps ErrEffect when something was impossible. The slice is valid as long as e is.
func (e *Effects) Asked() ([]Effect, error) { return e.list, e.bad }

// recalled marks the reply that was just asked for, if one was.
func (e *Effects) recalled() {
	if n := len(e.list); n > 0 {
		e.list[n-1].Recalled = true
	}
}

// refuse notes an impossible effect. It does so in every role: a fault shows on all members at the same entry.
func (e *Effects) refuse(format string, args ...any) {
	if e.bad == nil {
		e.bad = fmt.Errorf("%w: %s", ErrEffect, fmt.Sprintf(format, args...))
	}
}

// SendMsg sends a message, on the leader or as SendOptions.Local says. It is not acknowledged and not
// repeated: what cannot be sent without blocking is dropped and counted. A session that does not
// exist is sent nothing.
func (e *Effects) SendMsg(to Recipient, msg []byte, o SendOptions) {
	mailbox := to.Session == 0 && validName(to.Node) && validName(to.Name)
	session := to.Session != 0 && to.Node == "" && to.Name == ""
	if !mailbox && !session {
		e.refuse("message to %+v", to)
		return
	}
	e.add(Effect{Kind: EffectSendMsg, Session: to.Session, Node: to.Node, Name: to.Name, Data: msg,
		Local: o.Local, Event: o.Event})
}

// Call calls a function, on the leader, in this process and on the server's apply goroutine: it must
// not block. A panic in it stops the server like one in Apply.
func (e *Effects) Call(f func()) {
	if f == nil {
		e.refuse("call of nil")
		return
	}
	e.add(Effect{Kind: EffectCall, Call: f})
}

// Append appends a command for this machine, on the leader. It is dropped when the leader finds no room for it, or when it
// is above NodeOptions.MaxCommandBytes: then whoever waits for its reply is told.
func (e *Effects) Append(command []byte, o AppendOptions) { e.append(EffectAppend, command, o) }

// TryAppend appends a command for this machine whatever the member's role: one that does not lead
// hands a command without reply to the leader it knows, or drops it, and has one with a reply
// rejected.
func (e *Effects) TryAppend(command []byte, o AppendOptions) { e.append(EffectTryAppend, command, o) }

func (e *Effects) append(kind EffectKind, command []byte, o AppendOptions) {
	c := Command{Kind: KindUser, Priority: o.Priority, Reply: o.Reply, Origin: o.Origin, ReplyNode: o.ReplyNode}
	err := c.validate()
	if err != nil {
		e.refuse("%v: %v", kind, err)
		return
	}
	e.add(Effect{Kind: kind, Data: command, Append: o})
}

// Monitor watches a node. ForMachine, on the leader: NodeUp or NodeDown is committed at once for its
// present state, and at every change; all such monitors end with the leadership. To monitor what is
// monitored already changes nothing. ForAux, on every member:
// its AuxHandler hears of it, also across changes of leaders.
func (e *Effects) Monitor(node NodeID, owner MonitorOwner) {
	if !validName(node) || owner > ForAux {
		e.refuse("monitor of %q for %d", node, owner)
		return
	}
	e.add(Effect{Kind: EffectMonitor, Node: node, Owner: owner})
}

// Demonitor ends the Monitor of the same node and owner.
func (e *Effects) Demonitor(node NodeID, owner MonitorOwner) {
	if !validName(node) || owner > ForAux {
		e.refuse("demonitor of %q for %d", node, owner)
		return
	}
	e.add(Effect{Kind: EffectDemonitor, Node: node, Owner: owner})
}

// MonitorSession has the AuxHandler of every member hear when the session ends. A machine needs no
// monitor for that: its ApplyEvent is told of every session that ends, in the log's order.
func (e *Effects) MonitorSession(id SessionID) {
	if id == 0 {
		e.refuse("monitor of no session")
		return
	}
	e.add(Effect{Kind: EffectMonitor, Session: id, Owner: ForAux})
}

// DemonitorSession ends MonitorSession.
func (e *Effects) DemonitorSession(id SessionID) {
	if id == 0 {
		e.refuse("demonitor of no session")
		return
	}
	e.add(Effect{Kind: EffectDemonitor, Session: id, Owner: ForAux})
}

// Timer sets the timer of this name, on the leader: after the given time, at least 0, TimedOut is
// committed. A timer that was set under the same name before is set anew. All timers end with the
// leadership. TimedOut may come late, and once after the timer was cancelled or set anew: TimedOut.Armed
// tells.
func (e *Effects) Timer(name string, after time.Duration) {
	if !validName(name) || after < 0 {
		e.refuse("timer %q after %v", name, after)
		return
	}
	e.add(Effect{Kind: EffectTimer, Name: name, After: after})
}

// TimerAt is Timer for a moment of the leader's clock, in milliseconds since 1970 (UTC), above 0. One that
// has passed is now.
func (e *Effects) TimerAt(name string, millis int64) {
	if !validName(name) || millis <= 0 {
		e.refuse("timer %q at %d", name, millis)
		return
	}
	e.add(Effect{Kind: EffectTimer, Name: name, At: millis})
}

// CancelTimer ends the timer of this name, if there is one.
func (e *Effects) CancelTimer(name string) {
	if !validName(name) {
		e.refuse("timer %q", name)
		return
	}
	e.add(Effect{Kind: EffectTimer, Name: name, Cancel: true})
}

// LogRead reads the users' commands at the given indexes and hands them to read, ascending, on the server's
// apply goroutine; indexes without a user's command are left out. It happens on the leader, or when node is
// not "" on the member there when it is a voter, else on the leader. What read asks for is carried out
// where it runs.
func (e *Effects) LogRead(indexes Seq, node NodeID, read func(commands []LoggedCommand, effects *Effects)) {
	if read == nil || len(node) > MaxName {
		e.refuse("log read for node %q", node)
		return
	}
	e.add(Effect{Kind: EffectLogRead, Indexes: indexes, Node: node, Local: node != "", Read: read})
}

// LogPlan is LogRead for a machine that reads elsewhere: use is given a plan, which it owns and
// has to close. It must not block. DecodeCommand opens the entries that the plan yields: all that the log
// has at the given indexes, also those that are no users' commands. At most engine.MaxPlanIndexes.
func (e *Effects) LogPlan(indexes Seq, node NodeID, use func(plan *Plan)) {
	if use == nil || len(node) > MaxName {
		e.refuse("log plan for node %q", node)
		return
	}
	e.add(Effect{Kind: EffectLogRead, Indexes: indexes, Node: node, Local: node != "", ReadPlan: use})
}

// ReleaseCursor says that the machine's present state stands for all entries up to this one, but for its live
// indexes: a snapshot may be taken and the log let go. Every member does so for itself, as soon as the conditions hold and nothing else of
// it is being captured, with the state that the machine has then; one that finds a snapshot of this entry or a later one is done.
func (e *Effects) ReleaseCursor(when CursorConditions) {
	e.add(Effect{Kind: EffectReleaseCursor, When: when})
}

// PromoteCheckpoint makes the newest checkpoint at or below the index a snapshot, on every member that has one, as soon as nothing of it
// is being captured. A checkpoint that turns out to be damaged is left out.
func (e *Effects) PromoteCheckpoint(target Index) {
	if target == 0 {
		e.refuse("promotion at index 0")
		return
	}
	e.add(Effect{Kind: EffectPromoteCheckpoint, Target: target})
}

// Checkpoint captures the present state, on every member, without letting go of the log. Where the disk refuses it, or a snapshot or a
// promotion, it is tried again by and by, with the state of that time.
func (e *Effects) Checkpoint() { e.add(Effect{Kind: EffectCheckpoint}) }

// Aux hands a command to the AuxHandler of every member.
func (e *Effects) Aux(command []byte) { e.add(Effect{Kind: EffectAux, Data: command}) }
