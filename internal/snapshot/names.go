package snapshot

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// What an unfinished or damaged file's name ends in.
const (
	TempSuffix = ".tmp"  // being written
	PartSuffix = ".part" // being received
	BadSuffix  = ".bad"  // set aside as damaged
)

// Stage says how far a file has come, by its name.
type Stage uint8

const (
	// Finished files carry the bare name.
	Finished Stage = iota
	// Writing ends in TempSuffix.
	Writing
	// Receiving ends in PartSuffix.
	Receiving
	// SetAside ends in BadSuffix.
	SetAside
)

var suffixes = [...]string{Finished: "", Writing: TempSuffix, Receiving: PartSuffix, SetAside: BadSuffix}

// Suffix is what names of the stage end in.
func (s Stage) Suffix() string { return suffixes[s] }

// FileName is the name of a finished file within its log's directory.
func FileName(kind Kind, id raftlog.EntryID) string {
	return fmt.Sprintf("%v-%016x-%016x", kind, uint64(id.Term), uint64(id.Index))
}

// ParseFileName is the inverse of FileName, with or without a stage's suffix; partial says that
// there is one. ok is false for every other name.
func ParseFileName(name string) (kind Kind, id raftlog.EntryID, partial, ok bool) {
	kind, id, stage, ok := ParseName(name)
	return kind, id, stage != Finished, ok
}

// ParseName is ParseFileName with the stage told.
func ParseName(name string) (kind Kind, id raftlog.EntryID, stage Stage, ok bool) {
	for s := Writing; s <= SetAside; s++ {
		if bare, found := strings.CutSuffix(name, s.Suffix()); found {
			name, stage = bare, s
			break
		}
	}
	word, digits, _ := strings.Cut(name, "-")
	term, index, _ := strings.Cut(digits, "-")
	for kind = raftlog.KindSnapshot; kind.Valid(); kind++ {
		if word != kind.String() {
			continue
		}
		t, okTerm := parseHex(term)
		i, okIndex := parseHex(index)
		if okTerm && okIndex {
			return kind, raftlog.EntryID{Term: raftlog.Term(t), Index: raftlog.Index(i)}, stage, true
		}
	}
	return 0, raftlog.EntryID{}, Finished, false
}

func parseHex(s string) (uint64, bool) {
	if len(s) != 16 || strings.ToLower(s) != s {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 16, 64)
	return n, err == nil
}
