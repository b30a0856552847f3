// Package invariants switches costly self-checks on in test builds.
//
// Code guards a check with
//
//	if invariants.Enabled {
//		t.check()
//	}
//
// which costs nothing without the build tag "invariants". A broken invariant is
// a bug of this project, never of its input, so a check may panic; bytes from a
// disk or a peer must never reach one.
package invariants
