// Package raftlog is the vocabulary that every other package speaks: names of
// logs, positions in them, entries, and sets of positions. It does no I/O and
// imports nothing of this project.
//
// Types keep apart what must not mix: an Index is a position in one log, a Term
// numbers leaderships, a Batch numbers group commits of the shared write-ahead
// log, a LogID names one life of a log, a UID is the name that people give it.
package raftlog
