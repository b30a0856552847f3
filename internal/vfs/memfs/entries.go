package memfs

// node is what a name refers to: exactly one of dir and file is set.
type node struct {
	dir  *directory
	file *inode
}

// directory is a set of names: those that programs see, those that the device has, and
// the operations between the two, in order.
type directory struct {
	entries map[string]*node
	stable  map[string]*node
	pending []*dirOp
	latest  map[string]*dirOp // the newest pending operation per name
}

// dirOp is one directory operation: a step, or the two of a rename, old name first.
type dirOp struct {
	seq       uint64
	steps     []step
	committed bool
}

// step binds a name to a node, or to nothing.
type step struct {
	dir  *directory
	name string
	node *node
	prev *dirOp // the pending operation on the same name before this one
}

func newDirectory() *node {
	return &node{dir: &directory{
		entries: map[string]*node{},
		stable:  map[string]*node{},
		latest:  map[string]*dirOp{},
	}}
}

func bind(entries map[string]*node, name string, n *node) {
	if n == nil {
		delete(entries, name)
	} else {
		entries[name] = n
	}
}

// applyLocked carries out a directory operation in the cache and notes it as pending.
func (fs *FS) applyLocked(steps ...step) {
	fs.dirSeq++
	op := &dirOp{seq: fs.dirSeq, steps: steps}
	var dropped []*inode
	for i := range steps {
		s := &steps[i]
		if old := s.dir.entries[s.name]; old != nil && old.file != nil {
			old.file.links--
			dropped = append(dropped, old.file)
		}
		if s.node != nil && s.node.file != nil {
			s.node.file.links++
		}
		bind(s.dir.entries, s.name, s.node)
		if last := s.dir.latest[s.name]; last != nil && !last.committed {
			s.prev = last
		}
		s.dir.latest[s.name] = op
		if i == 0 || s.dir != steps[0].dir {
			s.dir.pending = append(s.dir.pending, op)
		}
	}
	for _, n := range dropped {
		fs.releaseLocked(n)
	}
}

// commit makes the operation durable, and before it every earlier one on its names.
func (op *dirOp) commit() {
	if op.committed {
		return
	}
	op.committed = true
	for i := range op.steps {
		s := &op.steps[i]
		if s.prev != nil {
			s.prev.commit()
			s.prev = nil
		}
		bind(s.dir.stable, s.name, s.node)
	}
}

// sync makes the directory's operations durable. A file renamed into another directory
// waits for that directory.
func (d *directory) sync() {
	for _, op := range d.pending {
		if op.steps[len(op.steps)-1].dir == d {
			op.commit()
		}
	}
	var rest []*dirOp
	clear(d.latest)
	for _, op := range d.pending {
		if op.committed {
			continue
		}
		rest = append(rest, op)
		for _, s := range op.steps {
			if s.dir == d {
				d.latest[s.name] = op
			}
		}
	}
	d.pending = rest
}
