package segment

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rawl-db/rawl/internal/raftlog"
)

const suffix = ".seg"

// FileName is the name of a segment file within its log's directory.
func FileName(number uint64) string { return fmt.Sprintf("%016x%s", number, suffix) }

// ParseFileName is the inverse of FileName; ok is false for every other name.
func ParseFileName(name string) (number uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return 0, false
	}
	return parseHex(digits)
}

// DirName is the name of a log's directory.
func DirName(id raftlog.LogID) string { return fmt.Sprintf("%016x", uint64(id)) }

// ParseDirName is the inverse of DirName; ok is false for every other name.
func ParseDirName(name string) (id raftlog.LogID, ok bool) {
	n, ok := parseHex(name)
	return raftlog.LogID(n), ok
}

func parseHex(s string) (uint64, bool) {
	if len(s) != 16 || strings.ToLower(s) != s {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 16, 64)
	return n, err == nil
}
