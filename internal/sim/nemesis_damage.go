package sim

import (
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/wal"
)

// healing is how long it may take, from peace on, until members whose logs were damaged are equal to the others.
const healing = 30 * time.Second

// calm is how long after an operator's removal of a member of which the end is not known no other may be damaged: it may be on its way.
const calm = 5 * time.Second

// spot is a stretch of bytes on a disk that count, and the logs that are lost when one of them is another.
type spot struct {
	kind, file string
	at, bytes  int64
	logs       []engine.UID
}

// scar is what is known of a log that was damaged.
type scar struct {
	uid  engine.UID
	file string // with damage that shows when it is read, empty where recovery finds it
}

// damageOne flips a byte on the disk of a node that has lost power. The clusters whose logs it hits can do without these: it is
// never a majority's.
func (w *world) damageOne() bool {
	n := w.one()
	if n == nil {
		return false
	}
	n.crash(w.powerCut())
	w.later(10*time.Millisecond, 2*time.Second, n.boot)
	var can []spot
	for _, s := range n.spots() {
		if n.spares(&s) {
			can = append(can, s)
		}
	}
	if len(can) == 0 {
		return false
	}
	kind := can[w.random.IntN(len(can))].kind // mostly that of which there is most
	if w.random.IntN(2) == 0 {
		kind = damageKinds[w.random.IntN(len(damageKinds))]
	}
	for _, k := range w.random.Perm(len(can)) {
		if can[k].kind == kind {
			n.flip(&can[k])
			return true
		}
	}
	return false
}

// The kinds of files that are damaged.
var damageKinds = []string{"write-ahead log", "segment", "snapshot"}

// spots are the places of the node's disk of which the loss is a member's, not the whole node's.
func (n *node) spots() (list []spot) {
	in, err := engine.InspectOn(n.mem, dir, engine.InspectOptions{})
	if err != nil {
		return nil // it was cut before it was an engine
	}
	for _, f := range in.WAL {
		if f.Batches > 0 {
			list = append(list, n.frames(in, f.Number)...)
		}
	}
	for _, l := range in.Logs {
		if n.clusterOf(l.UID) == nil || l.Quarantine != nil {
			continue
		}
		for r, err := range engine.DumpOn(n.mem, dir, l.UID, engine.Range{}, engine.DumpOptions{}) {
			if err == nil && r.Batch == 0 && r.Size > 0 {
				list = append(list, spot{damageKinds[1], filepath.Join(dir, r.File), r.Offset, int64(r.Size), []engine.UID{l.UID}})
			}
		}
		for _, name := range n.mem.Files() {
			if strings.HasPrefix(name, filepath.Join(dir, "logs", segment.DirName(engine.LogID(l.ID)), "snapshot-")) {
				if b, err := n.mem.ReadFile(name); err == nil && len(b) > 0 {
					list = append(list, spot{damageKinds[2], name, 0, int64(len(b)), []engine.UID{l.UID}})
				}
			}
		}
	}
	return list
}

// frames are the batches of a file of the write-ahead log that are known to be durable, without header and trailer. The last ones may as well
// have been torn by the cut: nobody is told then.
func (n *node) frames(in *engine.Inspection, number uint64) (list []spot) {
	durable := in.LastBatch - uint64(in.Tail)
	file := wal.FileName(filepath.Join(dir, "wal"), number)
	whole := false
	for r, err := range engine.DumpWALOn(n.mem, dir, number, engine.DumpOptions{}) {
		if err != nil {
			return nil
		}
		switch {
		case r.Kind == "frame":
			whole = r.Fault == "" && r.Batch > in.Flushed && r.Batch <= durable
			if whole {
				list = append(list, spot{kind: damageKinds[0], file: file})
			}
		case whole:
			s := &list[len(list)-1]
			if s.at == 0 {
				s.at = r.Offset
			}
			s.bytes = r.Offset - s.at + max(int64(r.Size), 1)
			s.logs = append(s.logs, r.UID)
		}
	}
	return list
}

// clusterOf is the cluster of which a log is a member's, nil for logs that are none's.
func (n *node) clusterOf(uid engine.UID) *cluster {
	for _, c := range n.w.clusters {
		if s := n.w.check.servers[c.server(n)]; s != nil && s.uid == uid {
			return c
		}
	}
	return nil
}

