// Package browsertest tests the status page of the kv example in Chromium. It is a module of its own, so that the example needs nothing
// but the standard library. Without Chromium in the PATH its tests are skipped.
package browsertest
