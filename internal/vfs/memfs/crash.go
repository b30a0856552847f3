package memfs

import (
	"cmp"
	"maps"
	"slices"
)

// Unsynced says what becomes of unsynced state in a power cut.
type Unsynced uint8

const (
	// Lost keeps what was synced and nothing else.
	Lost Unsynced = iota
	// Kept keeps everything, except what a failed sync dropped.
	Kept
	// Random keeps what CrashOptions.Seed draws.
	Random
)

// CrashOptions says how the power is cut. The zero value loses all that is unsynced.
type CrashOptions struct {
	Unsynced Unsynced
	// Seed selects one of the possible images of Random.
	Seed uint64
}

// Crash returns the file system as a power cut at this moment leaves it: fully durable,
// unlocked, with the same capacity, without a hook. fs goes on unchanged. It may be
// called by any goroutine and from within the function given to OnOp.
func (fs *FS) Crash(o CrashOptions) *FS {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	ch := newChooser(o.Unsynced, o.Seed)
	b := &imageBuilder{
		ch:   ch,
		kept: keptOps(fs.root, ch),
		done: map[*node]*node{},
		fs:   New(fs.seed ^ o.Seed*seedStep),
	}
	b.fs.capacity = fs.capacity
	b.fs.root = b.node(fs.root)
	return b.fs
}

// keptOps returns the surviving directory operations per directory, in order.
func keptOps(root *node, ch *chooser) map[*directory][]*dirOp {
	ops := pendingOps(root)
	keep := map[*dirOp]bool{}
	for _, op := range ops {
		keep[op] = ch.one()
	}
	for _, op := range slices.Backward(ops) {
		for _, s := range op.steps {
			if keep[op] && s.prev != nil {
				keep[s.prev] = true
			}
		}
	}
	kept := map[*directory][]*dirOp{}
	for _, op := range ops {
		if !keep[op] {
			continue
		}
		for i, s := range op.steps {
			if i == 0 || s.dir != op.steps[0].dir {
				kept[s.dir] = append(kept[s.dir], op)
			}
		}
	}
	return kept
}

// pendingOps returns every uncommitted directory operation that can matter to an image, in
// order: those of the directories that durable entries or such operations lead to.
func pendingOps(root *node) []*dirOp {
	found := map[*dirOp]bool{}
	seen := map[*node]bool{root: true}
	queue := []*node{root}
	visit := func(n *node) {
		if n != nil && n.dir != nil && !seen[n] {
			seen[n] = true
			queue = append(queue, n)
		}
	}
	for len(queue) > 0 {
		d := queue[0].dir
		queue = queue[1:]
		for _, n := range d.stable {
			visit(n)
		}
		for _, op := range d.pending {
			if op.committed {
				continue
			}
			found[op] = true
			for _, s := range op.steps {
				visit(s.node)
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b *dirOp) int {
		return cmp.Compare(a.seq, b.seq)
	})
}

// imageBuilder copies what survives into a new file system. It draws in the order of
// sorted names, so that equal histories and seeds give equal images.
type imageBuilder struct {
	ch   *chooser
	kept map[*directory][]*dirOp
	done map[*node]*node
	fs   *FS
}

func (b *imageBuilder) node(n *node) *node {
	if m := b.done[n]; m != nil {
		return m
	}
	if n.file != nil {
		m := b.file(n.file)
		b.done[n] = m
		return m
	}
	m := newDirectory()
	b.done[n] = m
	entries := maps.Clone(n.dir.stable)
	for _, op := range b.kept[n.dir] {
		for _, s := range op.steps {
			if s.dir == n.dir {
				bind(entries, s.name, s.node)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		child := b.node(entries[name])
		if child.file != nil {
			child.file.links++
		}
		m.dir.entries[name] = child
		m.dir.stable[name] = child
	}
	return m
}

func (b *imageBuilder) file(n *inode) *node {
	img := n.image(b.ch)
	b.fs.usedPages += img.pages
	return &node{file: &inode{current: img.clone(), stable: img}}
}
