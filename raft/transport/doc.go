// Package transport carries messages between nodes: what the Raft layer asks of any transport, and an
// implementation in memory that joins nodes of one process and can fail in every way that a network can.
//
// # What every transport promises
//
// Messages travel from node to node, all clusters multiplexed, in three classes with an outbox each: log
// traffic, control (votes, heartbeats, reads) and snapshots. A class never waits for another.
//
// A send never blocks. An outbox is bounded in bytes; a message beyond the bound is dropped, and Send says so. When an
// outbox that has refused a message is at most half full again, or its connection has ended, the sender gets one Ready: a
// snapshot is sent chunk by chunk until ErrFull, and goes on with Ready.
//
// Each pair of nodes has at most one connection at a time, and connections of a pair are numbered: the epoch, the same
// at both ends. The first message in either direction makes the connection. Each end is told Connected before any message
// of that epoch and Disconnected after the last. Within an epoch and a class messages arrive in the order of their
// sending, each at most once; what is missing at the end of an epoch is a tail of each class, or was refused by Send. No
// message of an epoch arrives after one of a later epoch, or after either's Connected or its own Disconnected. A message
// that Send took may be lost with its connection: whoever cares resends when told Connected. When an attempt to connect fails, what
// waited for it is lost, and the sender is told Dropped.
//
// # The network in memory
//
// Network joins any number of nodes. A message is passed on as it is, not copied: it must not change
// once sent. Rules for each ordered pair of nodes and each class say what is lost, delayed, repeated and
// overtaken; loss, repetition and overtaking break the promises above, on purpose, and happen nowhere
// without a rule. Cuts lose everything in one direction, connections with it: when messages were lost to a cut, the
// connection ends with the first message that is sent after it. A cut hides the end of a connection too, as it does on a real
// network. Rules, cuts, pauses and resets may change at any time.
//
// All that is random is drawn from the seed.
//
// In production mode a message is handed to its receiver by a goroutine of its ordered pair of nodes, which begins with the
// first message, rests while none waits and ends with the network. Different pairs run at the same time. A message leaves
// its outbox when the goroutine takes it, with up to seven others, shortly before its call.
//
// In stepped mode there is no goroutine: Step hands over one item, drawn by the seed from those that are due, and Next says
// when the first one is due. Everything is called by one goroutine at a time then. Equal calls make equal histories.
package transport
