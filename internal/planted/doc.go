// Package planted proves that the tests of the module notice the faults that a storage
// engine must not have. Each file testdata/*.fault says how to put one fault into the code
// and which packages' tests have to fail then. The fault is never written into the tree: the
// go command sees it through -overlay.
//
// An ordinary test run proves that every fault still applies and compiles. With the
// environment variable RAWL_PLANTED=1 the tests are run against each fault, which takes
// minutes, and each must turn them red; those that are must pass without it. A test that notices by luck only, because
// of the order in which goroutines happen to run, does not count: name one that always does.
//
// # Files
//
//	# what is wrong, for people
//	test ./wal ./engine      the packages, in the order in which they are tried; again for
//	                         other tests that must notice too
//	run TestCrash            optional: only tests that match, as in go test -run
//	skip Golden              optional: not those that match, as in go test -skip
//	args -seeds=500          optional: arguments of the tests
//	long                     optional: only with RAWL_PLANTED=long; not all tests of a fault may be so
//	replace wal/commit.go    the file; once or more
//	----
//	the old text, which the file holds exactly once
//	----
//	the new text
//	----
package planted
