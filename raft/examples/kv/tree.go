package main

import (
	"hash/fnv"
	"strings"

	"github.com/rawl-db/rawl/raft"
)

// tree is an ordered map of keys that is never changed, only replaced: a treap whose priorities are hashes of the keys, so that equal
// maps have equal shapes. A change makes new nodes on the way to the key and shares the others, so keeping a tree costs a
// pointer. The nil tree is empty.
type tree struct {
	item
	priority    uint64
	left, right *tree
	count       int   // keys
	bytes       int64 // of keys and values
}

// item is one key. It is never changed.
type item struct {
	Key     string
	Value   []byte
	Version raft.Index // the entry that wrote it
}

func priorityOf(key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(key))
	x := h.Sum64() // FNV's high bits hardly differ between short keys
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (t *tree) size() (count int, bytes int64) {
	if t == nil {
		return 0, 0
	}
	return t.count, t.bytes
}

// with returns a copy of the node t with other children.
func (t *tree) with(left, right *tree) *tree {
	n := &tree{item: t.item, priority: t.priority, left: left, right: right}
	lc, lb := left.size()
	rc, rb := right.size()
	n.count, n.bytes = lc+rc+1, lb+rb+int64(len(t.Key)+len(t.Value))
	return n
}

// above reports whether t belongs above a node with that priority and key.
func (t *tree) above(priority uint64, key string) bool {
	return t != nil && (t.priority > priority || t.priority == priority && t.Key < key)
}

// get returns the key's item, nil when there is none.
func (t *tree) get(key string) *item {
	for t != nil {
		switch {
		case key < t.Key:
			t = t.left
		case key > t.Key:
			t = t.right
		default:
			return &t.item
		}
	}
	return nil
}

// put returns the tree with the item in the place of the one with its key.
func (t *tree) put(i item) *tree {
	return t.insert(&tree{item: i, priority: priorityOf(i.Key)})
}

func (t *tree) insert(n *tree) *tree {
	switch {
	case t != nil && t.Key == n.Key:
		return n.with(t.left, t.right)
	case !t.above(n.priority, n.Key):
		return n.with(t.split(n.Key))
	case n.Key < t.Key:
		return t.with(t.left.insert(n), t.right)
	}
	return t.with(t.left, t.right.insert(n))
}

// split returns what is below the key and what is above; the key itself is not in t: its priority would be higher.
func (t *tree) split(key string) (below, above *tree) {
	switch {
	case t == nil:
		return nil, nil
	case t.Key < key:
		below, above = t.right.split(key)
		return t.with(t.left, below), above
	}
	below, above = t.left.split(key)
	return below, t.with(above, t.right)
}

// remove returns the tree without the key, which is in it.
func (t *tree) remove(key string) *tree {
	switch {
	case key < t.Key:
		return t.with(t.left.remove(key), t.right)
	case key > t.Key:
		return t.with(t.left, t.right.remove(key))
	}
	return join(t.left, t.right)
}

// join returns the tree of two, of which all keys of the first are below those of the second.
func join(low, high *tree) *tree {
	switch {
	case low == nil:
		return high
	case high == nil:
		return low
	case low.above(high.priority, high.Key):
		return low.with(low.left, join(low.right, high))
	}
	return high.with(join(low, high.left), high.right)
}

// ascend calls f with the items from the key on, in order, until it returns false.
func (t *tree) ascend(from string, f func(*item) bool) bool {
	if t == nil {
		return true
	}
	if from < t.Key && !t.left.ascend(from, f) {
		return false
	}
	if from <= t.Key && !f(&t.item) {
		return false
	}
	return t.right.ascend(from, f)
}

// ascendPrefix is ascend for the keys with a prefix, behind the key after.
func (t *tree) ascendPrefix(prefix, after string, f func(*item) bool) {
	from := prefix
	if after != "" && after >= prefix {
		from = after + "\x00" // the least key behind it
	}
	t.ascend(from, func(i *item) bool { return strings.HasPrefix(i.Key, prefix) && f(i) })
}
