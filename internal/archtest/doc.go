// Package archtest holds the rules of the house as tests: which package may import which,
// which modules from outside may be linked where, how long files and functions may be, how
// packages may be named, that each has a package comment, and that the README shows code
// that is tested. It has no code outside of its tests, imports nothing of the module and
// writes nothing.
//
// The rules are data in table_test.go. Every file of the module counts, whatever its build
// tags; nested modules and testdata do not.
package archtest
