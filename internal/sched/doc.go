// Package sched is what the long-lived parts run in: the clock, chance, tasks beside one another, and
// waiting. Whatever starts a goroutine, draws a number, reads the time or waits does it through a World.
//
// A World of production is the runtime's goroutines, channels, timers and random numbers, and costs a nil check more than
// they do. Under a Simulator all tasks run one at a time: a task goes on until it waits or yields, the simulator decides
// which one is next, and time is what it says. The same code runs in both. For that to be the same history each time, code
// that runs in a World holds no lock while it waits, defers no unlocking around a wait, has no select but through this package, and starts tasks and draws
// numbers in an order that no map decides.
//
// The package imports nothing of the module and writes no bytes.
package sched
