// Package machinetest proves that a machine for package raft keeps the contract of raft.Machine: call Run from a
// test, with a function that makes the machine and one that draws commands.
//
//	func TestContract(t *testing.T) {
//		machinetest.Run(t, machinetest.Config{
//			New:     func() raft.Machine { return newStore() },
//			Command: func(r *rand.Rand) []byte { return drawCommand(r) },
//		})
//	}
//
// For each seed it makes up a log: commands, sessions that open and end, the timers that the machine set
// and the nodes that it monitored, commands that it appended itself, machine versions. Then it applies that
// log again and again in other circumstances, and compares replies, effects and the bytes of snapshots:
//
//	by a second machine                            ErrNondeterministic
//	with the memory of commands used again         ErrCommandKept, ErrCommandChanged
//	looking at replies and messages later          ErrReplyChanged
//	with server states, ticks, overviews between   ErrLocalChange
//	writing a view later, and bit by bit           ErrViewChanged
//	with readers and writers that fail             ErrErrorSwallowed
//	from a snapshot on                             ErrRestore
//	by the code of an older release                ErrVersions
//
// Run it under the race detector too: views are written beside later commands.
package machinetest