// spares reports whether all that a spot hits are sound members that their clusters can do without.
func (n *node) spares(s *spot) bool {
	for _, uid := range s.logs {
		if c := n.clusterOf(uid); c == nil || n.scars[c] != nil || !c.bears(n) {
			return false
		}
	}
	return len(s.logs) > 0
}

// bears reports whether a cluster has a majority of sound voters without those of one more node, by each configuration that may be in effect.
func (c *cluster) bears(n *node) bool {
	if c.removals > 0 || c.w.now < c.calmFrom {
		return false
	}
	for i := c.inEffect(c.newest); i < len(c.configs); i++ {
		sound, voters := 0, 0
		for _, m := range c.configs[i].config.Members {
			x := c.w.node(m.ID.Node)
			spoilt := x == n || x.scars[c] != nil
			switch {
			case spoilt && m.Membership != core.NonVoter: // or may be a voter at any time
				voters++
			case m.Membership == core.Voter:
				sound, voters = sound+1, voters+1
			}
		}
		if 2*sound <= voters {
			return false
		}
	}
	return true
}

// flip damages one byte.
func (n *node) flip(s *spot) {
	b, err := n.mem.ReadFile(s.file)
	if err != nil {
		n.w.violate("simulator", "%v", err)
		return
	}
	at := s.at + n.w.random.Int64N(s.bytes)
	b[at] ^= 1 << n.w.random.IntN(8)
	if err := n.mem.WriteFile(s.file, b); err != nil {
		n.w.violate("simulator", "%v", err)
	}
	n.w.note("%s is damaged at byte %d of %s, which %v need", n.id, at, s.file, s.logs)
	n.w.sometimes("damage: " + s.kind)
	for _, uid := range s.logs {
		x := &scar{uid: uid, file: s.file}
		if s.kind == damageKinds[0] {
			x.file = ""
		}
		n.scars[n.clusterOf(uid)] = x
	}
}

// examined looks at a node that has been opened: what was damaged is set apart, or was of no use, and nothing else is set apart.
func (n *node) examined() {
	for _, c := range n.w.clusters {
		x, l := n.scars[c], n.log(c)
		apart := l != nil && l.Stats().Quarantine != nil
		switch {
		case apart && (x == nil || x.uid != l.UID()):
			n.w.violate("damage", "%s on %s: %v, and nothing of it was damaged", c.name, n, l.Stats().Quarantine)
		case apart:
			n.w.note("%s on %s: %v", c.name, n, l.Stats().Quarantine)
			n.w.sometimes("damage found by recovery")
		case x != nil && x.file == "":
			delete(n.scars, c)
		}
	}
}

// mended forgets the damage of a log in whose place its node has another one of which something is durable, and with that the node's
// record of it, or of which the damaged file is not needed any more.
func (n *node) mended() {
	for _, c := range n.w.clusters {
		x := n.scars[c]
		if x == nil {
			continue
		}
		l := n.log(c)
		switch {
		case l != nil && l.UID() != x.uid && l.LastWritten().Index == 0:
		case l != nil && l.UID() != x.uid:
			n.w.note("%s on %s goes on without %s", c.name, n, x.uid)
			n.w.sometimes("healed damage")
			delete(n.scars, c)
		case l != nil && x.file != "" && n.stopped(c) == nil:
			if _, err := n.mem.Stat(x.file); err != nil {
				delete(n.scars, c)
			}
		}
	}
}

// stopped is why the node's member of a cluster does not run.
func (n *node) stopped(c *cluster) error {
	m, err := n.raft.KeyMetrics(c.name)
	return errors.Join(m.Err, err)
}

// waitsForHelp reports whether an error is that of a member whose log was damaged: the others help it, a restart does not.
func (n *node) waitsForHelp(c *cluster, err error) bool {
	return n.scars[c] != nil && (errors.Is(err, engine.ErrQuarantined) || errors.Is(err, engine.ErrCorrupt))
}

// scarred reports whether a member of the cluster is on a disk that was damaged.
func (c *cluster) scarred() bool {
	for _, n := range c.members {
		if n.scars[c] != nil {
			return true
		}
	}
	return false
}
