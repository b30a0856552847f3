//go:build darwin || freebsd

package osfs

func advise([]byte, bool) {}
