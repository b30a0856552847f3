package main

import (
	"slices"

	"github.com/rawl-db/rawl/raft"
)

// maxHistory is how many changes a history remembers. It is no option: all members must answer alike.
const maxHistory = 1 << 15

// history remembers which of the last entries changed a key. The log has what they changed it to, but not whether: a
// comparison may have failed, and a command that a session sent twice stands in the log twice. A watcher needs both.
type history struct {
	floor raft.Index   // nothing is known of entries up to it
	list  []raft.Index // ascending, above floor; only appended to, so that a copy of the slice stays as it is
}

func (h *history) add(i raft.Index) {
	h.list = append(h.list, i)
	if len(h.list) >= 2*maxHistory {
		floor, list := h.known()
		h.floor, h.list = floor, slices.Clone(list)
	}
}

// known is what counts: the newest maxHistory changes, and the index behind which they are all there are.
func (h *history) known() (floor raft.Index, list []raft.Index) {
	if cut := len(h.list) - maxHistory; cut > 0 {
		return h.list[cut-1], h.list[cut:]
	}
	return h.floor, h.list
}

// between returns the changes above one index, up to another; false when what is above the first is not all known.
func (h *history) between(above, upTo raft.Index) ([]raft.Index, bool) {
	floor, list := h.known()
	if above < floor {
		return nil, false
	}
	from, _ := slices.BinarySearch(list, above+1)
	to, _ := slices.BinarySearch(list, upTo+1)
	return slices.Clone(list[from:max(from, to)]), true
}
