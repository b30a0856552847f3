// Package detector tells one node which other nodes are alive and reach it and are reached by it.
// One Detector serves all clusters of a node: it sends heartbeats to nodes, not to servers, so ten
// thousand clusters that share three nodes cost two heartbeats per interval and one callback per change.
//
// # Contact
//
// A heartbeat proves only that its sender lives. Each heartbeat therefore echoes the newest one heard
// from its receiver; an echo of an own heartbeat proves both directions. A watched peer is
//
//	Unknown  watched, or restarted, less than Bound ago and nothing proved yet
//	Up       heard, and our heartbeats are echoed: two-way contact
//	OneWay   heard, but our heartbeats are not echoed: it reaches us, we do not reach it
//	Down     silent: it is dead, or cut off in its direction to us, or in both
//
// When the direction from a to b is cut, b says that a is Down and a says that b is OneWay, both
// within Bound: contact ends on both sides. View.Contact is the time at which the newest echoed
// heartbeat was sent. The peer is known to have lived, in that incarnation, at some moment after it.
//
// # When a peer is suspected
//
// Two ages are watched: that of the last arrival, and that of the newest echoed heartbeat, from its
// sending. A peer is suspected when an age reaches its limit; it is Down if the arrivals' age has passed half of
// its own limit by then, otherwise OneWay. The limit is one and a half times the
// longest age that the last 256 to 512 renewals have seen, never below Missed intervals and never above
// Bound; a link with little history has the limit Bound. A pause that ended in a renewal is history too,
// so a link that was suspected wrongly is suspected later the next time, until Bound. A peer that dies
// is reported at most Bound after its last heartbeat arrived.
//
// Bound must exceed the round trip between nodes by some intervals, or contact is never made.
//
// A loop that runs late (a pause of the process, garbage collection, a busy machine) proves nothing
// about others: what Step is late beyond a quarter of an interval moves all deadlines by the same time.
// Times that are reported are never moved.
//
// # Incarnations
//
// Each life of a node has a number that is higher than those of its earlier lives, and never 0. A
// heartbeat of an older life is ignored. The first one of a newer life is reported as Restarted, at once,
// and the peer is Unknown until contact is made with the new life.
//
// # Notices
//
// A notice is a few bytes for one peer ("this server no longer leads term T here"). Notices are
// numbered per peer and ride in heartbeats, oldest first, at most NoticeBytes in each, until they are
// acknowledged. The receiver hands each notice over once, in order, and acknowledges what it has handed
// over. Notices to a life of a peer are dropped when a newer life is heard of, and when the peer is Down
// and nobody watches it: it has lost contact then too, and beliefs end with contact.
//
// # Who runs it
//
// There is no clock and no goroutine inside. The methods that are told the time expect nanoseconds of one
// monotonic clock and take a time before an earlier one for the earlier one. Callbacks are made by Step
// only, from the goroutine that calls it, with no lock held. In production Run calls Step; a simulator
// calls it when Next says so. Two runs with equal calls make equal callbacks in equal order.
//
// A node that neither watches nor is watched sends nothing and wants no step. A node that is watched
// answers: it sends heartbeats to a peer as long as the peer's ask for them.
package detector
