package osfs

import "golang.org/x/sys/unix"

// advise keeps a child process from sharing the pages, which would move them at the
// first write while a direct transfer still uses the old ones. Both hints may be refused.
func advise(mapping []byte, huge bool) {
	_ = unix.Madvise(mapping, unix.MADV_DONTFORK)
	if huge {
		_ = unix.Madvise(mapping, unix.MADV_HUGEPAGE)
	}
}
