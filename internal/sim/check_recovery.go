package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// recoverTwice has an engine recover from a copy of a disk, and again from what that left: the second time must change
// nothing. Recovery flushes nothing by itself, and nobody steps what would.
func (k *checker) recoverTwice(n *node, image *memfs.FS) {
	var found [2]string
	for i := range found {
		image = image.Crash(memfs.CrashOptions{Unsynced: memfs.Kept})
		e, err := engine.OpenParts(image, dir, n.options().Engine)
		if err != nil {
			k.w.note("%s: a recovery on a copy of its disk: %v", n, err)
			return // a full disk, for example; the node itself meets it too
		}
		found[i] = k.contents(e)
	}
	k.w.sometimes("second recovery")
	if found[0] != found[1] {
		k.w.violate("I16", "%s recovers %s, and from that %s", n, found[0], found[1])
	}
}

// contents describes what the logs of an engine hold.
func (k *checker) contents(e *engine.Engine) string {
	var list []string
	for _, c := range k.w.clusters {
		for l := range e.Logs() {
			if !strings.HasPrefix(string(l.UID()), c.name+"-") {
				continue
			}
			var failed error
			h := uint64(14695981039346656037)
			for x, err := range l.ReadRange(l.First(), l.Last().Index) {
				if failed = err; err != nil {
					break
				}
				h = hashOf(h, x.Data)
			}
			list = append(list, fmt.Sprintf("[%s %d-%v %x %v %+v %d]", l.UID(), l.First(), l.Last(), h, failed, l.HardState(), l.Applied()))
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}
