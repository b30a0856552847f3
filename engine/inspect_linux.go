package engine

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// directoryUse looks for the owner's lock in the kernel's list: trying to take it could make
// an engine fail that is being opened at that moment.
func directoryUse(dir string) Use {
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, lockFile), &st); err != nil {
		return UseUnknown
	}
	list, err := os.Open("/proc/locks")
	if err != nil {
		return UseUnknown
	}
	defer list.Close()
	exact := fmt.Sprintf("%02x:%02x:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)), st.Ino)
	inode := fmt.Sprintf(":%d", st.Ino)
	use := UseFree
	for lines := bufio.NewScanner(list); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 6 || f[1] != "FLOCK" || f[3] != "WRITE" {
			continue
		}
		switch {
		case f[5] == exact:
			return UseOwned
		case strings.HasSuffix(f[5], inode):
			use = UseUnknown // file systems with several devices list another number
		}
	}
	return use
}
