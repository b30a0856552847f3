//go:build !linux

package engine

// directoryUse cannot tell without taking the lock.
func directoryUse(string) Use { return UseUnknown }
