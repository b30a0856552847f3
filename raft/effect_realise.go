package raft

// Role is what decides which effects a server carries out: that of the last role marker before an
// entry in its apply queue.
type Role uint8

const (
	// RoleReplay is a server that applies again, at start, what it had applied before.
	RoleReplay Role = iota
	// RoleFollower is every role of a running server but the leader's.
	RoleFollower
	// RoleLeader leads.
	RoleLeader
)

// rule says when a server in some role carries an effect out.
type rule uint8

const (
	never rule = iota
	always
	ifHere          // when Effect.Node is this node and its server a voter, or for a reply a member
	unlessElsewhere // but not when a voter or member on Effect.Node, another node, does it
)

// effectRow is one line of the table of who carries out what.
type effectRow struct {
	kind EffectKind
	// local is Effect.Local, aux that Effect.Owner is ForAux.
	local, aux               bool
	leader, follower, replay rule
}

func (r *effectRow) at(role Role) rule {
	switch role {
	case RoleLeader:
		return r.leader
	case RoleFollower:
		return r.follower
	}
	return r.replay
}

// effectRows is the table. Kinds stand together, in the order of their numbers, the variant last.
var effectRows = [...]effectRow{
	{kind: EffectSendMsg, leader: always},
	{kind: EffectSendMsg, local: true, leader: unlessElsewhere, follower: ifHere},
	{kind: EffectCall, leader: always},
	{kind: EffectAppend, leader: always},
	{kind: EffectTryAppend, leader: always, follower: always},
	{kind: EffectMonitor, leader: always},
	{kind: EffectMonitor, aux: true, leader: always, follower: always},
	{kind: EffectDemonitor, leader: always},
	{kind: EffectDemonitor, aux: true, leader: always, follower: always},
	{kind: EffectTimer, leader: always},
	{kind: EffectLogRead, leader: always},
	{kind: EffectLogRead, local: true, leader: unlessElsewhere, follower: ifHere},
	{kind: EffectReleaseCursor, leader: always, follower: always},
	{kind: EffectPromoteCheckpoint, leader: always, follower: always},
	{kind: EffectCheckpoint, leader: always, follower: always},
	{kind: EffectAux, leader: always, follower: always},
	{kind: EffectReply, leader: always},
	{kind: EffectReply, local: true, leader: unlessElsewhere, follower: ifHere},
}

// firstRow is where a kind's lines begin.
var firstRow = func() (first [effectKinds]int) {
	for i := len(effectRows) - 1; i >= 0; i-- {
		first[effectRows[i].kind] = i
	}
	return first
}()

func rowOf(e *Effect) *effectRow {
	i := firstRow[e.Kind]
	if e.Local || e.Owner == ForAux {
		i++
	}
	return &effectRows[i]
}

// Place is where a server stands: what decides, beside its role, which effects it carries out.
type Place struct {
	// Node is this node.
	Node NodeID
	// VoterOn reports whether a voter of the cluster is on a node. It is called by the goroutine
	// that applies. nil means that there is none but on Node.
	VoterOn func(NodeID) bool
	// MemberOn is the same for members that vote or not: they reply when they are asked to.
	MemberOn func(NodeID) bool
}

// serves reports whether a server on the node may carry out what is addressed to it.
func (p Place) serves(e *Effect, node NodeID) bool {
	on := p.VoterOn
	if e.Kind == EffectReply {
		on = p.MemberOn
	}
	if on == nil {
		return node == p.Node
	}
	return on(node)
}

// realises reports whether a server at p, in this role, carries the effect out.
func (p Place) realises(e *Effect, role Role) bool {
	switch rowOf(e).at(role) {
	case always:
		return true
	case ifHere:
		return e.Node == p.Node && p.serves(e, p.Node)
	case unlessElsewhere:
		return e.Node == p.Node || !p.serves(e, e.Node)
	}
	return false
}
