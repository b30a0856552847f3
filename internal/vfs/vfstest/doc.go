// Package vfstest is the conformance suite of the I/O contract (package vfs).
//
// It owns no bytes and keeps none. A test of an implementation calls Run, which
// starts one subtest per clause of the contract, each on a file system and an empty
// directory of its own; clauses about files and queues run a second time on direct
// files unless Options.NoDirect is set. Durability is out of its reach: what a power
// cut leaves is tested by the implementations that can lose power.
//
// The suite uses nothing but the contract, except where Options.Virtual is false: it
// then makes symbolic links and reads permissions with package os. No subtest sleeps
// or retries; one that polls gives up after pollLimit.
package vfstest
